"""Malformed events, messages, ids and stamps: each gets a clear answer, and harms nothing else."""

import json
import time

import pytest
from local.background import ROOT
from local.cloud import FunctionFailed
from local.sources import KINDS
from stack import failed_messages, queue_event

FIRST, SECOND = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
LISTED = {"quiet", "owing", "importing"}
# What the deployed function answers: the outcomes of which it names one, the messages it gives back, or the error with
# words it must contain. Nothing, for the watcher.
EVENTS = {
    "poller-customers": LISTED,
    "poller-fieldaware-changes": LISTED,
    "poller-fieldly-work-items": LISTED,
    "poller-fsmnavigator-customers": LISTED,
    "poller-fsmnavigator-jobs": LISTED,
    "poller-jobs": LISTED,
    "poller-keep-account": {"done"},
    "poller-malformed": ("MalformedEvent", ["fieldmotion", '{"stream":"<name>"}', "customers", "schedule"]),
    "poller-probe-record": {"probed"},
    "poller-backfill-estimate": {"done"},
    "poller-backfill": {"done"},
    # It is over already where nothing had to be waited for.
    "poller-backfill-cancel": {"done", "nothing_to_do"},
    "poller-probe-list": {"probed"},
    "poller-probe-stream": {"probed"},
    "poller-rewind": {"done"},
    "poller-start-again": {"done"},
    "poller-sweep": {"done"},
    "poller-sweep-all": {"asked"},
    "poller-sweep-sample": {"done"},
    "poller-sweep-approve": {"nothing_to_do"},
    "poller-unknown-stream": ("UnknownStream", ["fieldmotion", "invoices", "customers", "schedule"]),
    "watcher-scheduled": None,
    "fetcher-bad-json": [FIRST],
    "fetcher-bulk-chunk": [],
    "fetcher-empty-batch": [],
    "fetcher-fieldaware-locators": [],
    "fetcher-fieldly-rows": [],
    "fetcher-foreign-message": [FIRST],
    "fetcher-fsmnavigator-rows": [],
    "fetcher-mixed-batch": [SECOND],
    "fetcher-newer-version": [FIRST],
    "fetcher-no-chunk": [FIRST],
    "fetcher-odd-ids": [],
    "fetcher-older-version": [FIRST],
    "fetcher-one-chunk": [],
    "fetcher-other-source": [FIRST],
    "fetcher-redelivered-chunk": [],
    "fetcher-retry-entry": [],
    "fetcher-unknown-stream": [FIRST],
}


def test_every_sample_event_has_an_expected_answer():
    assert {each.stem for each in (ROOT / "events").glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_a_sample_event_is_answered_as_documented(stack, name):
    event = json.loads((ROOT / "events" / f"{name}.json").read_text())
    function, expected = name.split("-")[0], EVENTS[name]
    if function != "watcher":
        source = name.split("-")[1]
        function = f"{source if source in KINDS else 'fieldmotion'}-{function}"
    if isinstance(expected, tuple):
        kind, words = expected
        with pytest.raises(FunctionFailed) as failed:
            stack.cloud.invoke(function, event)
        answer = failed.value.payload
        assert answer["errorType"] == kind, answer
        assert [word for word in words if word not in answer["errorMessage"]] == [], answer
        return
    # The chunks of the samples are in no ledger: a message without its chunk asks the vendor for nothing.
    mark = stack.now_asked()
    answer = stack.cloud.invoke(function, event)
    if expected is None:
        assert answer is None
    elif isinstance(expected, set):
        assert answer["outcome"] in expected, answer
    else:
        assert failed_messages(answer) == expected
        assert stack.details("customers", mark) == []


def test_the_copy_is_whole_after_what_operators_asked_for(stack):
    stack.settle("customers", seconds=120)
    stack.looks_are_evidence("customers")


def test_a_foreign_message_fails_alone_and_ends_in_the_dead_letter_queue(stack):
    customer, job = stack.ids("customers")[60], stack.ids("jobs")[60]
    stack.idle("customers", "jobs")
    stack.edit("customers", customer, notes="beside a foreign message")
    stack.edit("jobs", job, job_ref="beside a foreign message")
    with stack.deliveries_paused():
        stack.source.poll_all(("customers", "jobs"))
        one, two = stack.take(2)
    foreign = '{"Type":"Notification","Message":"not for us"}'
    assert failed_messages(stack.cloud.invoke("fieldmotion-fetcher", queue_event(one, foreign, two))) == ["m1"]
    assert "foreign message" in stack.record("customers", customer)["body"]
    assert "foreign message" in stack.record("jobs", job)["body"]
    stack.settle("customers", "jobs")

    # The queue gives it up after eight deliveries; a short visibility timeout makes that seconds.
    with stack.visibility_timeout(0):
        sent = stack.send(foreign)
        stack.until(lambda: stack.source.queue_depth(dead_letters=True), "the message in the dead-letter queue", 60)
    line = stack.line_about(sent)
    assert line["outcome"] == "not_ours", line
    assert "not for us" not in json.dumps(line)
    assert stack.take(1, dead_letters=True) == [foreign]


def test_rows_in_a_message_about_an_id_stream_are_not_believed(stack):
    identity, unowed = stack.ids("customers")[62:64]
    stack.idle("customers")
    stack.edit("customers", identity, notes="true")
    with stack.deliveries_paused():
        stack.source.poll("customers")
        (body,) = stack.take(1)
    genuine, stored = json.loads(body), stack.record("customers", unowed)
    assert identity in genuine["ids"] and unowed not in genuine["ids"]
    row = {"body": {"id": identity, "notes": "invented"}}
    row["stamp"] = {"text": "2100-01-01 00:00:00", "at": 4102444800000, "utc": 4102444800000}
    forged = genuine | {"ids": [identity, unowed], "rows": {identity: row, unowed: row}}
    # With a member that messages do not have it is not even read.
    dated = json.dumps(forged | {"listed_at": 4102444800000})
    assert failed_messages(stack.cloud.invoke("fieldmotion-fetcher", queue_event(dated))) == ["m0"]
    # Else the record is fetched, and what is not owed is skipped.
    mark = stack.now_asked()
    assert failed_messages(stack.cloud.invoke("fieldmotion-fetcher", queue_event(json.dumps(forged)))) == []
    assert stack.details("customers", mark) == [identity]
    assert "invented" not in stack.record("customers", identity)["body"]
    assert stack.record("customers", unowed) == stored
    stack.send(body)
    stack.settle("customers")
    # Later edits of both are stored like any other.
    stack.edit("customers", identity, unowed, notes="later")
    stack.settle("customers")


@pytest.mark.parametrize("identity", ["12#34", "a b", "🛠", "../7", "%2F", "é\"\\'<>&", "0", "-5", "-0", "9" * 200])
def test_an_odd_id_is_an_id_like_any_other(stack, identity):
    stack.vendor.post("add", stream="assets", id=identity, set={"name": f"asset {identity}"})
    stack.settle("assets")
    assert stack.record("assets", identity)["id"] == identity


def test_a_stamp_in_the_future_is_no_stamp(stack):
    identity, other = stack.ids("asset_types")[:2]
    future = {"text": "2099-01-01 00:00:00"}
    stack.edit("asset_types", identity, name="from the future")
    stack.vendor.post("stamp", stream="asset_types", id=identity, shown=future)
    try:
        stack.settle("asset_types")
        assert "2099" in stack.record("asset_types", identity)["body"]
        now = time.time() * 1000
        assert max(stack.committed("asset_types"), stack.scanned("asset_types")) < now
        # An ordinary edit after it is not passed over.
        stack.edit("asset_types", other, name="from today")
        stack.settle("asset_types")
    finally:
        stack.vendor.post("stamp", stream="asset_types", id=identity, shown="real")
    # Nor is one of the record itself, whose stamp is far older than 2099.
    stack.edit("asset_types", identity, name="back from the future")
    stack.settle("asset_types")
    assert "back from the future" in stack.record("asset_types", identity)["body"]


@pytest.mark.parametrize("shown", ["missing", {"text": "not a time"}, {"text": ""}], ids=["missing", "text", "empty"])
def test_a_missing_or_unreadable_stamp_is_stored_all_the_same(stack, shown):
    known = stack.ids("asset_types")[2]
    (new,) = stack.vendor.post("add", stream="asset_types")["ids"]
    for each in (known, new):
        stack.vendor.post("stamp", stream="asset_types", id=each, shown=shown)
    stack.edit("asset_types", known, name=f"without a stamp: {shown}")
    try:
        stack.settle("asset_types")
    finally:
        for each in (known, new):
            stack.vendor.post("stamp", stream="asset_types", id=each, shown="real")
    assert "last_edited_ms" not in stack.record("asset_types", new)
    # Once it has a stamp it is ordered by it.
    stack.edit("asset_types", known, new, name="with a stamp")
    stack.settle("asset_types")
    assert "last_edited_ms" in stack.record("asset_types", new)
