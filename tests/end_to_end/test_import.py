"""First imports while the vendor is edited: fresh changes overtake them, and one odd record or a busy vendor stops none."""

from collections import Counter

import pytest


@pytest.fixture
def tasks(stack):
    """Makes tasks at the vendor, of which the copy knows nothing."""

    def make(count):
        nothing()
        stack.vendor.post("seed", stream="tasks", count=count)
        found = stack.ids("tasks")
        assert len(found) == count
        return found

    def nothing():
        stack.vendor.post("delete", stream="tasks", all=True)
        stack.forget("tasks")

    yield make
    nothing()


def test_an_edit_and_a_new_record_are_stored_long_before_a_first_import_ends(stack, tasks):
    early, *_ = tasks(3000)
    with stack.deployed_with(TIDEMARK_REQUESTS_PER_SECOND="20"):
        stack.source.poll("tasks")
        stack.until(lambda: early in stack.source.records("tasks"), "the first tasks stored")
        stack.edit("tasks", early, name="edited during the import")
        (new,) = stack.vendor.post("add", stream="tasks", set={"name": "made during the import"})["ids"]
        stack.source.poll("tasks")

        def are_stored():
            stored = stack.source.records("tasks")
            bodies = [stored.get(each, {}).get("body", "") for each in (early, new)]
            return "edited during" in bodies[0] and "made during" in bodies[1]

        stack.until(are_stored, "an edit and a new task stored one poll after they were made", 90)
        owed = stack.source.owed("tasks", "bulk")
        assert len(owed) > 1500, f"{len(owed)} tasks are left to import"
        assert stack.committed("tasks") < stack.scanned("tasks"), "committed before the import is over"
    # The rest is not waited for at that rate.
    stack.trouble_is_over(stream="tasks")
    stack.settle("tasks", seconds=120)


def test_one_record_that_always_fails_ends_no_first_import(stack, tasks):
    identities = tasks(1500)
    poisoned = identities[700]
    broken = {"answer": {"status": 500, "body": "", "content_type": "text/html"}}
    stack.vendor.post("poison", stream="tasks", id=poisoned, effect=broken)
    stack.source.poll("tasks")

    def others_are_stored():
        stored = stack.source.records("tasks").keys()
        return stored == set(identities) - {poisoned} and not stack.pending("tasks")

    stack.until(others_are_stored, "all other tasks stored", 90)
    entry = stack.quarantined("tasks")[poisoned]
    assert entry["reason"] == "outage", entry
    # Others are edited, made and stored meanwhile, and it is tried again by itself.
    stack.edit("tasks", *identities[800:804], name="edited beside it")
    (new,) = stack.vendor.post("add", stream="tasks")["ids"]
    stack.trouble_is_over(stream="tasks")
    mark = stack.now_asked()
    stack.source.poll("tasks")
    stack.until(lambda: poisoned in stack.details("tasks", mark), "it is asked for again")
    stack.until(lambda: new in stack.source.records("tasks"), "a new task stored")
    stack.until(lambda: not [each for each in stack.differences("tasks") if poisoned not in each], "the others equal")
    assert set(stack.quarantined("tasks")) == {poisoned}
    assert not stack.is_paused() and not stack.is_paused(stream="tasks")
    stack.vendor.post("heal", stream="tasks", id=poisoned)
    stack.trouble_is_over(stream="tasks")
    stack.settle("tasks")
    assert stack.quarantined("tasks") == {}


def test_a_short_retry_after_is_waited_out_and_opens_no_breaker(stack, tasks):
    identities = tasks(400)
    busy = {"throttled": {"status": 429, "retry_after": {"seconds": 1}}}
    with stack.deployed_with(TIDEMARK_REQUESTS_PER_SECOND="20"):
        stack.vendor.post("fault", effect=busy, call="detail", stream="tasks", times=5)
        mark = stack.now_asked()

        def are_stored():
            # What a fetcher had no time for is sent again by the next tick.
            stack.source.poll("tasks")
            return stack.source.records("tasks").keys() == set(identities)

        stack.until(are_stored, "all tasks stored", 90)
    stack.paid("tasks")
    asked = Counter(stack.details("tasks", mark))
    assert asked.keys() == set(identities)
    assert sum(asked.values()) == len(identities) + 5, "each is asked for once more for each answer 429"
    assert stack.quarantined("tasks") == {}
    assert not stack.is_paused() and not stack.is_paused(stream="tasks")
