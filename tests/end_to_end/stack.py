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
FIELDS = {
    "assets": "id,name,is_active,cdate,customer_id,notes,meta,custom_values,last_edited",
    "asset_types": "id,name,is_active,cdate,notes,meta,last_edited",
    "tasks": "id,name,is_active,cdate,customer_id,notes,meta,last_edited",
    "users": "id,name,email,is_active,last_edited",
    "vehicles": "id,name,is_active,last_edited",
    "departments": "id,name,users,assets,last_edited",
    "stock_containers": "id",
}
# Their lists say all that there is to say.
WITHOUT_DETAILS = ("users", "vehicles", "departments", "stock_containers")
# How often pollers expect to be called. The schedules themselves never fire during the tests.
POLL_RATE = "rate(1 minute)"
# The session of a test that takes a role to try its limits.
TRIAL = "trial"
# A chunk holds so many ids.
CHUNK = 50


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

    def settle(self, *streams: str, seconds: float = 60) -> None:
        """Ticks the streams until each is a copy of the vendor's truth, and what brought it there is committed.

        A stream need not be idle then: ids of the overlap are looked at again until it has passed them.
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
        self.commits(*streams, seconds=seconds)

    def commits(self, *streams: str, seconds: float = 60) -> None:
        """Ticks the streams until all that was listed before is committed."""
        scanned = {stream: self.scanned(stream) for stream in streams}

        def committed() -> bool:
            waiting = [stream for stream, order in scanned.items() if self.committed(stream) < order]
            self.source.poll_all(waiting)
            return not waiting

        self.until(committed, f"{', '.join(streams)} committed up to {scanned}", seconds)

    def idle(self, *streams: str) -> None:
        """Ticks the streams until a tick finds nothing to do: what was edited lately is looked at more than once."""

        def is_idle() -> bool:
            self.source.poll_all(streams)
            return not any(self.source.owed(stream) for stream in streams)

        self.until(is_idle, f"{', '.join(streams)} idle", 120)

    def paid(self, *streams: str, seconds: float = 30) -> None:
        """Waits, without a tick, until the streams owe nothing but what is in quarantine."""
        self.until(lambda: not any(self.pending(each) for each in streams), f"{', '.join(streams)} paid", seconds)

    def state(self) -> str:
        """What is in the tables and queues, for a failure."""
        lines = ["what is there:"]
        counts = Counter(each["partition"] for each in self.cloud.scan("records"))
        for each in sorted(self.cloud.scan("checkpoints"), key=lambda each: each["stream_key"]):
            stream = each["stream_key"].removeprefix("fieldmotion#")
            lines.append(
                f"  {stream}: {counts[each['stream_key']]} records, committed {each['committed']['text']}, "
                f"scanned {each['scanned']['text']}, {len(each['backlog'])} listings under way"
            )
        for each in self.cloud.scan("ledger"):
            if "reason" in each:
                lines.append(f"  {each['partition']}: {each['id']}: {each['reason']}: {each['cause']}")
            elif "ids" in each:
                lines.append(f"  {each['partition']} {each['item']}: {len(each['ids'])} ids, next at {each['next_at']}")
            elif "open_until" in each:
                lines.append(f"  {each['partition']} {each['item']}: paused: {each['why']}")
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
        """Ticks the stream until it is committed past an earlier checkpoint."""

        def is_past() -> bool:
            self.source.poll(stream)
            return self.committed(stream) > before

        self.until(is_past, f"{stream} committed past {before}")

    def scanned(self, stream: str) -> int:
        """Up to where a stream was listed, in milliseconds."""
        return int(self.checkpoint(stream)["scanned"]["order"])

    def lose(self, stream: str, *identities: str, source: str = "fieldmotion") -> None:
        """Removes records from the table, as a hand or a fault does."""
        table = self.cloud.outputs()["RecordsTable"]
        for identity in identities:
            key = {"partition": {"S": f"{source}#{stream}"}, "id": {"S": identity}}
            self.cloud.client("dynamodb").delete_item(TableName=table, Key=key)

    def pending(self, stream: str) -> set[str]:
        """The ids that the stream owes, but for those in quarantine."""
        return self.source.owed(stream)

    def quarantined(self, stream: str) -> dict[str, dict[str, Any]]:
        """The stream's quarantine, by id."""
        return self.source.retries(stream)

    def is_paused(self, source: str = "fieldmotion", stream: str | None = None) -> bool:
        """Whether a source, or one of its streams, pauses after failures. A pause that is over counts until a call
        succeeds."""
        found = self.cloud.source(source)
        return "open_until" in (found.state() if stream is None else found.stream_state(stream))

    def trouble_is_over(self, source: str = "fieldmotion", stream: str | None = None) -> None:
        """Ends all pauses of a source, and lets all that it owes, or one of its streams, be due to be sent: the tests'
        own clock, so that they need not wait minutes for what comes by itself."""
        streams = self.cloud.source(source).kind.streams if stream is None else (stream,)
        partitions = [f"source#{source}", *(f"work#{source}#{each}" for each in streams)]
        for item in (item for partition in partitions for item in self.cloud.partition("ledger", partition)):
            for attribute in {"open_until", "next_at"} & item.keys():
                self._move_back_in_ledger(item["partition"], item["item"], attribute)

    def lease_is_over(self, stream: str, source: str = "fieldmotion") -> None:
        """Ends the lease of a poller that was killed: the tests' own clock, as a lease lasts three minutes."""
        self._move_back_in_checkpoint(source, stream, "lease_until")

    def looks_are_evidence(self, *streams: str) -> None:
        """Lets looks say at once how far stamps may lag the vendor's clock: the tests' own clock, as those in the first
        400 s say nothing, and lists start 26 hours earlier until then."""
        for stream in streams:
            self._move_back_in_checkpoint("fieldmotion", stream, "evidence_from")

    def snapshot_is_due(self, source: str) -> None:
        """Lets a feed's first import begin: the tests' own clock, as it waits until what came before its token shows.

        A minute is enough, and little enough for what else depends on when it began.
        """
        for stream in self.cloud.source(source).kind.streams:
            backlog = (self.cloud.source(source).checkpoint(stream) or {}).get("backlog")
            if backlog and backlog[0]["scope"]["kind"] == "snapshot" and backlog[0]["cursor"]["kind"] == "start":
                self.cloud.client("dynamodb").update_item(
                    TableName=self.cloud.outputs()["CheckpointsTable"],
                    Key={"stream_key": {"S": f"{source}#{stream}"}},
                    UpdateExpression="SET backlog[0].begun_at = :earlier",
                    ExpressionAttributeValues={":earlier": {"N": str(backlog[0]["begun_at"] - 60_000)}},
                )

    def forget(self, stream: str, source: str = "fieldmotion") -> None:
        """Makes a stream one that was never polled: without a checkpoint, without anything owed or stored."""
        found = self.cloud.source(source)
        dynamodb, tables = self.cloud.client("dynamodb"), self.cloud.outputs()
        kept = found.kind.record_streams or (stream,)
        for table, name, partitions in (
            ("ledger", "LedgerTable", [f"work#{source}#{stream}"]),
            ("records", "RecordsTable", [f"{source}#{each}" for each in kept]),
        ):
            sort = {"ledger": "item", "records": "id"}[table]
            for item in (item for partition in partitions for item in self.cloud.partition(table, partition)):
                key = {"partition": {"S": item["partition"]}, sort: {"S": item[sort]}}
                dynamodb.delete_item(TableName=tables[name], Key=key)
        key = {"stream_key": {"S": f"{source}#{stream}"}}
        dynamodb.delete_item(TableName=tables["CheckpointsTable"], Key=key)

    def _move_back_in_checkpoint(self, source: str, stream: str, attribute: str) -> None:
        self._move_back("CheckpointsTable", {"stream_key": {"S": f"{source}#{stream}"}}, attribute)

    def _move_back_in_ledger(self, partition: str, item: str, attribute: str) -> None:
        self._move_back("LedgerTable", {"partition": {"S": partition}, "item": {"S": item}}, attribute)

    def _move_back(self, table: str, key: dict[str, Any], attribute: str) -> None:
        """Sets an instant to two days ago, unless a function has taken it away meanwhile."""
        two_days_ago = int(time.time() * 1000) - 2 * 86_400_000
        dynamodb = self.cloud.client("dynamodb")
        with contextlib.suppress(dynamodb.exceptions.ConditionalCheckFailedException):
            dynamodb.update_item(
                TableName=self.cloud.outputs()[table],
                Key=key,
                UpdateExpression="SET #attribute = :past",
                ConditionExpression="attribute_exists(#attribute)",
                ExpressionAttributeNames={"#attribute": attribute},
                ExpressionAttributeValues={":past": {"N": str(two_days_ago)}},
            )

    @contextlib.contextmanager
    def deployed_with(self, source: str = "fieldmotion", **variables: str) -> Iterator[None]:
        """Gives poller and fetcher of a source other values of environment variables, as a deployment would."""
        functions = [f"{source}-{role}" for role in ("poller", "fetcher")]
        before = {function: self.cloud.variables(function) for function in functions}
        try:
            for function in functions:
                self.cloud.set_variables(function, **variables)
            yield
        finally:
            for function in functions:
                self.cloud.set_variables(function, **before[function])

    # ---- what the vendor was asked ------------------------------------------------------------------------------

    def now_asked(self, vendor: FakeVendor | None = None) -> int:
        """The number of the vendor's last request, to tell earlier ones from later ones."""
        requests = (vendor or self.vendor).get("requests")["requests"]
        return max((each["number"] for each in requests), default=0)

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
        """Keeps messages in the queue, where a test can take them, instead of delivering them to the fetcher.

        Who counts them makes the stream `idle` first, as looks that are still under way leave messages, too.
        """
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
