"""Outages of the vendor: an alarm rings, nothing is lost, and work continues by itself afterwards."""

import json

import pytest
from local.sources import KINDS

STREAMS = KINDS["fieldmotion"].streams


@pytest.fixture
def told(stack):
    """The alarms that people get: a queue that hears the alarm topic, as a function that reads it."""
    sqs, sns = stack.cloud.client("sqs"), stack.cloud.client("sns")
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = stack.cloud.outputs()["AlarmTopicArn"]
    from_topic = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    from_topic |= {"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [from_topic]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    heard = []

    def read():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            alarm = json.loads(json.loads(message["Body"])["Message"])
            heard.append((alarm["AlarmName"], alarm["NewStateValue"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return heard

    yield read
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)


def test_an_outage_rings_and_heals_by_itself(stack, told):
    stack.alarm_is("fieldmotion-stale", "OK", ticking=STREAMS)
    *identities, late = stack.ids("customers")[100:141]
    # The vendor goes down between the list and the details.
    stack.edit("customers", *identities, notes="edited before the outage")
    with stack.deliveries_paused():
        stack.source.poll("customers")
        before = stack.committed("customers")
        stack.vendor.down()
    stack.edit("customers", late, notes="edited in the outage")

    stack.until(lambda: stack.is_paused(stream="customers"), "the stream to pause")
    stack.until(lambda: not stack.source.queue_depth(), "the fetcher to give its message back to the ledger")
    # Some were asked for before it was clear that it is not about them; the others were not.
    asked, waiting = set(stack.quarantined("customers")), stack.pending("customers")
    assert asked | waiting >= set(identities)
    assert 0 < len(asked & set(identities)) < len(waiting & set(identities)), (asked, waiting)
    stack.alarm_is("fieldmotion-stale", "ALARM", ticking=STREAMS)
    stack.until(lambda: ("tidemark-fieldmotion-stale", "ALARM") in told(), "the topic to be told of the alarm")
    assert stack.cloud.alarm("fieldmotion-quarantine") != "ALARM", "an outage is not the fault of records"
    assert stack.committed("customers") == before
    assert stack.source.queue_depth(dead_letters=True) == 0

    stack.vendor.up()
    stack.trouble_is_over()
    stack.settle(*STREAMS)
    assert stack.quarantined("customers") == {}
    stack.alarm_is("fieldmotion-stale", "OK", ticking=STREAMS)
    stack.until(lambda: ("tidemark-fieldmotion-stale", "OK") in told(), "the topic to be told of the end")
    assert not stack.is_paused(stream="customers")


def test_a_rejected_credential_rings_and_a_rotated_secret_heals_it(stack):
    stack.alarm_is("fieldmotion-stale", "OK", ticking=STREAMS)
    new_key = "fedcba9876543210fedcba9876543210"
    identities = stack.ids("customers")[40:43]
    stack.edit("customers", *identities, notes="edited before the key was changed")
    with stack.deliveries_paused():
        stack.source.poll("customers")
        before = stack.committed("customers")
        stack.vendor.post("credentials", **(stack.vendor.secret | {"api_key": new_key}))
    try:
        stack.until(stack.is_paused, "the source to pause at the first rejected call")
        stack.until(lambda: not stack.source.queue_depth(), "the fetcher to give its message back to the ledger")
        assert stack.pending("customers") | stack.quarantined("customers").keys() >= set(identities)
        refused = stack.vendor.get("requests", counts_only="true")["counts"]["refused"]
        stack.alarm_is("fieldmotion-stale", "ALARM", ticking=STREAMS)
        again = stack.vendor.get("requests", counts_only="true")["counts"]["refused"] - refused
        assert again == 0, "a rejected credential is not tried over and over"
        assert stack.committed("customers") == before
        assert stack.source.queue_depth(dead_letters=True) == 0

        # The next probe fails as well, and says what is wrong and what to do.
        stack.trouble_is_over()
        stack.source.poll("customers")
        line = next(line for line in reversed(stack.cloud.log("fieldmotion-poller")) if "source_failed" in line)
        assert json.loads(line)["class"] == "unauthorized", line
        assert "put a valid credential into the source's secret" in line

        def attention():
            # The emulator may keep the last line of an invocation until the next one.
            stack.source.poll("customers")
            lines = stack.cloud.log("fieldmotion-poller")
            return [line for line in lines if "AttentionCount" in line and "credential" in line]

        stack.until(attention, "the poller to ask for attention")

        # What the fetcher met with the old key is written down, so that the tests' clock covers it.
        stack.until(lambda: not stack.source.queue_depth(), "the fetcher to give its message back once more")
        stack.source.rotate_secret(stack.vendor.secret | {"api_key": new_key})
        stack.trouble_is_over()
        stack.settle(*STREAMS)
        stack.alarm_is("fieldmotion-stale", "OK", ticking=STREAMS)
    finally:
        stack.vendor.post("credentials", **stack.vendor.secret)
        stack.source.rotate_secret(stack.vendor.secret)
    # And once more without a pause: a key that was changed at both ends is read again within one tick.
    stack.settle("customers")
    assert not stack.is_paused(), stack.source.state()
