"""Another account, or settings that read it otherwise: nothing is listed or stored until a person has decided."""

import json

import pytest
from local.cloud import FunctionFailed

STREAM = "assets"
OTHER_ZONE = '{"timezone":"Europe/Dublin"}'


def decide(stack, way):
    """Invokes the poller as an operator does."""
    return stack.cloud.invoke("fieldmotion-poller", {"stream": STREAM, "account": way})


def account_lines(stack):
    """The poller's lines about a changed account."""
    return [json.loads(line) for line in stack.cloud.log("fieldmotion-poller") if "account_changed" in line]


def test_changed_settings_stop_a_stream_until_a_person_decides(stack):
    stack.settle(STREAM)
    with stack.deployed_with(TIDEMARK_SETTINGS=OTHER_ZONE):
        is_stopped(stack)
        # The copy is kept: only how it is read has changed.
        mark = stack.now_asked()
        assert decide(stack, "keep") == {"outcome": "done"}
        stack.settle(STREAM)
        assert set(stack.details(STREAM, mark)) < set(stack.ids(STREAM)), "everything was fetched again"
    is_stopped(stack)
    # The copy is not trusted: all of it is fetched again.
    mark = stack.now_asked()
    assert decide(stack, "start_again") == {"outcome": "done"}
    stack.settle(STREAM)
    stack.paid(STREAM)
    assert set(stack.details(STREAM, mark)) == set(stack.ids(STREAM))
    stack.looks_are_evidence(STREAM)


def is_stopped(stack):
    """Checks that a tick of the stream does nothing but ask for attention."""
    before, mark, lines = stack.checkpoint(STREAM), stack.now_asked(), len(account_lines(stack))
    identity = stack.ids(STREAM)[0]
    stack.edit(STREAM, identity, name="edited while nobody has decided")
    assert stack.source.poll(STREAM) == {"outcome": "account_changed"}
    assert stack.checkpoint(STREAM) == before
    assert stack.now_asked() == mark, "the vendor was asked"
    new = account_lines(stack)[lines:]
    assert [line for line in new if line.get("AttentionCount") == 1], "nobody's attention was asked for"


def test_work_that_was_listed_before_the_change_is_not_done_after_it(stack):
    """A chunk of one account is never fetched from another: its message is put off without a call."""
    identity = stack.ids(STREAM)[1]
    stack.idle(STREAM)
    stack.edit(STREAM, identity, name="listed before the change")
    with stack.deliveries_paused():
        stack.source.poll(STREAM)
        (body,) = stack.take(1)
    assert identity in json.loads(body)["ids"]
    mark = stack.now_asked()
    with stack.deployed_with(TIDEMARK_SETTINGS=OTHER_ZONE):
        sent = stack.send(body)
        line = stack.until(lambda: stack.line_about(sent), "the fetcher's line about the message")
        assert line["outcome"] == "account_changed", line
        assert stack.now_asked() == mark, "the vendor was asked"
        assert identity in stack.pending(STREAM)
    stack.trouble_is_over()
    stack.settle(STREAM)


@pytest.mark.parametrize("way", ["yes", "", None, True], ids=str)
def test_another_decision_is_refused_with_the_two_that_there_are(stack, way):
    with pytest.raises(FunctionFailed) as failed:
        decide(stack, way)
    answer = failed.value.payload
    assert answer["errorType"] == "MalformedEvent", answer
    assert "keep" in answer["errorMessage"] and "start_again" in answer["errorMessage"], answer
