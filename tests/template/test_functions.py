"""Functions, their schedules, their queue and their logs."""

import json
import re

import pytest
from template import NAMES, ROOT, SCANNED, SOURCES, functions, of_type, resolved, template

COMMON = {
    "TIDEMARK_SOURCE", "TIDEMARK_BASE_URL", "TIDEMARK_SECRET_ARN", "TIDEMARK_STREAMS", "TIDEMARK_SETTINGS",
    "TIDEMARK_REQUESTS_PER_SECOND", "TIDEMARK_LEDGER_TABLE", "TIDEMARK_RECORDS_TABLE",
}  # fmt: skip
FETCHER = COMMON | {"TIDEMARK_FETCHER_TIMEOUT_SECONDS"}
POLLER = COMMON | {
    "TIDEMARK_CHECKPOINTS_TABLE", "TIDEMARK_QUEUE_URL", "TIDEMARK_POLL_RATE", "TIDEMARK_OVERLAP_SECONDS",
    "TIDEMARK_POISON_POLICY", "TIDEMARK_VISIBILITY_TIMEOUT_SECONDS",
}  # fmt: skip


def schedules(function):
    events = functions()[function].get("Events", {})
    return {name: each["Properties"] for name, each in events.items() if each["Type"] == "ScheduleV2"}


def variables(function):
    return functions()[function]["Environment"]["Variables"]


def test_every_kind_of_source_in_the_code_has_its_block():
    code = (ROOT / "shared/engine/src/stream.rs").read_text()
    assert sorted(re.findall(r'Self::\w+ => "(\w+)"', code)) == sorted(NAMES.values())


@pytest.mark.parametrize(("source", "streams"), [(source, streams) for source, (_, streams) in SOURCES.items()])
def test_one_schedule_per_stream(source, streams):
    found = schedules(f"{source}PollerFunction")
    assert sorted(json.loads(each["Input"])["stream"] for each in found.values()) == sorted(streams)
    assert all(list(json.loads(each["Input"])) == ["stream"] for each in found.values())
    for each in found.values():
        is_scanned = json.loads(each["Input"])["stream"] in SCANNED.get(NAMES[source], ())
        assert each["ScheduleExpression"] == {"Ref": "ScanRate" if is_scanned else "PollRate"}


def test_schedules_can_be_switched_off_and_try_once():
    for function in functions():
        for schedule in schedules(function).values():
            assert schedule["State"] == {"Ref": "ScheduleState"}
            assert schedule["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
            # Names would be the same in every stack of an account.
            assert schedule["OmitName"] is True
            role = schedule["RoleArn"]["Fn::GetAtt"][0]
            (policy,) = of_type("AWS::IAM::Role")[role]["Policies"]
            (statement,) = policy["PolicyDocument"]["Statement"]
            assert statement["Resource"] == {"Fn::GetAtt": [function, "Arn"]}


def test_what_a_schedule_starts_is_not_retried():
    scheduled = [name for name in functions() if schedules(name)]
    assert scheduled == ["WatcherFunction", *(f"{source}PollerFunction" for source in SOURCES)]
    for name in scheduled:
        assert functions()[name]["EventInvokeConfig"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}


@pytest.mark.parametrize("source", SOURCES)
def test_the_queue_feeds_the_fetcher_chunk_by_chunk(source):
    (event,) = functions()[f"{source}FetcherFunction"]["Events"].values()
    assert event["Type"] == "SQS"
    assert event["Properties"] == {
        "Queue": {"Fn::GetAtt": [f"{source}ChangeQueue", "Arn"]},
        # A chunk that is fetched by id may need the whole timeout; rows cost no call.
        "BatchSize": 5 if source in ("FsmNavigator", "Fieldly") else 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": {"Ref": "MaxConcurrency"}},
    }


@pytest.mark.parametrize("source", SOURCES)
def test_time_and_memory(source):
    poller, fetcher = functions()[f"{source}PollerFunction"], functions()[f"{source}FetcherFunction"]
    assert (poller["Timeout"], poller["MemorySize"]) == (840, 256)
    assert (fetcher["Timeout"], fetcher["MemorySize"]) == ({"Ref": "FetcherTimeoutSeconds"}, 128)


@pytest.mark.parametrize(("source", "kind"), [(source, kind) for source, (kind, _) in SOURCES.items()])
def test_variables(source, kind):
    assert set(variables(f"{source}PollerFunction")) == POLLER
    assert set(variables(f"{source}FetcherFunction")) == FETCHER
    for role in ("Poller", "Fetcher"):
        given = variables(f"{source}{role}Function")
        assert given["TIDEMARK_SOURCE"] == kind
        for name in ("BaseUrl", "SecretArn", "Streams", "Settings", "RequestsPerSecond"):
            assert {"Ref": f"{source}{name}"} in given.values()


def test_the_watcher_knows_the_streams_of_every_source_that_is_on():
    watched = {f"TIDEMARK_{kind.upper()}_STREAMS": source for source, (kind, _) in SOURCES.items()}
    assert set(variables("WatcherFunction")) == {
        "TIDEMARK_CHECKPOINTS_TABLE", "TIDEMARK_LEDGER_TABLE", "TIDEMARK_STALE_AFTER_SECONDS", "TIDEMARK_SCAN_RATE",
        "TIDEMARK_FIELDLY_SETTINGS", *watched,
    }  # fmt: skip
    # Fieldly's settings may name streams of their own.
    assert variables("WatcherFunction")["TIDEMARK_FIELDLY_SETTINGS"] == {"Ref": "FieldlySettings"}
    assert variables("WatcherFunction")["TIDEMARK_SCAN_RATE"] == {"Ref": "ScanRate"}
    for name, source in watched.items():
        assert variables("WatcherFunction")[name] == {"Ref": f"{source}Streams"}
        off = resolved(**{f"{source}On": False})["WatcherFunction"]["Properties"]["Environment"]["Variables"]
        assert off[name] == ""


def test_the_code_reads_every_variable_that_the_template_sets():
    files = [*ROOT.glob("functions/*/src/**/*.rs")]
    code = "".join(each.read_text() for each in files)
    given = {name for function in functions() for name in variables(function)}
    # The watcher makes a source's name of the kind's.
    for kind in NAMES.values():
        given = {name.replace(f"_{kind.upper()}_", "_{}_") for name in given}
    assert [name for name in sorted(given) if name not in code] == []


def test_binaries_and_platform():
    everywhere = template()["Globals"]["Function"]
    assert everywhere == {
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "CodeUri": "../",
        "Architectures": [{"Ref": "Architecture"}],
    }
    binaries = {name: each["Metadata"] for name, each in resolved().items() if name in functions()}
    for name, metadata in binaries.items():
        binary = next(each for each in ("poller", "fetcher", "watcher") if name.lower().endswith(f"{each}function"))
        assert metadata == {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": binary}}


def test_every_function_logs_into_a_group_that_forgets():
    groups = of_type("AWS::Logs::LogGroup")
    used = {name: each["LoggingConfig"]["LogGroup"]["Ref"] for name, each in functions().items()}
    assert sorted(used.values()) == sorted(groups)
    assert all(each["RetentionInDays"] == 30 for each in groups.values())
