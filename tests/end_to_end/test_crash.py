"""Fetchers that are killed in the middle of their work: nothing is lost, and nothing finished is done again."""

import time
from dataclasses import dataclass

import pytest

TASKS = 200
CHUNK = 50


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
        stack.list_anew("tasks", "jobs")
        jobs_committed = stack.committed("jobs")
        for stream, identity in (("jobs", jobs[2]), ("tasks", left[0]), ("tasks", left[CHUNK])):
            stack.is_held(stream, identity)
        stack.until(lambda: stack.pending("tasks") == set(left), "the first half of the tasks stored")
        stack.until(lambda: all("before the crash" in stack.record("jobs", each)["body"] for each in jobs[3:]), "jobs")
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
    stack.vendor.post("hold", call="list", stream="assets", times=1)
    stack.cloud.client("lambda").invoke(
        FunctionName=stack.cloud.outputs()["FieldMotionPollerFunction"],
        InvocationType="Event",
        Payload=b'{"stream":"assets"}',
    )
    stack.is_held("assets")
    stack.cloud.kill("fieldmotion-poller")
    stack.vendor.post("release")
    # The dead poller still owns the stream, and a tick leaves it alone ...
    lease = int(stack.checkpoint("assets")["lease_until"])
    assert lease > time.time() * 1000
    stack.source.poll("assets")
    assert int(stack.checkpoint("assets")["lease_until"]) == lease
    # ... until the lease ends. The test ends it, as its own clock.
    stack.lease_time_is_up("assets")
    stack.settle("assets")
