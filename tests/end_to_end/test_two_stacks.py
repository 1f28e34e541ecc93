"""Stacks beside and after each other: two keep apart, a new version keeps everything, and a copy outlives its stack."""

import contextlib
import sys
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from local import background
from local.vendor import start_vendors

sys.path.insert(0, str(background.ROOT / "infra"))

import adopt

SECOND, THIRD = "second", "third"
SEEDED = {"work_items": 60, "clients": 12, "time_reports": 5, "travel_reports": 2}
RATES = {"PollRate": "rate(1 day)", "ScanRate": "rate(1 day)"}


@pytest.fixture(scope="module")
def second(stack):
    """A second stack on the same emulator, with a vendor of its own and one source."""
    with contextlib.ExitStack() as cleanup:
        directory = stack.cloud.directory / SECOND
        directory.mkdir(exist_ok=True)
        (vendor,) = start_vendors({"fieldly": SEEDED}, directory, cleanup)
        other = stack.cloud.beside(SECOND)
        other.first_before = stored(stack.cloud)
        other.deploy([vendor], **RATES)
        cleanup.callback(other.client("cloudformation").delete_stack, StackName=SECOND)
        other.vendor = vendor
        settle(other)
        yield other


def settle(cloud):
    """Ticks until the copy is the vendor's truth and committed."""
    cloud.source("fieldly").settle({stream: set(cloud.vendor.truth(stream)) for stream in SEEDED})


def stored(cloud):
    """Everything in the tables that a deployment must not touch."""
    return {table: sorted(map(repr, cloud.scan(table))) for table in ("records", "checkpoints")}


def resources(cloud):
    """The physical names of what a stack and its nested stacks hold, by stack and logical name."""
    found = {}

    def walk(stack, way=""):
        pages = cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        for each in (each for page in pages for each in page["StackResourceSummaries"]):
            name = f"{way}{each['LogicalResourceId']}"
            found[name] = each["PhysicalResourceId"]
            if each["ResourceType"] == "AWS::CloudFormation::Stack":
                walk(each["PhysicalResourceId"], f"{name}/")

    walk(cloud.stack)
    return found


def published(cloud, metric, **dimensions):
    """How often a metric was published with just these dimensions."""
    now = datetime.now(timezone.utc)
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Tidemark",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=3),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["SampleCount"],
    )
    return sum(each["SampleCount"] for each in found["Datapoints"])


def test_two_stacks_share_no_resource_and_no_record(stack, second):
    first, other = resources(stack.cloud), resources(second)
    assert len(other) > 40 and not set(first.values()) & set(other.values())
    assert "Fieldly/PollerFunction" in first and "Fieldly/PollerFunction" in other
    assert "FieldMotion" in first and "FieldMotion" not in other, "its source is off"
    assert not set(stack.cloud.outputs().values()) & set(second.outputs().values())

    ids = set(second.source("fieldly").records("clients"))
    assert ids == set(second.vendor.truth("clients"))
    assert {each["partition"].split("#")[0] for each in second.scan("records")} == {"fieldly"}
    assert stored(stack.cloud) == second.first_before
    assert len(second.log("fieldly-poller")) > 0


def test_the_heartbeat_of_one_stack_is_not_that_of_another(stack, second):
    def heartbeats():
        return {name: published(second, "Heartbeat", Stack=name) for name in (stack.cloud.stack, SECOND)}

    before = heartbeats()
    second.watch()
    after = heartbeats()
    assert after[SECOND] == before[SECOND] + 1
    assert after[stack.cloud.stack] == before[stack.cloud.stack], "a dead watcher would go unnoticed"
    assert published(second, "StalenessSeconds", Stack=SECOND, Source="fieldly") > 0
    assert published(second, "StalenessSeconds", Stack=SECOND, Source="fieldmotion") == 0
    assert published(second, "StalenessSeconds", Source="fieldly") == 0


def test_every_alarm_looks_at_its_own_stack(stack, second):
    alarms = second.client("cloudwatch").describe_alarms()["MetricAlarms"]
    for each in alarms:
        owner = next(name for name in (SECOND, stack.cloud.stack) if each["AlarmName"].startswith(f"{name}-"))
        dimensions = {each["Name"]: each["Value"] for each in each["Dimensions"]}
        assert dimensions.get("Stack", owner) == owner
        assert next(iter(dimensions.values())).startswith(owner), each["AlarmName"]


@pytest.fixture
def built(second):
    """Changes the built template of a source for the time of a test, as another version of Tidemark would."""
    path = second.directory / "build" / "Fieldly" / "template.yaml"
    original = path.read_text()

    def change(before, after):
        assert before in original
        path.write_text(original.replace(before, after))

    yield change
    path.write_text(original)


def test_a_second_version_and_the_first_again_lose_and_replace_nothing(second, built):
    before, held = resources(second), stored(second)

    built("MemorySize: 256", "MemorySize: 320")
    second.deploy([second.vendor], **RATES, StaleAfterSeconds="20")
    function = second.outputs()["FieldlyPollerFunction"]
    configuration = second.client("lambda").get_function_configuration
    assert configuration(FunctionName=function)["MemorySize"] == 320
    assert second.variables("watcher")["TIDEMARK_STALE_AFTER_SECONDS"] == "20"
    assert (resources(second), stored(second)) == (before, held)
    settle(second)

    held = stored(second)
    built("MemorySize: 256", "MemorySize: 256")
    second.deploy([second.vendor], **RATES)
    assert configuration(FunctionName=function)["MemorySize"] == 256
    assert second.variables("watcher")["TIDEMARK_STALE_AFTER_SECONDS"] == "15"
    assert (resources(second), stored(second)) == (before, held)
    settle(second)


def test_a_version_that_cannot_be_deployed_leaves_the_first_at_work(second, built):
    before, held = resources(second), stored(second)
    built("MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 1")
    with pytest.raises(RuntimeError, match="sam deploy failed"):
        second.deploy([second.vendor], **RATES)
    (stack,) = second.client("cloudformation").describe_stacks(StackName=SECOND)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (resources(second), stored(second)) == (before, held)
    settle(second)


def test_a_copy_outlives_its_stack_and_is_taken_over_by_a_new_one(second):
    """The tables are retained; a stack that adopts them goes on from their checkpoints."""
    settle(second)
    outputs, held = second.outputs(), stored(second)
    tables = {name: outputs[name] for name in adopt.TABLES}
    cloudformation = second.client("cloudformation")
    cloudformation.delete_stack(StackName=SECOND)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=SECOND, WaiterConfig={"Delay": 1})
    for function in ("FieldlyPollerFunction", "WatcherFunction"):
        with pytest.raises(ClientError, match="ResourceNotFound"):
            second.client("lambda").get_function_configuration(FunctionName=outputs[function])

    adopt.adopt(cloudformation, THIRD, tables)
    third = second.beside(THIRD)
    third.vendor = second.vendor
    third.deploy([second.vendor], **RATES)
    assert {name: third.outputs()[name] for name in adopt.TABLES} == tables
    assert stored(third) == held
    asked = len(second.vendor.get("requests")["requests"])
    third.source("fieldly").poll("clients")
    assert len(second.vendor.get("requests")["requests"]) > asked
    checkpoint = third.source("fieldly").checkpoint("clients")
    assert int(checkpoint["version"]) > 0
    settle(third)
    cloudformation.delete_stack(StackName=THIRD)
