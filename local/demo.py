"""`make demo`: the main job, shown on this machine.

A first import, an edit that arrives, and an outage of the vendor with its alarm. Everything is real but the cloud and
the vendor: the template, the binaries, the deployment, the schedules, the queue, the roles.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

from local import background, cloud
from local.cloud import Cloud
from local.vendor import FakeVendor

CUSTOMERS = 500
JOBS = 200
# Its presence says that a schedule was seen firing on this checkout, which takes a minute: once is enough.
SCHEDULE_SEEN = background.ROOT / ".local" / "schedule-seen"


class Show:
    """What the demo says, with the seconds since its start."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.moving = False

    def step(self, text: str) -> None:
        """A new line."""
        if self.moving:
            print()
        self.moving = False
        print(f"[{time.monotonic() - self.begin:5.1f} s] {text}", flush=True)

    def move(self, text: str) -> None:
        """Progress within a step: on a terminal the line is drawn over, elsewhere only its last state is printed."""
        if sys.stdout.isatty():
            print(f"\r          {text:<90}", end="", flush=True)
            self.moving = True


def demo(directory: Path) -> None:
    """Shows the main job and leaves nothing running."""
    show = Show()
    show.step("Building the functions and the fake vendor (minutes the first time, seconds later)")
    cloud.build_programs()
    first = not SCHEDULE_SEEN.exists()
    with contextlib.ExitStack() as cleanup:
        local = Cloud(directory)
        show.step("Starting the local cloud; every call is checked against the caller's role")
        cleanup.callback(local.stop)
        local.start()
        vendor = FakeVendor.start(directory / "vendor.log")
        cleanup.callback(vendor.stop)
        vendor.post("seed", stream="customers", count=CUSTOMERS)
        vendor.post("seed", stream="jobs", count=JOBS)
        show.step(f"Local cloud at {local.url}, fake FieldMotion at {vendor.url}: {CUSTOMERS} customers, {JOBS} jobs")

        show.step("sam build")
        local.build()
        show.step("sam deploy")
        # Once the schedules were seen, ticks are driven by hand and the schedules are kept out of the way.
        local.deploy(vendor.url, PollRate="rate(1 minute)" if first else "rate(1 hour)")
        show.step(f"Deployed: {len(local.outputs())} outputs, among them {local.outputs()['RecordsTable']}")

        if first:
            wait_for_schedule(local, show)
        first_import(local, vendor, show)
        an_edit(local, vendor, show)
        an_outage(local, vendor, show)
        what_is_stored(local, vendor, show)
        if first:
            SCHEDULE_SEEN.touch()
        show.step("Cleaning up")
    show.step("Done; nothing is left running. `make local-up` starts a cloud that stays.")


def wait_for_schedule(local: Cloud, show: Show) -> None:
    """Waits until a schedule has started the poller by itself. Only the first demo does this."""
    show.step("Waiting for the schedules to fire by themselves: rate(1 minute), shown in the first demo only")

    def fired() -> bool:
        show.move(f"{time.monotonic() - show.begin:.0f} s ...")
        return len(local.scan("checkpoints")) > 0

    background.wait_for("a schedule to fire", fired, timeout=120, pause=1)
    show.step("A schedule fired: the poller made its first checkpoint")


def first_import(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Ticks until the copy is complete and committed."""
    show.step("First import: the pollers list, the fetchers store, the next tick commits")
    begin = time.monotonic()
    local.settle(
        {stream: set(vendor.truth(stream, "id")) for stream in cloud.STREAMS},
        progress=lambda counts: show.move(f"{counts['customers']}/{CUSTOMERS} customers, {counts['jobs']}/{JOBS} jobs"),
    )
    show.step(f"{CUSTOMERS} customers and {JOBS} jobs stored and committed in {time.monotonic() - begin:.1f} s")


def an_edit(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Edits one customer at the vendor and waits for the copy to show it."""
    identity = sorted(vendor.truth("customers", "id"))[0]
    before = name_of(local, identity)
    vendor.post("edit", stream="customers", id=identity, set={"name": "Renamed by the demo"})
    begin = time.monotonic()

    def arrived() -> bool:
        local.poll("customers")
        return name_of(local, identity) == "Renamed by the demo"

    background.wait_for("the edit to arrive", arrived, timeout=60, pause=0.3)
    show.step(
        f"Customer {identity} was edited at the vendor: {before!r} became {name_of(local, identity)!r} "
        f"in the records table {time.monotonic() - begin:.1f} s later"
    )


def name_of(local: Cloud, identity: str) -> str:
    """The stored name of a customer."""
    return json.loads(local.records("customers")[identity]["body"])["name"]


def an_outage(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Takes the vendor down until the stale alarm rings, and up again until it is quiet."""
    local.watch()
    show.step(f"The stale alarm is {local.alarm('fieldmotion-stale')}. The vendor goes down")
    vendor.down()
    with contextlib.suppress(cloud.FunctionFailed):
        local.poll("customers")

    def state(wanted: str) -> bool:
        local.watch()
        now = local.alarm("fieldmotion-stale")
        show.move(f"stale alarm: {now}")
        return now == wanted

    background.wait_for("the stale alarm", lambda: state("ALARM"), timeout=60, pause=1)
    show.step("ALARM: nothing was polled for over 15 s, and the alarm topic was told")
    vendor.up()
    local.poll_all()

    def quiet() -> bool:
        local.poll_all()
        return state("OK")

    background.wait_for("the alarm to end", quiet, timeout=120, pause=1)
    show.step("OK again: the vendor is back, and the streams went on where they were")


def what_is_stored(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Prints a table of what is there, and where to look."""
    checkpoints = {each["stream_key"]: each for each in local.scan("checkpoints")}
    stored: dict[str, int] = {}
    for each in local.scan("records"):
        stored[each["stream"]] = stored.get(each["stream"], 0) + (not each.get("deleted"))
    quarantined: dict[str, int] = {}
    for each in local.scan("ledger"):
        kind, _, stream = each["partition"].partition("#fieldmotion#")
        if kind == "quarantine":
            quarantined[stream] = quarantined.get(stream, 0) + 1
    show.step("What is stored now\n")
    print(f"    {'stream':<18}{'at the vendor':>14}{'stored':>9}{'quarantined':>13}   committed up to")
    for stream in cloud.STREAMS:
        checkpoint = checkpoints.get(f"fieldmotion#{stream}", {})
        print(
            f"    {stream:<18}{len(vendor.truth(stream, 'id')):>14}{stored.get(stream, 0):>9}"
            f"{quarantined.get(stream, 0):>13}   {readable(checkpoint.get('committed'))}"
        )
    outputs = local.outputs()
    print(f"\n    waiting messages {local.queue_depth()}, dead letters {local.queue_depth(dead_letters=True)}\n")
    print("    Where to look")
    for name in ("RecordsTable", "CheckpointsTable", "LedgerTable", "FieldMotionQueueUrl", "AlarmTopicArn"):
        print(f"      {name:<20}{outputs[name]}")
    print(f"      {'logs':<20}/aws/lambda/{cloud.STACK}/fieldmotion-poller, fieldmotion-fetcher, watcher\n")


def readable(position: object) -> str:
    """A checkpoint's position as text, whether it is stored as text or as a map with the vendor's text."""
    if isinstance(position, dict):
        position = position.get("text") or position.get("raw") or position
    return str(position) if position is not None else "-"


def main(directory: Path) -> int:
    """Runs the demo; whatever ends it, it is cleaned up."""
    try:
        demo(directory)
    except KeyboardInterrupt:
        print("\nInterrupted; cleaned up.")
        return 130
    except (RuntimeError, TimeoutError) as failed:
        print(f"\nThe demo failed: {failed}\nLogs: {directory}", file=sys.stderr)
        return 1
    return 0
