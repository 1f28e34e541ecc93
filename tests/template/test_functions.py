"""Functions, their schedules, their queue and their logs."""

import json
import re

import pytest
from template import (
    NAMES, REGISTRY, ROOT, SOURCES, default, functions, of_type, resolved, schedules, source_template, template, values,
)  # fmt: skip

COMMON = {
    "TIDEMARK_STACK", "TIDEMARK_SOURCE", "TIDEMARK_BASE_URL", "TIDEMARK_SECRET_ARN", "TIDEMARK_STREAMS",
    "TIDEMARK_SETTINGS", "TIDEMARK_REQUESTS_PER_SECOND", "TIDEMARK_LEDGER_TABLE", "TIDEMARK_RECORDS_TABLE",
    "TIDEMARK_FETCHER_TIMEOUT_SECONDS",
}  # fmt: skip
FETCHER = COMMON | {"TIDEMARK_DELETED_RETENTION_DAYS"}
POLLER = COMMON | {
    "TIDEMARK_CHECKPOINTS_TABLE", "TIDEMARK_QUEUE_URL", "TIDEMARK_POLL_RATE", "TIDEMARK_OVERLAP_SECONDS",
    "TIDEMARK_POISON_POLICY", "TIDEMARK_VISIBILITY_TIMEOUT_SECONDS",
}  # fmt: skip
# What Lambda allows for all variables of a function, names and values.
ENVIRONMENT_BYTES_MAX = 4096
# The longest value of what is not a text parameter with a MaxLength.
LONGEST = {"TIDEMARK_STACK": 128, "TIDEMARK_SOURCE": 16, "TIDEMARK_POISON_POLICY": 8, "TIDEMARK_QUEUE_URL": 150}
LONGEST |= {f"TIDEMARK_{name}_TABLE": 160 for name in ("CHECKPOINTS", "LEDGER", "RECORDS")}
NUMBER_MAX = 12


def variables(function, **given):
    return resolved(**given)[function]["Properties"]["Environment"]["Variables"]


def test_every_kind_of_source_in_the_code_has_its_block():
    # A test of the registry holds the list of streams to the code.
    assert sorted(REGISTRY) == sorted(NAMES.values())


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_is_given_every_parameter_of_its_template_and_no_other(source):
    given = template()["Resources"][source]["Properties"]["Parameters"]
    declared = source_template()["Parameters"]
    assert set(given) <= set(declared)
    assert {name for name, about in declared.items() if "Default" not in about} <= set(given)
    # What has a counterpart among the deployment's parameters is that.
    outer = template()["Parameters"]
    for name in declared:
        for wanted in (name, f"{source}{name}"):
            if wanted in outer:
                assert given[name] == {"Ref": wanted}
    assert given["Stack"] == {"Ref": "AWS::StackName"}
    for name in ("CheckpointsTable", "LedgerTable", "RecordsTable"):
        assert given[name] == {"Ref": name}


@pytest.mark.parametrize("condition", ["HasKey", "SchedulesOn", "LocalCloud"])
def test_a_condition_means_the_same_in_both_templates(condition):
    assert source_template()["Conditions"][condition] == template()["Conditions"][condition]


@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_one_schedule_per_stream(source, kind):
    found = {each["Target"]["Input"]: each["ScheduleExpression"] for each in schedules(f"{source}PollerFunction")}
    assert found.pop('{"sweep":true}') == {"Ref": "SweepRate"}
    expected = {
        json.dumps({"stream": stream["name"]}, separators=(",", ":")): {
            "Ref": "PollRate" if stream["filtered"] else "ScanRate"
        }
        for stream in REGISTRY[kind]["streams"]
    }
    assert found == expected


@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_what_is_off_by_default_is_not_polled_unless_streams_are_named(source, kind):
    off = [stream["name"] for stream in REGISTRY[kind]["streams"] if not stream["on_by_default"]]
    condition = template()["Conditions"].get(f"{source}All")
    assert condition == ({"Fn::Equals": [{"Ref": f"{source}Streams"}, "all"]} if off else None)
    inputs = [json.loads(each["Target"]["Input"]) for each in schedules(f"{source}PollerFunction", **{f"{source}All": True})]
    polled = {each["stream"] for each in inputs if each != {"sweep": True}}
    assert polled == {stream["name"] for stream in REGISTRY[kind]["streams"]} - set(off)


@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_the_streams_that_all_leaves_out_are_named(source, kind):
    said = template()["Parameters"][f"{source}Streams"]["Description"]
    for stream in REGISTRY[kind]["streams"]:
        assert re.search(rf"\b{stream['name']}\b", said.split("leaves out")[-1]) or stream["on_by_default"]


def test_schedules_can_be_switched_off_and_try_once():
    for function in functions():
        for schedule in schedules(function):
            assert schedule["State"] == {"Ref": "ScheduleState"}
            assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
            assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
            # Names would be the same in every stack of an account.
            assert "Name" not in schedule
            role = schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]
            (policy,) = of_type("AWS::IAM::Role")[role]["Policies"]
            (statement,) = policy["PolicyDocument"]["Statement"]
            assert statement["Resource"] == {"Fn::GetAtt": [function, "Arn"]}


def test_the_readme_says_how_many_executions_run_at_once():
    """Every schedule may fire in the same second, beside the fetchers and the watcher."""
    at_once = {source: len(schedules(f"{source}PollerFunction")) + default("MaxConcurrency") for source in SOURCES}
    said = f"Four sources use up to {sum(at_once.values()) + 1}, one source up to {max(at_once.values()) + 1}."
    assert said in " ".join((ROOT / "README.md").read_text().split())


def test_what_a_schedule_starts_is_not_retried():
    scheduled = [name for name in functions() if schedules(name)]
    assert scheduled == ["WatcherFunction", *(f"{source}PollerFunction" for source in SOURCES)]
    limits = {"Qualifier": "$LATEST", "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    found = list(of_type("AWS::Lambda::EventInvokeConfig").values())
    assert found == [{"FunctionName": {"Ref": name}, **limits} for name in scheduled]


@pytest.mark.parametrize("source", SOURCES)
def test_the_queue_feeds_the_fetcher_chunk_by_chunk(source):
    assert of_type("AWS::Lambda::EventSourceMapping")[f"{source}FetcherChanges"] == {
        "FunctionName": {"Ref": f"{source}FetcherFunction"},
        "EventSourceArn": {"Fn::GetAtt": [f"{source}ChangeQueue", "Arn"]},
        # A chunk that is fetched by id may need the whole timeout; rows cost no call.
        "BatchSize": 5 if REGISTRY[NAMES[source]]["lists_rows"] else 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": {"Ref": "MaxConcurrency"}},
    }


@pytest.mark.parametrize("source", SOURCES)
def test_time_and_memory(source):
    poller, fetcher = functions()[f"{source}PollerFunction"], functions()[f"{source}FetcherFunction"]
    assert (poller["Timeout"], poller["MemorySize"]) == (840, 256)
    assert (fetcher["Timeout"], fetcher["MemorySize"]) == ({"Ref": "FetcherTimeoutSeconds"}, 128)


@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_variables(source, kind):
    assert set(variables(f"{source}PollerFunction")) == POLLER
    assert set(variables(f"{source}FetcherFunction")) == FETCHER
    for role in ("Poller", "Fetcher"):
        given = variables(f"{source}{role}Function")
        assert given["TIDEMARK_SOURCE"] == kind
        assert given["TIDEMARK_STACK"] == {"Ref": "AWS::StackName"}
        for name in ("BaseUrl", "SecretArn", "Streams", "Settings", "RequestsPerSecond"):
            assert {"Ref": f"{source}{name}"} in given.values()


def test_the_longest_values_that_parameters_allow_fit_into_lambdas_environment():
    parameters = template()["Parameters"]
    for function in functions():
        size = 0
        for name, value in variables(function).items():
            about = parameters.get(value["Ref"], {}) if isinstance(value, dict) else {}
            size += len(name) + about.get("MaxLength", LONGEST.get(name, NUMBER_MAX))
        assert size <= ENVIRONMENT_BYTES_MAX, f"{function}: {size} bytes"


def test_the_watcher_knows_the_streams_of_every_source_that_is_on():
    watched = {f"TIDEMARK_{kind.upper()}_STREAMS": source for source, kind in NAMES.items()}
    assert set(variables("WatcherFunction")) == {
        "TIDEMARK_STACK", "TIDEMARK_CHECKPOINTS_TABLE", "TIDEMARK_LEDGER_TABLE", "TIDEMARK_STALE_AFTER_SECONDS",
        "TIDEMARK_POLL_RATE", "TIDEMARK_SCAN_RATE", "TIDEMARK_FIELDLY_SETTINGS", *watched,
    }  # fmt: skip
    assert variables("WatcherFunction")["TIDEMARK_STACK"] == {"Ref": "AWS::StackName"}
    # Fieldly's settings may name streams of their own.
    assert variables("WatcherFunction")["TIDEMARK_FIELDLY_SETTINGS"] == {"Ref": "FieldlySettings"}
    assert variables("WatcherFunction")["TIDEMARK_SCAN_RATE"] == {"Ref": "ScanRate"}
    assert variables("WatcherFunction")["TIDEMARK_POLL_RATE"] == {"Ref": "PollRate"}
    assert variables("WatcherFunction", LocalCloud=True)["TIDEMARK_POLL_RATE"] == ""
    for name, source in watched.items():
        assert variables("WatcherFunction")[name] == {"Ref": f"{source}Streams"}
        assert variables("WatcherFunction", **{f"{source}On": False})[name] == ""


def test_the_code_reads_every_variable_that_the_template_sets():
    files = [*ROOT.glob("functions/*/src/**/*.rs")]
    code = "".join(each.read_text() for each in files)
    given = {name for function in functions() for name in variables(function)}
    # The watcher makes a source's name of the kind's.
    for kind in NAMES.values():
        given = {name.replace(f"_{kind.upper()}_", "_{}_") for name in given}
    assert [name for name in sorted(given) if name not in code] == []


def test_binaries_and_platform():
    for name, each in resolved().items():
        if each["Type"] != "AWS::Lambda::Function":
            continue
        about = each["Properties"]
        assert (about["Runtime"], about["Handler"], about["Code"]) == ("provided.al2023", "bootstrap", "../")
        assert about["Architectures"] == [{"Ref": "Architecture"}]
        binary = next(each for each in ("poller", "fetcher", "watcher") if name.lower().endswith(f"{each}function"))
        assert each["Metadata"] == {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": binary}}


def test_every_function_logs_into_a_group_of_its_stack_that_forgets():
    groups = of_type("AWS::Logs::LogGroup")
    used = {name: each["LoggingConfig"]["LogGroup"]["Ref"] for name, each in functions().items()}
    assert sorted(used.values()) == sorted(groups)
    assert all(each["RetentionInDays"] == 30 for each in groups.values())
    names = {each["LogGroupName"]["Fn::Sub"] for each in groups.values()}
    kinds = [f"{kind}-{role}" for kind in NAMES.values() for role in ("poller", "fetcher")]
    assert names == {f"/aws/lambda/${{AWS::StackName}}/{name}" for name in ("watcher", *kinds)}
    assert all("KmsKeyId" not in each for each in groups.values())
    with_key = of_type("AWS::Logs::LogGroup", HasKey=True)
    assert sorted(with_key) == sorted(groups)
    assert all(each["KmsKeyId"] == {"Ref": "KmsKeyArn"} for each in with_key.values())


def test_the_local_cloud_knows_the_streams_that_there_are():
    from local.sources import KINDS

    for kind, known in REGISTRY.items():
        streams = known["streams"]
        assert set(KINDS[kind].streams) <= {each["name"] for each in streams}
        assert {each["name"] for each in streams if each["on_by_default"]} <= set(KINDS[kind].streams)
        assert values(KINDS[kind].prefix)["Title"] == KINDS[kind].title
