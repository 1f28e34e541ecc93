"""The example of a consumer: what is stored reaches an HTTP endpoint, whatever the endpoint does meanwhile."""

import contextlib
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from copies import Copy
from local import background

TEMPLATE = background.ROOT / "examples" / "forward" / "template.yaml"
STREAM = "customers"


class Endpoint:
    """An HTTP endpoint that keeps what comes by id, and notes each request; `answers` go wrong first."""

    def __init__(self):
        self.kept, self.requests, self.answers = {}, [], {}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.answer(lambda identity: endpoint.kept.update({identity: body}))

            def do_DELETE(self):
                self.answer(lambda identity: endpoint.kept.pop(identity, None))

            def answer(self, keep):
                identity = urllib.parse.unquote(self.path.removeprefix("/customers/"))
                endpoint.requests.append((self.command, identity, self.headers["Fetched-At"]))
                wrong = endpoint.answers.get(identity, [])
                if not wrong:
                    keep(identity)
                self.send_response(wrong.pop(0) if wrong else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/customers"

    def told(self, identity):
        """The methods of the requests about a record, in order."""
        return [method for method, of, _ in self.requests if of == identity]


@pytest.fixture(scope="module")
def fieldaware(stack):
    """A source whose vendor announces deletions."""
    (vendor,) = (each for each in stack.others if each.kind.name == "fieldaware")
    found = Copy(stack, vendor)
    found.settle()
    return found


@pytest.fixture(scope="module")
def endpoint(stack, fieldaware):
    """An endpoint that the example forwards customers of FieldAware to."""
    found = Endpoint()
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(found.server.server_close)
        threading.Thread(target=found.server.serve_forever, daemon=True).start()
        cleanup.callback(found.server.shutdown)
        cleanup.callback(stack.cloud.client("cloudformation").delete_stack, StackName="forward")
        stack.cloud.deploy_other(
            TEMPLATE,
            "forward",
            RecordsStreamArn=stack.cloud.outputs()["RecordsStreamArn"],
            Partition=f"fieldaware#{STREAM}",
            Endpoint=found.url,
        )
        yield found


def refused(stack):
    """The queue of what the endpoint refused."""
    found = stack.cloud.client("cloudformation").describe_stacks(StackName="forward")["Stacks"][0]
    url = found["Outputs"][0]["OutputValue"]
    messages = stack.cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(each["Body"]) for each in messages]


def bodies(copy):
    """The vendor's customers, by id."""
    return {identity: each["body"] for identity, each in copy.truth(STREAM).items()}


def ticked(stack, fieldaware, condition, what):
    """Ticks the feed until `condition` holds."""

    def holds():
        fieldaware.source.poll_all()
        return condition()

    stack.until(holds, what, 90)


def test_the_endpoint_has_what_the_vendor_has(stack, fieldaware, endpoint):
    # GIVEN records that were stored before the consumer was there: the stream still has them
    stack.until(lambda: endpoint.kept == bodies(fieldaware), "all customers forwarded", 60)
    # WHEN one is edited, one is large, and one is new
    edited, large, *_ = fieldaware.ids(STREAM)
    fieldaware.vendor.post("edit", stream=STREAM, id=edited, set={"name": "Ümlaut & Söhne"})
    fieldaware.vendor.post("edit", stream=STREAM, id=large, set={"name": "n" * 310_000})
    fieldaware.vendor.post("add", stream=STREAM)
    ticked(stack, fieldaware, lambda: endpoint.kept == bodies(fieldaware), "edits forwarded byte by byte")
    assert "body_zstd" in fieldaware.source.records(STREAM)[large]
    # WHEN it is small again
    fieldaware.vendor.post("edit", stream=STREAM, id=large, set={"name": "n"})
    ticked(stack, fieldaware, lambda: endpoint.kept == bodies(fieldaware), "the small body forwarded")


def test_a_deleted_record_is_deleted(stack, fieldaware, endpoint):
    gone = fieldaware.ids(STREAM)[2]
    fieldaware.vendor.post("delete", stream=STREAM, id=gone)
    ticked(stack, fieldaware, lambda: gone not in endpoint.kept, "a deletion forwarded")
    assert endpoint.kept == bodies(fieldaware)


def test_an_endpoint_that_fails_gets_everything_when_it_is_back(stack, fieldaware, endpoint):
    failing, other = fieldaware.ids(STREAM)[3:5]
    endpoint.answers[failing] = [503, 429]
    for identity in (failing, other):
        fieldaware.vendor.post("edit", stream=STREAM, id=identity, set={"name": "edited in an outage"})
    ticked(stack, fieldaware, lambda: endpoint.kept == bodies(fieldaware), "edits forwarded after the outage")
    assert endpoint.told(failing)[-3:] == ["PUT", "PUT", "PUT"]
    assert refused(stack) == []


def test_a_record_that_is_refused_lies_in_the_queue_and_stops_no_other(stack, fieldaware, endpoint):
    poison, other = fieldaware.ids(STREAM)[5:7]
    endpoint.answers[poison] = [422]
    for identity in (poison, other):
        fieldaware.vendor.post("edit", stream=STREAM, id=identity, set={"name": "not to the endpoint's liking"})
    wanted = {identity: body for identity, body in bodies(fieldaware).items() if identity != poison}
    ticked(stack, fieldaware, lambda: wanted.items() <= endpoint.kept.items(), "the other edit forwarded")
    stack.until(lambda: not endpoint.answers[poison], "the refused edit tried")
    assert refused(stack) == [{"partition": f"fieldaware#{STREAM}", "id": poison, "status": 422}]


def test_a_record_that_is_stored_again_as_it_was_is_not_forwarded_again(stack, fieldaware, endpoint, tidemark):
    same, edited = fieldaware.ids(STREAM)[7:9]
    before = endpoint.told(same)

    def looked_at():
        return fieldaware.source.records(STREAM)[same]["fetched_at_ms"]

    old = looked_at()
    code, _, notes = tidemark("fetch", "fieldaware", STREAM, same, "--yes")
    assert code == 0, notes
    stack.until(lambda: looked_at() > old, "fetched again")
    # What comes later has come: so has all before it.
    fieldaware.vendor.post("edit", stream=STREAM, id=edited, set={"name": "later"})
    ticked(stack, fieldaware, lambda: endpoint.kept.get(edited) == bodies(fieldaware)[edited], "a later edit forwarded")
    assert endpoint.told(same) == before
