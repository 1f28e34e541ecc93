"""The stack under test, the vendor that knows the truth, and the questions that tests ask of both.

Nothing here sleeps to let something happen: `Stack.until` asks again and again until it has happened, or tells what is
in the tables instead. Ticks are driven by the tests; the schedules of the deployed stack are too slow to fire.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pytest
from local.cloud import FUNCTIONS, Cloud
from local.vendor import FakeVendor, VendorRefused

T = TypeVar("T")

# The fields that the functions ask for where the vendor has more of them; see docs for `FieldMotionSettings`.
FIELDS = {stream: "id,name,last_edited" for stream in ("assets", "asset_types", "tasks")} | {"stock_containers": "id"}
STAMPLESS = ("stock_containers",)
# How far below what was scanned a list starts again; the shortest that is allowed.
OVERLAP_SECONDS = 41


class Stack:
    """The deployed stack, and FieldMotion in it with its fake vendor."""

    def __init__(self, cloud: Cloud, vendor: FakeVendor, others: list[FakeVendor]) -> None:
        self.cloud = cloud
        self.source = cloud.source("fieldmotion")
        self.vendor = vendor
        # The fake vendors of the other three sources, which `copies` looks after.
        self.others = others
        # Bodies of all queue messages that passed through the hands of a test.
        self.messages: list[str] = []
        # Detail calls of the first import, by stream.
        self.imported_by: dict[str, list[str]] = {}

    # ---- waiting ------------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], T], what: str, seconds: float = 30) -> T:
        """Asks until `condition` holds, and returns what it answered; fails with the state of the tables otherwise."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                pytest.fail(f"expected within {seconds:.0f} s: {what}\n{self.state()}", pytrace=False)
            time.sleep(0.2)
        return found

    def list_anew(self, *streams: str) -> None:
        """Ticks the streams so that each is listed: one tick does not, while ids of an earlier run are under way."""
        for stream in streams:
            self.until(lambda stream=stream: not self.pending(stream), f"the open run of {stream} stored")
        self.source.poll_all(streams)

    def settle(self, *streams: str, seconds: float = 60) -> None:
        """Ticks the streams until each is a copy of the vendor's truth, and what brought it there is committed.

        A stream need not be idle then: ids of the overlap zone are looked at again until the zone has settled.
        """

        def equal() -> bool:
            self.source.poll_all(streams)
            return not any(self.differences(stream) for stream in streams)

        end = time.monotonic() + seconds
        while not equal():
            if time.monotonic() > end:
                found = [difference for stream in streams for difference in self.differences(stream)]
                text = "\n  ".join(found[:20])
                pytest.fail(
                    f"expected within {seconds:.0f} s: {', '.join(streams)} equal to the vendor's truth\n"
                    f"differences:\n  {text}\n{self.state()}",
                    pytrace=False,
                )
        runs = {stream: self.run_id(stream) for stream in streams}

        def committed() -> bool:
            waiting = [stream for stream, run in runs.items() if run and self.run_id(stream) == run]
            self.source.poll_all(waiting)
            return not waiting

        self.until(committed, f"the runs of {', '.join(streams)} committed", seconds)

    def idle(self, *streams: str) -> None:
        """Ticks the streams until a tick finds nothing to do: what was edited lately is looked at more than once."""

        def is_idle() -> bool:
            self.list_anew(*streams)
            return not any(self.open_run(stream) for stream in streams)

        self.until(is_idle, f"{', '.join(streams)} idle", 90)

    def state(self) -> str:
        """What is in the tables and queues, for a failure."""
        lines = ["what is there:"]
        counts = Counter(each["stream"] for each in self.cloud.scan("records"))
        for each in sorted(self.cloud.scan("checkpoints"), key=lambda each: each["stream_key"]):
            stream = each["stream_key"].removeprefix("fieldmotion#")
            run = each.get("run")
            doing = f"run {run['run_id']}, {run['pending_count']} of {run['listed_count']} pending" if run else "idle"
            lines.append(
                f"  {stream}: {counts[stream]} records, committed {each['committed']['text']}, "
                f"scanned {each['scanned']['text']}, {doing}"
            )
        for each in self.cloud.scan("ledger"):
            kind = each["partition"].split("#")[0]
            if kind == "quarantine":
                lines.append(f"  {each['partition']}: {each['item']}: {each['reason']}")
            elif kind == "breaker":
                lines.append(f"  {each['partition']} {each['item']}: {each.get('why', 'closed')}")
            elif each.get("pending"):
                parked = ", parked" if each["parked"] else ""
                lines.append(f"  {each['partition']} {each['item']}: {len(each['pending'])} pending{parked}")
        depth, dead = self.source.queue_depth(), self.source.queue_depth(dead_letters=True)
        lines.append(f"  {depth} messages waiting or in flight, {dead} dead letters")
        alarms = self.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
        lines += [f"  {each['AlarmName']}: {each['StateValue']}" for each in alarms if each["StateValue"] == "ALARM"]
        for function in ("fieldmotion-poller", "fieldmotion-fetcher", "watcher"):
            lines += [f"  {function}: {line[:400]}" for line in self.cloud.log(function)[-4:]]
        return "\n".join(lines)

    # ---- the copy and the truth ---------------------------------------------------------------------------------

    def truth(self, stream: str) -> dict[str, Any]:
        """What a copy of the stream must hold, by id: what lists show, as a detail answers it."""
        records = self.vendor.truth(stream, FIELDS.get(stream))
        return {identity: each for identity, each in records.items() if each["active"] and not each["deleted"]}

    def differences(self, stream: str) -> list[str]:
        """How the copy differs from the vendor's truth; bodies are compared byte by byte."""
        truth, stored = self.truth(stream), self.source.records(stream)
        found = []
        for identity, true in truth.items():
            record = stored.get(identity)
            if record is None or record.get("deleted"):
                found.append(f"{stream} {identity!r}: {'missing' if record is None else 'marked deleted'}")
            elif record["body"] != true["body"]:
                found.append(f"{stream} {identity!r}: stored {record['body']}\n    but the vendor has {true['body']}")
            elif record["hash"].value != hashlib.sha256(true["body"].encode()).digest()[:16]:
                found.append(f"{stream} {identity!r}: its hash is not that of its body")
            elif is_stamped(true) and record.get("last_edited") != true["last_edited"]:
                found.append(f"{stream} {identity!r}: stamp {record.get('last_edited')}, not {true['last_edited']}")
        strangers = set(stored) - set(self.vendor.truth(stream, "id"))
        return found + [f"{stream} {identity!r}: the vendor never had it" for identity in sorted(strangers)]

    def record(self, stream: str, identity: str) -> dict[str, Any]:
        """A stored record."""
        return self.source.records(stream)[identity]

    def ids(self, stream: str) -> list[str]:
        """The ids that the vendor lists, in the order in which chunks are cut."""
        return sorted(self.truth(stream))

    def edit(self, stream: str, *identities: str, **fields: str) -> None:
        """Edits records at the vendor."""
        self.vendor.post("edit", stream=stream, ids=list(identities), set=fields)

    # ---- checkpoints and ledger ---------------------------------------------------------------------------------

    def checkpoint(self, stream: str) -> dict[str, Any]:
        """The checkpoint of a stream."""
        found = self.source.checkpoint(stream)
        assert found is not None, f"{stream} has no checkpoint\n{self.state()}"
        return found

    def committed(self, stream: str) -> int:
        """Up to where a stream is committed, in milliseconds."""
        return int(self.checkpoint(stream)["committed"]["order"])

    def commits_past(self, stream: str, before: int) -> None:
        """Ticks the stream until it is committed past an earlier checkpoint.

        An edit in the very second of its listing is committed by the next run: the vendor tells whole seconds.
        """

        def is_past() -> bool:
            self.source.poll(stream)
            return self.committed(stream) > before

        self.until(is_past, f"{stream} committed past {before}")

    def scanned(self, stream: str) -> int:
        """Up to where a stream was listed, in milliseconds."""
        return int(self.checkpoint(stream)["scanned"]["order"])

    def open_run(self, stream: str) -> dict[str, Any] | None:
        """The run under way, if there is one."""
        found = self.source.checkpoint(stream)
        return found.get("run") if found else None

    def run_id(self, stream: str) -> str | None:
        """The id of the run under way."""
        run = self.open_run(stream)
        return run["run_id"] if run else None

    def chunks(self, stream: str) -> list[dict[str, Any]]:
        """The chunks of the stream's open run, in order."""
        run = self.open_run(stream)
        wanted = f"run#fieldmotion#{stream}#{run['run_id']}" if run else None
        found = [each for each in self.cloud.scan("ledger") if each["partition"] == wanted]
        return sorted(found, key=lambda each: each["item"])

    def pending(self, stream: str) -> set[str]:
        """The ids that the stream's open run still owes."""
        return {identity for chunk in self.chunks(stream) for identity in chunk.get("pending", ())}

    def quarantined(self, stream: str) -> dict[str, dict[str, Any]]:
        """The stream's quarantine, by id."""
        wanted = f"quarantine#fieldmotion#{stream}"
        return {each["item"]: each for each in self.cloud.scan("ledger") if each["partition"] == wanted}

    def breaker(self, source: str = "fieldmotion") -> dict[str, Any]:
        """The breaker of a source; empty before the first failure."""
        found = (each for each in self.cloud.scan("ledger") if each["partition"] == f"breaker#{source}")
        return next((each for each in found if each["item"] == "-"), {})

    def breaker_time_is_up(self, source: str = "fieldmotion") -> None:
        """Ends the breaker's pause now: the tests' own clock, so that they need not wait a minute for the probe."""
        if "open_until" in self.breaker(source):
            self._move_back_in_ledger(f"breaker#{source}", "-", "open_until")

    def quarantine_time_is_up(self, stream: str, identity: str) -> None:
        """Lets the next try of a quarantined id be due: the tests' own clock, as its ladder begins at 15 minutes."""
        self._move_back_in_ledger(f"quarantine#fieldmotion#{stream}", identity, "next_at")

    def lease_time_is_up(self, stream: str) -> None:
        """Ends the lease of a poller that was killed: the tests' own clock, as a lease lasts three minutes."""
        key = {"stream_key": {"S": f"fieldmotion#{stream}"}}
        self._move_back("CheckpointsTable", key, "lease_until")

    def _move_back_in_ledger(self, partition: str, item: str, attribute: str) -> None:
        self._move_back("LedgerTable", {"partition": {"S": partition}, "item": {"S": item}}, attribute)

    def _move_back(self, table: str, key: dict[str, Any], attribute: str) -> None:
        two_days_ago = int(time.time() * 1000) - 2 * 86_400_000
        self.cloud.client("dynamodb").update_item(
            TableName=self.cloud.outputs()[table],
            Key=key,
            UpdateExpression="SET #attribute = :past",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":past": {"N": str(two_days_ago)}},
        )

    # ---- what the vendor was asked ------------------------------------------------------------------------------

    def now_asked(self) -> int:
        """The number of the vendor's last request, to tell earlier ones from later ones."""
        return max((each["number"] for each in self.vendor.get("requests")["requests"]), default=0)

    def details(self, stream: str, after: int) -> list[str]:
        """The ids of the stream whose details were asked for after request `after`, in order."""
        requests = self.vendor.get("requests")["requests"]
        asked = (each for each in requests if each["number"] > after and each["stream"] == stream)
        return [each["id"] for each in asked if each["kind"] == "detail"]

    def is_held(self, stream: str, identity: str | None = None) -> None:
        """Waits until a held request for this record, or for the stream's list, has arrived."""
        wanted = {"stream": stream, "wait_ms": 20_000} | ({"id": identity} if identity else {})
        try:
            self.vendor.get("held", **wanted)
        except VendorRefused as refused:
            pytest.fail(f"expected a request to be held: {refused}\n{self.state()}", pytrace=False)

    # ---- the queue ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def deliveries_paused(self) -> Iterator[None]:
        """Keeps messages in the queue, where a test can take them, instead of delivering them to the fetcher."""
        functions = self.cloud.client("lambda")
        name = self.cloud.outputs()[FUNCTIONS["fieldmotion-fetcher"]]
        mapping = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"][0]["UUID"]
        functions.update_event_source_mapping(UUID=mapping, Enabled=False)
        try:
            yield
        finally:
            functions.update_event_source_mapping(UUID=mapping, Enabled=True)

    @contextlib.contextmanager
    def visibility_timeout(self, seconds: int) -> Iterator[None]:
        """Shortens the queue's visibility timeout, so that a message comes back soon."""
        self._set_visibility_timeout(seconds)
        try:
            yield
        finally:
            self._set_visibility_timeout(60)

    def _set_visibility_timeout(self, seconds: int) -> None:
        attributes = {"VisibilityTimeout": str(seconds)}
        self.cloud.client("sqs").set_queue_attributes(QueueUrl=self.queue(), Attributes=attributes)

    def queue(self, dead_letters: bool = False) -> str:
        """The address of the change queue, or of its dead-letter queue."""
        return self.cloud.outputs()["FieldMotionDeadLetterQueueUrl" if dead_letters else "FieldMotionQueueUrl"]

    def take(self, count: int, dead_letters: bool = False) -> list[str]:
        """Takes so many messages out of the queue, for good, and returns their bodies."""
        sqs, queue = self.cloud.client("sqs"), self.queue(dead_letters)
        bodies: list[str] = []

        def took() -> bool:
            received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in received.get("Messages", ()):
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return len(bodies) >= count

        self.until(took, f"{count} messages in {queue}")
        self.messages += bodies
        return bodies

    def send(self, body: str) -> str:
        """Sends a message to the change queue and returns its id."""
        return self.cloud.client("sqs").send_message(QueueUrl=self.queue(), MessageBody=body)["MessageId"]

    def line_about(self, message_id: str) -> dict[str, Any] | None:
        """The fetcher's last line about a message."""
        lines = (json.loads(line) for line in self.cloud.log("fieldmotion-fetcher") if message_id in line)
        return next((line for line in reversed(list(lines)) if line.get("message_id") == message_id), None)

    # ---- alarms -------------------------------------------------------------------------------------------------

    def alarm_is(self, name: str, wanted: str, ticking: Iterable[str] = (), seconds: float = 60) -> None:
        """Runs the watcher, and ticks `ticking` before, until the alarm is in this state.

        The other sources are kept fresh all the while: this emulator's alarms look at no dimensions.
        """

        def is_so() -> bool:
            self.source.poll_all(ticking)
            for other in self.others:
                self.cloud.source(other.kind.name).poll_all()
            self.cloud.watch()
            return self.cloud.alarm(name) == wanted

        self.until(is_so, f"alarm {name} in state {wanted}", seconds)


def is_stamped(true: dict[str, Any]) -> bool:
    """Whether a record of the truth shows its true stamp."""
    return true["row"].get("last_edited") == true["last_edited"]


def queue_event(*bodies: str) -> dict[str, Any]:
    """An event as the queue delivers it; the messages are named m0, m1 and so on."""
    records = [
        {
            "messageId": f"m{number}",
            "receiptHandle": f"receipt-{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "awsRegion": "us-east-1",
        }
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def failed_messages(response: dict[str, Any]) -> list[str]:
    """The messages that a partial batch response gives back."""
    return [each["itemIdentifier"] for each in response["batchItemFailures"]]
