"""Sweeps: what no list of changes shows is found, and nothing is marked deleted unless the vendor says that it is gone."""

from __future__ import annotations

import pytest
from copies import Copy
from local.sources import Source
from local.vendor import FakeVendor

# More than wait for nobody: 20, and 5 % of what is stored.
MANY = 25


@pytest.fixture(scope="module")
def copies(stack):
    """The three sources beside FieldMotion, after their first imports."""
    found = {vendor.kind.name: Copy(stack, vendor) for vendor in stack.others}
    for copy in found.values():
        copy.settle()
    return found


def swept(stack, source: Source, stream: str) -> dict:
    """Sweeps a stream, and lets all that it owes be fetched; what was proved."""
    assert stack.cloud.invoke(f"{source.kind.name}-poller", {"stream": stream, "sweep": True})["outcome"] == "done"

    def ended():
        source.poll(stream)
        state = source.sweeps(stream)
        return state["under_way"] is None and state["asked_at"] is None and state

    state = stack.until(ended, f"the sweep of {source.kind.name} {stream} over", 90)
    fetched(stack, source, stream)
    return state


def fetched(stack, source: Source, stream: str) -> None:
    """Ticks until nothing is owed in the bulk lane."""

    def is_paid():
        source.poll(stream)
        return not source.owed(stream, "bulk")

    stack.until(is_paid, f"{source.kind.name} {stream} without bulk work", 90)


def deleted(source: Source, stream: str) -> set[str]:
    """The tombstones of a stream."""
    return {identity for identity, each in source.records(stream).items() if each.get("deleted")}


def lose(stack, source: Source, stream: str, *identities: str) -> None:
    """Removes records from the table, as a hand or a fault does."""
    table = stack.cloud.outputs()["RecordsTable"]
    for identity in identities:
        key = {"partition": {"S": f"{source.kind.name}#{stream}"}, "id": {"S": identity}}
        stack.cloud.client("dynamodb").delete_item(TableName=table, Key=key)


def delete(vendor: FakeVendor, stream: str, *identities: str) -> None:
    vendor.post("delete", stream=stream, ids=list(identities))


def test_silent_changes_of_fieldmotion_are_found(stack):
    stack.idle("customers")
    ids = stack.ids("customers")
    gone, inactive, lost = ids[:8], ids[8:10], ids[10:13]
    before = deleted(stack.source, "customers")
    delete(stack.vendor, "customers", *gone)
    lose(stack, stack.source, "customers", *lost)
    stack.vendor.post("deactivate", stream="customers", ids=inactive)
    try:
        proof = swept(stack, stack.source, "customers")["last"]
        # What was deactivated may show in the list of changes, and is no candidate then.
        assert proof["missing"] == len(lost), proof
        assert len(gone) <= proof["extra"] <= len(gone) + len(inactive), proof
        assert proof["withheld"] == 0
        stack.until(lambda: deleted(stack.source, "customers") == before | set(gone), "the tombstones of what is gone")
        assert {stack.record("customers", each)["deleted_because"] for each in gone} == {"vanished"}
        assert set(lost) <= set(stack.source.records("customers")), "what was removed is back"
        for identity in inactive:
            assert not stack.record("customers", identity).get("deleted"), "what is inactive is kept as such"
    finally:
        stack.vendor.post("activate", stream="customers", ids=inactive)
        stack.vendor.post("undelete", stream="customers", ids=gone)
        stack.vendor.post("edit", stream="customers", ids=gone)
        stack.settle("customers")


def test_many_candidates_ring_and_wait_for_a_person(stack):
    stack.idle("customers")
    many = stack.ids("customers")[-MANY:]
    before = deleted(stack.source, "customers")
    stack.alarm_is("fieldmotion-sweep", "OK")
    good = swept(stack, stack.source, "customers")["good"]
    delete(stack.vendor, "customers", *many)
    try:
        state = swept(stack, stack.source, "customers")
        assert state["last"]["withheld"] == MANY
        assert state["good"]["begun_at"] == good["begun_at"], "the last good proof stays"
        assert deleted(stack.source, "customers") == before, "nothing is fetched unasked"
        stack.alarm_is("fieldmotion-sweep", "ALARM")
        answer = stack.cloud.invoke("fieldmotion-poller", {"stream": "customers", "sweep": "approve"})
        assert answer["outcome"] == "done"
        stack.source.poll("customers")
        fetched(stack, stack.source, "customers")
        stack.until(lambda: deleted(stack.source, "customers") == before | set(many), "the tombstones of what is gone")
        stack.alarm_is("fieldmotion-sweep", "OK")
        answer = stack.cloud.invoke("fieldmotion-poller", {"stream": "customers", "sweep": "approve"})
        assert answer["outcome"] == "nothing_to_do"
    finally:
        stack.vendor.post("undelete", stream="customers", ids=many)
        stack.vendor.post("edit", stream="customers", ids=many)
        stack.settle("customers")


@pytest.mark.parametrize(("name", "stream"), [("fsmnavigator", "jobs"), ("fieldly", "work_items")])
def test_silent_changes_of_rows_are_found(stack, copies, name, stream):
    copy = copies[name]
    ids = copy.ids(stream)
    gone, lost, edited = ids[:5], ids[5:8], ids[8]
    delete(copy.vendor, stream, *gone)
    lose(stack, copy.source, stream, *lost)
    stamp = copy.vendor.truth(stream)[edited]["last_edited"]
    copy.vendor.post("edit", stream=stream, id=edited, stamp=stamp)
    assert copy.differences(), "no list of changes shows it"
    proof = swept(stack, copy.source, stream)["last"]
    assert (proof["extra"], proof["missing"], proof["different"]) == (len(gone), len(lost), 1), proof
    stack.until(lambda: set(gone) <= deleted(copy.source, stream), "the tombstones of what is gone")
    stack.until(lambda: not copy.differences(), f"{name} equal to the vendor's truth")


def test_what_a_list_of_fieldaware_leaves_out_is_no_candidate_and_what_is_missing_comes_back(stack, copies):
    copy = copies["fieldaware"]
    gone, lost = copy.ids("customers")[:2]
    copy.vendor.post("settings", silent_deletes=True)
    try:
        delete(copy.vendor, "customers", gone)
        lose(stack, copy.source, "customers", lost)
        proof = swept(stack, copy.source, "changes")["last"]
        assert (proof["extra"], proof["missing"]) == (0, 1), proof
        stack.until(lambda: lost in copy.source.records("customers"), "what was removed is back", 60)
        assert gone not in deleted(copy.source, "customers"), "the key's user may just not see it"
    finally:
        copy.vendor.post("settings", silent_deletes=False)
        copy.vendor.post("undelete", stream="customers", id=gone)
