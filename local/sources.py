"""The four sources: their names in the template, their streams, and one of them in a running cloud."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local import background

if TYPE_CHECKING:
    from local.cloud import Cloud

Progress = Callable[[dict[str, int]], None]


@dataclass(frozen=True)
class Kind:
    """What is known of a source without a cloud."""

    # Its name in keys, metrics, logs and on the fake vendor's command line.
    name: str
    # What its parameters, resources and outputs in the template start with.
    prefix: str
    # For people.
    title: str
    # Streams that are polled, each with a checkpoint of its own.
    streams: tuple[str, ...]
    # Streams that its records are kept under, where they are others.
    record_streams: tuple[str, ...] = ()

    def kept_under(self) -> tuple[str, ...]:
        """The streams of its records."""
        return self.record_streams or self.streams


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "fieldmotion",
            "FieldMotion",
            "FieldMotion",
            ("customers", "jobs", "assets", "asset_types", "tasks", "stock_containers"),
        ),
        Kind(
            "fieldaware",
            "FieldAware",
            "FieldAware",
            ("changes",),
            (
                "jobs",
                "web_quotes",
                "field_quotes",
                "items",
                "tasks",
                "customers",
                "locations",
                "contacts",
                "assets",
                "invoices",
                "users",
                "unavailable_times",
                "unavailable_time_types",
                "working_hours_exceptions",
            ),
        ),
        Kind("fsmnavigator", "FsmNavigator", "FSM Navigator", ("jobs", "customers", "assets", "technicians")),
        Kind("fieldly", "Fieldly", "Fieldly", ("work_items", "clients", "time_reports", "travel_reports")),
    )
}


class Source:
    """One source of a deployed stack."""

    def __init__(self, cloud: Cloud, kind: Kind) -> None:
        self.cloud = cloud
        self.kind = kind

    def output(self, name: str) -> str:
        """An output of the stack, such as `QueueUrl`, by its name without the source's."""
        return self.cloud.outputs()[f"{self.kind.prefix}{name}"]

    def poll(self, stream: str) -> Any:
        """Runs one tick of a stream. Raises `FunctionFailed`."""
        return self.cloud.invoke(f"{self.kind.name}-poller", {"stream": stream})

    def poll_all(self, streams: Iterable[str] | None = None) -> None:
        """Runs one tick of every stream, side by side as their schedules do. Raises the first failure."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.poll, self.kind.streams if streams is None else streams))

    def settle(self, truth: dict[str, set[str]], timeout: float = 120, progress: Progress | None = None) -> None:
        """Ticks until the streams of `truth` store exactly these ids and the runs that stored them are over.

        A tick that ends one run may begin the next, so a run in progress alone says nothing. `progress` is told the
        number of stored records per stream after every round. Raises `TimeoutError`.
        """
        polled = self.kind.streams if self.kind.record_streams else tuple(truth)
        runs_when_stored: dict[str, str | None] | None = None

        def settled() -> bool:
            nonlocal runs_when_stored
            self.poll_all(polled)
            if self.queue_depth() > 0:
                return False  # there is no use in reading the whole table while messages are on their way
            stored = {stream: set() for stream in truth} | {
                stream: {identity for identity, each in records.items() if not each.get("deleted")}
                for stream, records in self.all_records().items()
                if stream in truth
            }
            if progress is not None:
                progress({stream: len(ids) for stream, ids in stored.items()})
            if stored != truth:
                return False
            runs = {stream: ((self.checkpoint(stream) or {}).get("run") or {}).get("run_id") for stream in polled}
            if runs_when_stored is None:
                runs_when_stored = runs
            return all(runs[stream] is None or runs[stream] != runs_when_stored[stream] for stream in polled)

        background.wait_for(f"{self.kind.title} to be stored and committed", settled, timeout, pause=0.5)

    def all_records(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The stored records by stream and id; tombstones included."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for each in self.cloud.scan("records"):
            if each["source"] == self.kind.name:
                found.setdefault(each["stream"], {})[each["id"]] = each
        return found

    def records(self, stream: str) -> dict[str, dict[str, Any]]:
        """The stored records of a stream, by id; tombstones included."""
        return self.all_records().get(stream, {})

    def checkpoint(self, stream: str) -> dict[str, Any] | None:
        """The checkpoint of a stream, once it was polled."""
        key = f"{self.kind.name}#{stream}"
        return next((each for each in self.cloud.scan("checkpoints") if each["stream_key"] == key), None)

    def quarantined(self) -> dict[str, int]:
        """How many ids of each polled stream are in quarantine."""
        counts = dict.fromkeys(self.kind.streams, 0)
        for each in self.cloud.scan("ledger"):
            kind, _, stream = each["partition"].partition(f"#{self.kind.name}#")
            if kind == "quarantine":
                counts[stream] += 1
        return counts

    def queue_depth(self, dead_letters: bool = False) -> int:
        """Messages in the change queue or the dead-letter queue, those in flight included."""
        url = self.output("DeadLetterQueueUrl" if dead_letters else "QueueUrl")
        counts = self.cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(counts[name]) for name in names)

    def rotate_secret(self, secret: dict[str, str]) -> None:
        """Puts another credential into the source's secret."""
        secrets = self.cloud.client("secretsmanager")
        secrets.put_secret_value(SecretId=f"tidemark/{self.kind.name}", SecretString=json.dumps(secret))
