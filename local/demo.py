"""`make demo`: the main job, shown on this machine.

A first import of all four sources with an edit that arrives before it is over, an edit at each of the others, and an
outage of one with its alarm, which leaves the others untouched. Everything is real but the cloud and the vendors: the
template, the binaries, the deployment, the schedules, the queues, the roles.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from local import background, cloud
from local.cloud import Cloud
from local.sources import KINDS, Source
from local.vendor import FakeVendor, start_vendors

T = TypeVar("T")

# What each vendor holds at first.
SEEDS = {kind.name: kind.demo for kind in KINDS.values()}
# Slow enough that its import can be watched.
FIELDMOTION_RATE = "150"
# Its presence says that a schedule was seen firing on this checkout, which takes a minute: once is enough.
SCHEDULE_SEEN = background.ROOT / ".local" / "schedule-seen"
# As wide as the time before a step.
MARGIN = " " * 10


class Show:
    """What the demo says, with the seconds since its start."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.moving = False

    def step(self, text: str) -> None:
        """A new line, or several where it is longer than a screen is wide."""
        if self.moving:
            print()
        self.moving = False
        self.lines(text, f"[{time.monotonic() - self.begin:5.1f} s] ")

    def lines(self, text: str, begin: str = MARGIN) -> None:
        """A text below the last step, its further lines under its first word."""
        print(textwrap.fill(text, 80, initial_indent=begin, subsequent_indent=" " * len(begin)), flush=True)

    def move(self, text: str) -> None:
        """Progress within a step: on a terminal the line is drawn over, elsewhere only its last state is printed."""
        if sys.stdout.isatty():
            room = shutil.get_terminal_size().columns - len(MARGIN) - 1
            print(f"\r{MARGIN}{text[:room]:<{room}}", end="", flush=True)
            self.moving = True


def demo(directory: Path) -> None:
    """Shows the main job and leaves nothing running."""
    show = Show()
    show.step("Building functions and fake vendors: minutes the first time, seconds later")
    cloud.build_programs()
    first = not SCHEDULE_SEEN.exists()
    with contextlib.ExitStack() as cleanup:
        local = Cloud(directory)
        show.step("Starting the local cloud; every call is checked against the caller's role")
        cleanup.callback(local.stop)
        local.start()
        vendors = start_vendors(SEEDS, directory, cleanup)
        show.step(f"Local cloud at {local.url}; the fake vendors:")
        for vendor in vendors:
            show.lines(in_words(SEEDS[vendor.kind.name]), f"{MARGIN}{vendor.kind.title:<15}")

        show.step("sam build")
        local.build()
        show.step("sam deploy")
        # Once the schedules were seen, ticks are driven by hand and the schedules are kept out of the way.
        rate = "rate(1 minute)" if first else "rate(1 hour)"
        local.deploy(vendors, PollRate=rate, ScanRate=rate, FieldMotionRequestsPerSecond=FIELDMOTION_RATE)
        show.step(f"Deployed: {len(local.outputs())} outputs, among them {local.outputs()['RecordsTable']}")

        # Its first build goes on while a schedule is waited for.
        builder, beside = ThreadPoolExecutor(max_workers=1), ThreadPoolExecutor(max_workers=1)
        for each in (builder, beside):
            cleanup.callback(each.shutdown, wait=False, cancel_futures=True)
        command_line = builder.submit(cloud.build_command_line)
        if first:
            wait_for_schedule(local, show)
        fieldmotion, fieldaware, *others = vendors
        # The one that has to wait, for its edit and for its import, runs beside all the others.
        edited = beside.submit(an_edit_of_a_feed, local, fieldaware, show)
        imported = beside.submit(import_of_a_feed, local, fieldaware, show)
        first_import(local, [fieldmotion, *others], show)
        an_edit_at_each(local, others, show)
        an_outage(local, vendors, show, edited.result)
        imported.result()
        if not command_line.done():
            show.step("Waiting for the build of the command line, which is still under way")
        command_line.result()
        # A stream is stale after 15 s here, which the build may have taken.
        side_by_side(Source.poll_all, [local.source(vendor.kind.name) for vendor in vendors])
        by_the_command_line(local, fieldmotion, "customers", show)
        if first:
            SCHEDULE_SEEN.touch()
        show.step("Cleaning up")
    show.step(
        "Done; nothing is left running. `make local-up` starts a cloud that stays, to look at the tables, the logs "
        "and the alarms; docs/tutorial.md goes on from there."
    )


def in_words(counts: dict[str, int]) -> str:
    """Counts of streams for a person."""
    return ", ".join(f"{count} {stream.replace('_', ' ')}" for stream, count in counts.items())


def wait_for_schedule(local: Cloud, show: Show) -> None:
    """Waits until a schedule has started the poller. Only the first demo does this."""
    show.step("Waiting up to a minute for a schedule to fire by itself, in the first demo only")

    def fired() -> bool:
        show.move(f"{time.monotonic() - show.begin:.0f} s ...")
        return len(local.scan("checkpoints")) > 0

    background.wait_for("a schedule to fire", fired, timeout=120, pause=1)
    show.step("A schedule fired: a poller made its first checkpoint")


def first_import(local: Cloud, vendors: list[FakeVendor], show: Show) -> None:
    """Ticks until the copies are complete and committed, all sources side by side; one record is edited meanwhile."""
    show.step("First imports: the pollers list, the fetchers store, the next tick commits")
    begin = time.monotonic()
    stored: dict[str, int] = {}

    def one(vendor: FakeVendor) -> None:
        def progress(count: int) -> None:
            stored[vendor.kind.title] = count
            show.move(", ".join(f"{title} {count}" for title, count in stored.items()))

        settle(local, vendor, progress)

    side_by_side(
        lambda work: work(),
        [*(partial(one, vendor) for vendor in vendors), partial(an_edit_meanwhile, local, vendors[0], show)],
    )
    took = time.monotonic() - begin
    show.step(f"{sum(stored.values())} records of {len(vendors)} vendors stored and committed in {took:.1f} s")


def settle(local: Cloud, vendor: FakeVendor, progress: Callable[[int], None] = lambda _: None) -> int:
    """Ticks a source until its copy is complete and committed, and returns how many records it has."""
    truth = {stream: set(vendor.truth(stream)) for stream in vendor.kind.kept_under()}
    local.source(vendor.kind.name).settle(truth, progress=lambda counts: progress(sum(counts.values())))
    return sum(len(ids) for ids in truth.values())


def an_edit_of_a_feed(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Edits a record of a feed that has just begun; the details of an event wait until they surely show it."""
    source, title = local.source(vendor.kind.name), vendor.kind.title
    (polled,), stream = vendor.kind.streams, next(iter(vendor.kind.demo))
    source.poll(polled)
    identity = first_id(vendor, stream)
    took = edit(source, vendor, stream, identity)
    show.step(
        f"{title}: an edit of {stream}/{identity} was in the records table {took:.1f} s later: details are asked for "
        "when they surely show it"
    )


def import_of_a_feed(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Ticks a feed until what was there before its token is imported, which begins half a minute after the token."""
    count = settle(local, vendor)
    show.step(
        f"{vendor.kind.title}: {count} records stored and committed. Its first import began half a minute after the "
        "feed was first read: by then the lists show all that the feed does not"
    )


def an_edit_meanwhile(local: Cloud, vendor: FakeVendor, show: Show) -> None:
    """Edits a record as soon as it is imported, while most others are not: the next listing finds the edit."""
    source = local.source(vendor.kind.name)
    identity = first_id(vendor, "customers")
    background.wait_for("the first customers", lambda: identity in source.records("customers"))
    took = edit(source, vendor, "customers", identity)
    left = sum(len(source.owed(stream)) for stream in vendor.kind.streams)
    show.step(
        f"{vendor.kind.title}: customers/{identity}, just imported, was edited. The copy had it {took:.1f} s later, "
        f"with {left} of its records left to import"
    )


def first_id(vendor: FakeVendor, stream: str) -> str:
    """The first of the vendor's ids: that of the record that is edited."""
    return sorted(vendor.truth(stream))[0]


def edit(source: Source, vendor: FakeVendor, stream: str, identity: str) -> float:
    """Edits a record and ticks until the copy shows it; returns how many seconds that took."""
    vendor.post("edit", stream=stream, id=identity)
    wanted = vendor.truth(stream)[identity]["body"]
    polled = stream if stream in vendor.kind.streams else vendor.kind.streams[0]
    begin = time.monotonic()

    def arrived() -> bool:
        source.poll(polled)
        return same(source.records(stream).get(identity, {}).get("body"), wanted)

    background.wait_for(f"the edit at {vendor.kind.title} to arrive", arrived, timeout=60, pause=0.3)
    return time.monotonic() - begin


def side_by_side(work: Callable[[T], None], each: Iterable[T]) -> None:
    """Does something for each, all at once. Raises the first failure."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(work, each))


def an_edit_at_each(local: Cloud, vendors: list[FakeVendor], show: Show) -> None:
    """Edits one record at every vendor, all at once, and waits for the copies to show it."""

    def one(vendor: FakeVendor) -> None:
        stream = next(iter(vendor.kind.demo))
        identity = first_id(vendor, stream)
        took = edit(local.source(vendor.kind.name), vendor, stream, identity)
        show.step(f"{vendor.kind.title}: an edit of {stream}/{identity} was in the records table {took:.1f} s later")

    side_by_side(one, vendors)


def same(stored: str | None, wanted: str) -> bool:
    """Whether the stored body holds what the vendor has; a source may ask for some of its fields only."""
    if stored is None:
        return False
    have, true = json.loads(stored), json.loads(wanted)
    return all(true.get(name) == value for name, value in have.items())


def an_outage(local: Cloud, vendors: list[FakeVendor], show: Show, nothing_waits: Callable[[], None]) -> None:
    """Takes FieldMotion down until its stale alarm rings, and up again until it is quiet; the others stay fresh."""
    broken, *others = vendors
    source, rest = local.source(broken.kind.name), [local.source(vendor.kind.name) for vendor in others]

    def tick(sources: list[Source]) -> None:
        side_by_side(Source.poll_all, sources)
        local.watch()

    show.step(f"The vendor of {broken.kind.title} goes down")
    broken.down()
    source.poll("customers")
    # This emulator's alarms look at no dimensions: an edit that waits for its details would ring for FieldMotion.
    nothing_waits()

    def state(wanted: str) -> bool:
        now = local.alarm(f"{broken.kind.name}-stale")
        show.move(f"stale alarm: {now}")
        return now == wanted

    def rings() -> bool:
        tick(rest)
        return state("ALARM")

    background.wait_for("the stale alarm", rings, timeout=60, pause=0.5)
    show.step("ALARM: nothing was polled for over 15 s, and the topic got a message. The watcher says:")
    for name, seconds in staleness(local).items():
        show.lines(f"{seconds:>4} s since the last successful poll", f"{MARGIN}{KINDS[name].title:<15}")
    broken.up()

    def quiet() -> bool:
        tick([source, *rest])
        return state("OK")

    background.wait_for("the alarm to end", quiet, timeout=120, pause=0.5)
    show.step("OK again: the vendor is back, and its streams went on where they were")


def staleness(local: Cloud) -> dict[str, int]:
    """How stale each source's stalest stream was when the watcher last looked.

    From its log, since this emulator's alarms look at no dimensions: all sources' alarms ring together here.
    """
    lines = [json.loads(line) for line in local.log("watcher") if "staleness_seconds" in line]
    last = {(each["source"], each["stream"]): each["staleness_seconds"] for each in lines}
    return {name: max(seconds for (source, _), seconds in last.items() if source == name) for name in KINDS}


def by_the_command_line(local: Cloud, vendor: FakeVendor, stream: str, show: Show) -> None:
    """Asks what a person would: how all stands, what became of the edited record, and whether the copy is whole."""
    source, identity = vendor.kind.name, first_id(vendor, stream)
    show.step("What a person on call would ask:")
    for question in (
        ["status"],
        ["explain", source, stream, identity],
        ["verify", source, stream, "--now", "--yes", "--why", "the demo"],
    ):
        print(f"\n$ tidemark {shlex.join(question)}", flush=True)
        local.tidemark(*question)


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
