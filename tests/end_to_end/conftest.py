"""One stack for all tests: deployed once by a real `sam deploy`, ended whatever happens."""

import contextlib
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import background, cloud
from local.cloud import Cloud
from local.vendor import FakeVendor
from stack import OVERLAP_SECONDS, Stack

SEEDED = {"customers": 300, "jobs": 150, "assets": 12, "asset_types": 4, "stock_containers": 6}


@pytest.fixture(scope="session")
def stack():
    """The stack after its first import. Tasks are left out of it: their first import is the one that is killed."""
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
        found.imported_by = {stream: found.details(stream, after=0) for stream in SEEDED}
        yield found


def deployed(directory, cleanup):
    """Builds, starts and deploys everything; `cleanup` ends it."""
    cloud.build_programs()
    local = Cloud(directory)
    cleanup.callback(local.stop)
    local.start()
    vendor = FakeVendor.start("fieldmotion", directory / "fieldmotion.log")
    cleanup.callback(vendor.stop)
    for stream, count in SEEDED.items():
        vendor.post("seed", stream=stream, count=count)
    local.build()
    # No schedule fires during the tests: they drive every tick themselves. The schedules stay enabled, because
    # alarms tell nobody while they are disabled.
    local.deploy([vendor], PollRate="rate(1 day)", OverlapSeconds=str(OVERLAP_SECONDS))
    return Stack(local, vendor)


@pytest.fixture(autouse=True)
def well_again(stack):
    """Whatever a test did to the vendor is undone, and no test leaves a dead letter behind."""
    yield
    stack.vendor.up()
    stack.vendor.post("clear_faults")
    stack.vendor.post("heal")
    stack.vendor.post("release")
    stack.breaker_time_is_up()
    assert stack.source.queue_depth(dead_letters=True) == 0, f"a dead letter was left\n{stack.state()}"
