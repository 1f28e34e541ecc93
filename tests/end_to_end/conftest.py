"""One stack for all tests: deployed once by a real `sam deploy`, ended whatever happens."""

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from copies import Copy
from local import background, cloud
from local.cloud import Cloud
from local.sources import KINDS
from local.vendor import start_vendors
from stack import POLL_RATE, Stack

# What the other vendors hold; one that is not named holds what it does in the demo.
OTHERS = {
    "fieldaware": {"jobs": 30, "web_quotes": 3, "field_quotes": 3, "items": 12, "tasks": 4, "customers": 12, "users": 3},
    "fsmnavigator": {"jobs": 130, "customers": 60, "assets": 20, "technicians": 5},
    "fieldly": {"work_items": 130, "clients": 60, "time_reports": 20, "travel_reports": 5},
}
SEEDED = {"customers": 300, "jobs": 150, "assets": 12, "asset_types": 4, "stock_containers": 6}
SEEDED |= {"users": 8, "vehicles": 3, "departments": 5}


def pytest_collection_modifyitems(config, items):
    """What looks at the calls of all tests comes last, and says nothing where not all of them run."""
    folder = Path(__file__).parent
    last = [each for each in items if each.path == folder / "test_grants.py"]
    items[:] = [each for each in items if each not in last] + last
    is_part = config.option.keyword or any("::" in each for each in config.args)
    if is_part or not set(folder.glob("test_*.py")) <= {each.path for each in items}:
        for each in last:
            each.add_marker(pytest.mark.skip(reason="it looks at the calls of all tests here"))


@pytest.fixture(scope="session")
def stack():
    """The stack after its first import. Tasks are left out of it: tests have first imports of their own with them."""
    directory = background.ROOT / ".local" / "end_to_end"
    # A termination ends as Ctrl-C does: cleaned up.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(signal.signal, signal.SIGTERM, before)
        try:
            found = deployed(directory, cleanup)
        except (RuntimeError, TimeoutError) as failed:
            pytest.fail(f"the stack did not come up: {failed}\nlogs: {directory}", pytrace=False)
        found.settle(*SEEDED, seconds=120)
        found.looks_are_evidence(*SEEDED)
        found.imported_by = {stream: found.details(stream, after=0) for stream in SEEDED}
        yield found


def deployed(directory, cleanup):
    """Builds, starts and deploys everything; `cleanup` ends it."""
    cloud.build_programs()
    local = Cloud(directory)
    cleanup.callback(local.stop)
    local.start()
    seeds = {kind.name: kind.demo for kind in KINDS.values()} | {"fieldmotion": SEEDED, **OTHERS}
    vendor, *others = start_vendors(seeds, directory, cleanup)
    local.build()
    # No schedule fires during the tests: they drive every tick themselves. The schedules stay enabled, because
    # alarms tell nobody while they are disabled.
    rates = {"PollRate": "rate(1 day)", "ScanRate": "rate(1 day)"}
    # Sweeps believe what the list of this one class leaves out, which no other test has records of.
    settings = json.dumps({"complete_lists": ["contacts"]})
    local.deploy([vendor, *others], **rates, FieldAwareSettings=settings)
    for each in (vendor, *others):
        local.set_variables(f"{each.kind.name}-poller", TIDEMARK_POLL_RATE=POLL_RATE)
    return Stack(local, vendor, others)


@pytest.fixture(scope="module")
def copies(stack):
    """The three sources beside FieldMotion, after their first imports."""
    found = {vendor.kind.name: Copy(stack, vendor) for vendor in stack.others}
    for copy in found.values():
        copy.settle()
    return found


@pytest.fixture(autouse=True)
def well_again(stack):
    """Whatever a test did to the vendor is undone, and no test leaves a dead letter behind."""
    yield
    stack.vendor.up()
    stack.vendor.post("clear_faults")
    stack.vendor.post("heal")
    stack.vendor.post("release")
    stack.trouble_is_over()
    assert stack.source.queue_depth(dead_letters=True) == 0, f"a dead letter was left\n{stack.state()}"


@pytest.fixture(scope="session")
def tidemark(stack):
    """Runs the built program and returns its exit code, its output and its notes."""
    cloud.build_command_line()

    def run(*arguments, **given):
        ended = stack.cloud.tidemark(*arguments, capture_output=True, **given)
        return ended.returncode, ended.stdout, ended.stderr

    return run
