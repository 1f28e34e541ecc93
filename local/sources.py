"""The sources: what the registry knows of each, and one of them in a running cloud."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

try:
    from compression import zstd
except ImportError:  # Python before 3.14
    from backports import zstd

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
    # As texts show it.
    title: str
    # Streams that are polled here, each with a checkpoint of its own.
    streams: tuple[str, ...]
    # Streams that its records are kept under, where they are others.
    record_streams: tuple[str, ...]
    # How many records of which stream its fake vendor holds in the demo. One of the first is edited.
    demo: dict[str, int]

    def kept_under(self) -> tuple[str, ...]:
        """The streams of its records."""
        return self.record_streams or self.streams


# Every source by name; a test of the registry holds the file to the code.
REGISTRY = json.loads((background.ROOT / "shared" / "sources" / "sources.json").read_text())


def kind(name: str, known: dict[str, Any]) -> Kind:
    """A source of the registry, with the streams that are on in the local cloud."""
    on_locally = known.get("on_locally", ())
    streams = tuple(each["name"] for each in known["streams"] if each["on_by_default"] or each["name"] in on_locally)
    return Kind(name, known["prefix"], known["title"], streams, tuple(known.get("record_streams", ())), known["demo"])


KINDS = {name: kind(name, known) for name, known in REGISTRY.items()}


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
        """Ticks until the streams of `truth` store exactly these ids and all that was listed before is committed.

        `progress` gets the number of stored records per stream after every round. Raises `TimeoutError`.
        """
        polled = self.kind.streams if self.kind.record_streams else tuple(truth)
        scanned: dict[str, int] | None = None

        def settled() -> bool:
            nonlocal scanned
            self.poll_all(polled)
            stored = {
                stream: {identity for identity, each in self.records(stream).items() if not each.get("deleted")}
                for stream in truth
            }
            if progress is not None:
                progress({stream: len(ids) for stream, ids in stored.items()})
            if stored != truth:
                return False
            if scanned is None:
                scanned = {stream: self.position(stream, "scanned") for stream in polled}
            return all(self.position(stream, "committed") >= order for stream, order in scanned.items())

        background.wait_for(f"{self.kind.title} to be stored and committed", settled, timeout, pause=0.5)

    def all_records(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The stored records by stream and id; tombstones included."""
        return {stream: self.records(stream) for stream in self.kind.kept_under()}

    def records(self, stream: str) -> dict[str, dict[str, Any]]:
        """The stored records of a stream, by id; tombstones included."""
        return {each["id"]: each for each in self.cloud.partition("records", self._key(stream))}

    def checkpoint(self, stream: str) -> dict[str, Any] | None:
        """The checkpoint of a stream, once it was polled."""
        key = self._key(stream)
        return next((each for each in self.cloud.scan("checkpoints") if each["stream_key"] == key), None)

    def position(self, stream: str, name: str) -> int:
        """The position `scanned` or `committed` of a polled stream, as the number that positions are compared by."""
        checkpoint = self.checkpoint(stream)
        if checkpoint is None:
            raise RuntimeError(f"{self._key(stream)} was never polled")
        return int(checkpoint[name]["order"])

    def chunks(self, stream: str, *lanes: str) -> list[dict[str, Any]]:
        """The chunks that a polled stream owes, of the lanes `fresh` and `bulk` or of one of them, in their order."""
        items = self._owed(stream)
        return [each for each in items if each["item"].split("#")[0] in (lanes or ("fresh", "bulk"))]

    def owed(self, stream: str, *lanes: str) -> set[str]:
        """The ids that a polled stream owes in these lanes, or in both."""
        return {identity for chunk in self.chunks(stream, *lanes) for identity in ids_owed(chunk)}

    def retries(self, stream: str) -> dict[str, dict[str, Any]]:
        """The retry lane of a polled stream, which is its quarantine, by id."""
        return {each["id"]: each for each in self._owed(stream) if each["item"].startswith("retry")}

    def stream_state(self, stream: str) -> dict[str, Any]:
        """What the functions of a polled stream share; empty before there is anything to say."""
        return next((each for each in self._owed(stream) if each["item"] == "state"), {})

    def sweeps(self, stream: str) -> dict[str, Any]:
        """The state of a polled stream's sweeps; empty before the first was asked for."""
        found = [each["state"] for each in self._owed(stream) if each["item"] == "sweep"]
        return json.loads(found[0]) if found else {}

    def state(self) -> dict[str, Any]:
        """What all functions of the source share; empty before there is anything to say."""
        return next(iter(self.cloud.partition("ledger", f"source#{self.kind.name}")), {})

    def _key(self, stream: str) -> str:
        return f"{self.kind.name}#{stream}"

    def _owed(self, stream: str) -> list[dict[str, Any]]:
        return self.cloud.partition("ledger", f"work#{self._key(stream)}")

    def quarantined(self) -> dict[str, int]:
        """How many ids of each polled stream are in quarantine."""
        return {stream: len(self.retries(stream)) for stream in self.kind.streams}

    def queue_depth(self, dead_letters: bool = False) -> int:
        """Messages in the change queue or the dead-letter queue, those in flight included."""
        url = self.output("DeadLetterQueueUrl" if dead_letters else "QueueUrl")
        counts = self.cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(counts[name]) for name in names)

    def rotate_secret(self, secret: dict[str, str]) -> None:
        """Puts another credential into the source's secret."""
        secrets = self.cloud.client("secretsmanager")
        secrets.put_secret_value(SecretId=f"{self.cloud.stack}/{self.kind.name}", SecretString=json.dumps(secret))


def ids_owed(chunk: dict[str, Any]) -> list[str]:
    """The ids that a chunk still owes: `shared/aws/src/dynamodb/ledger/chunks.rs` says how it keeps them."""
    owed = {bytes(each) for each in chunk.get("owed", ())}
    listed = json.loads(zstd.decompress(bytes(chunk["listed_zstd"])))
    return [identity for identity in listed if hashlib.sha256(identity.encode()).digest()[:8] in owed]
