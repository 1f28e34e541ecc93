"""All four vendors side by side: the trouble of three leaves the fourth fresh, and all of them recover by themselves."""

import json
import time

FIELDMOTION_SECONDS = 30


def test_every_record_of_every_source_is_the_vendors(copies):
    for copy in copies.values():
        assert copy.differences() == []
        assert copy.source.queue_depth(dead_letters=True) == 0


def test_the_newest_event_is_kept_beside_a_fieldaware_record_and_a_deletion_marks_it(stack, copies):
    copy = copies["fieldaware"]
    edited, deleted = copy.ids("jobs")[:2]
    copy.vendor.post("edit", stream="jobs", id=edited)
    copy.vendor.post("delete", stream="jobs", id=deleted)
    copy.settle()
    records = copy.source.records("jobs")
    assert json.loads(records[edited]["event"])["status"] == "UPDATED"
    assert json.loads(records[edited]["event"])["entity"] == {"uuid": edited}
    assert records[deleted]["deleted"] is True
    assert records[deleted]["deleted_because"] == "announced"


def test_rows_cost_no_detail_call(copies):
    for name, stream in (("fsmnavigator", "jobs"), ("fieldly", "work_items")):
        copy = copies[name]
        copy.vendor.post("edit", stream=stream, ids=copy.ids(stream)[:5])
        copy.settle()
        assert [each for each in copy.vendor.get("requests")["requests"] if each["kind"] == "detail"] == []


def test_one_is_down_one_throttles_one_rejects_its_credential_and_the_fourth_stays_fresh(stack, copies):
    down, throttling, rejecting = copies["fieldaware"], copies["fieldly"], copies["fsmnavigator"]
    for copy, stream in ((down, "jobs"), (throttling, "work_items"), (rejecting, "jobs")):
        copy.vendor.post("edit", stream=stream, id=copy.ids(stream)[-1])
    # WHEN three of four are in trouble
    down.vendor.down()
    throttling.vendor.post("fault", effect={"throttled": {"status": 429, "retry_after": {"seconds": 40}}})
    rejecting.vendor.post("credentials", api_key="fsm_test_fedcba9876543210")
    for _ in range(3):
        for copy in copies.values():
            copy.source.poll_all()
    # THEN those that ask for it are not called, and what was edited is not taken for copied
    for copy in copies.values():
        assert copy.differences()
    for copy in (throttling, rejecting):
        name, asked = copy.source.kind.name, copy.asked()
        assert stack.is_paused(name), name
        copy.source.poll_all()
        assert copy.asked() == asked, f"{name} was asked although it pauses"
    # and the fourth goes on as if nothing were
    identity = stack.ids("customers")[80]
    stack.edit("customers", identity, notes="edited while the others were in trouble")
    begin = time.monotonic()
    stack.settle("customers")
    assert time.monotonic() - begin < FIELDMOTION_SECONDS
    assert not stack.is_paused()
    # WHEN they are well again
    down.vendor.up()
    throttling.vendor.post("clear_faults")
    rejecting.source.rotate_secret({"api_key": "fsm_test_fedcba9876543210"})
    for name in copies:
        stack.trouble_is_over(name)
    # THEN all recover by themselves, and every record is the vendor's
    for copy in copies.values():
        copy.settle()
        assert copy.differences() == []
        assert copy.source.queue_depth(dead_letters=True) == 0
        assert sum(copy.source.quarantined().values()) == 0
