"""Fetchers that are killed in the middle of their work: nothing is lost, and nothing finished is done again."""

import json
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from copies import Copy
from local.cloud import FUNCTIONS
from stack import CHUNK

TASKS = 200


@dataclass
class Accident:
    """What was there when the fetchers died."""

    jobs: list[str]
    jobs_committed: int
    tasks_done: set[str]
    tasks_left: set[str]
    last_request: int


@pytest.fixture(scope="module")
def accident(stack):
    """Kills all fetchers at once: in mid-chunk of some edited jobs, and half-way in the first import of the tasks."""
    stack.vendor.post("seed", stream="tasks", count=TASKS)
    tasks, jobs = stack.ids("tasks"), stack.ids("jobs")[20:25]
    done, left = tasks[: TASKS // 2], tasks[TASKS // 2 :]
    stack.edit("jobs", *jobs, job_ref="edited before the crash")
    # The vendor does not answer for the second half of the tasks, nor for the third job.
    for stream, identity in [("tasks", each) for each in left] + [("jobs", jobs[2])]:
        stack.vendor.post("hold", stream=stream, id=identity)
    # A killed fetcher's message comes back after the queue's visibility timeout: 12 s here, or the test takes a minute.
    with stack.visibility_timeout(12):
        stack.source.poll_all(("tasks", "jobs"))
        jobs_committed = stack.committed("jobs")
        for stream, identity in (("jobs", jobs[2]), ("tasks", left[0]), ("tasks", left[CHUNK])):
            stack.is_held(stream, identity)
        stack.until(lambda: stack.pending("tasks") == set(left), "the first half of the tasks stored")
        assert stack.cloud.kill("fieldmotion-fetcher") >= 3, "two fetchers of tasks and one of jobs were at work"
        stored = set(stack.source.records("tasks"))
        found = Accident(jobs, jobs_committed, stored, set(tasks) - stored, stack.now_asked())
        stack.vendor.post("release")
        yield found


def test_a_crash_moves_no_checkpoint_and_the_chunk_comes_back(stack, accident):
    assert stack.pending("jobs") >= set(accident.jobs), "a chunk is only written when the fetcher is through with it"
    stack.source.poll("jobs")
    assert stack.committed("jobs") == accident.jobs_committed
    stack.settle("jobs")
    stack.commits_past("jobs", accident.jobs_committed)


def test_a_first_import_that_was_killed_half_way_resumes(stack, accident):
    assert (len(accident.tasks_done), len(accident.tasks_left)) == (TASKS // 2, TASKS // 2)
    stack.settle("tasks")
    asked = stack.details("tasks", accident.last_request)
    assert accident.tasks_left <= set(asked)
    assert len(asked) <= len(accident.tasks_left) + CHUNK, f"{len(asked)} detail calls"


def test_a_poller_killed_while_it_lists_is_followed_by_the_next(stack):
    identity = stack.ids("assets")[1]
    stack.edit("assets", identity, name="edited before the poller died")
    kill_while_listing(stack, Copy(stack, stack.vendor), "assets", "assets")
    # The dead poller still owns the stream, and a tick leaves it alone ...
    lease = int(stack.checkpoint("assets")["lease_until"])
    assert lease > time.time() * 1000
    stack.source.poll("assets")
    assert int(stack.checkpoint("assets")["lease_until"]) == lease
    # ... until the lease ends. The test ends it, as its own clock.
    stack.lease_is_over("assets")
    stack.settle("assets")


def kill_while_listing(stack, copy, polled, listed):
    """Starts a poller and kills it while it waits for the list of a stream."""
    copy.vendor.post("hold", call="list", stream=listed, times=1)
    name = f"{copy.source.kind.name}-poller"
    stack.cloud.client("lambda").invoke(
        FunctionName=stack.cloud.outputs()[FUNCTIONS[name]],
        InvocationType="Event",
        Payload=json.dumps({"stream": polled}).encode(),
    )
    copy.vendor.get("held", stream=listed, wait_ms=20_000)
    assert stack.cloud.kill(name) > 0
    copy.vendor.post("release")


def test_a_first_import_whose_poller_was_killed_half_way_goes_on_and_fetches_nothing_twice(stack):
    copy = Copy(stack, next(vendor for vendor in stack.others if vendor.kind.name == "fieldaware"))
    # Six lists of a page each.
    for stream in ("jobs", "web_quotes", "field_quotes", "items", "tasks", "customers"):
        copy.vendor.post("seed", stream=stream, count=100 - len(copy.truth(stream)))
    stack.forget("changes", "fieldaware")
    mark = stack.now_asked(copy.vendor)
    copy.source.poll("changes")
    stack.snapshot_is_due("fieldaware")
    kill_while_listing(stack, copy, "changes", "items")
    cursor = copy.source.checkpoint("changes")["backlog"][0]["cursor"]
    assert cursor["kind"] == "source", cursor
    stack.lease_is_over("changes", "fieldaware")
    copy.settle()
    requests = [each for each in copy.vendor.get("requests")["requests"] if each["number"] > mark]
    asked = Counter(each["id"] for each in requests if each["kind"] == "detail")
    assert len(asked) == sum(len(copy.truth(stream)) for stream in copy.source.kind.kept_under())
    assert max(asked.values()) == 1, [each for each in asked.items() if each[1] > 1]
    lists = Counter(each["function"] for each in requests if each["kind"] == "list" and each["stream"] != "changes")
    assert lists["/item/"] == 2, "the list that the poller was killed in, and once more"
    assert lists["/customer/"] == 1
