"""The built `tidemark` on the deployed stack: what it says is what is there, and what it does the functions obey."""

import json
import subprocess

import pytest
from local import background


@pytest.fixture(scope="module")
def tidemark(stack):
    """Runs the built program and returns its exit code, its output and its notes."""
    command = ["cargo", "build", "--locked", "--quiet", "--package", "tidemark-cli"]
    subprocess.run(command, cwd=background.ROOT, env=background.build_environment(), check=True)
    program = background.target_directory() / "debug" / "tidemark"

    def run(*arguments, **given):
        ended = subprocess.run(
            [program, *arguments],
            env=stack.cloud.environment(),
            capture_output=True,
            text=True,
            check=False,
            **{"stdin": subprocess.DEVNULL, **given},
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def states(tidemark, place="fieldmotion"):
    """The state of each stream, as `status` reports it."""
    _, out, notes = tidemark("status", place, "--json")
    assert out, notes
    return {row["stream"]: row["state"] for row in json.loads(out)["streams"]}


def test_status_and_records_tell_of_the_copy(stack, tidemark):
    stack.settle("customers", "jobs")
    stack.idle("customers", "jobs")
    known = states(tidemark)
    assert known["customers"] == known["jobs"] == "fresh", stack.state()
    code, out, notes = tidemark("records", "fieldmotion", "customers")
    assert code == 0, notes
    records = {line["id"]: line for line in map(json.loads, out.splitlines())}
    assert set(records) == set(stack.truth("customers"))
    first = stack.ids("customers")[0]
    body = stack.record("customers", first)["body"]
    assert records[first]["body"] == json.loads(body)

    code, out, _ = tidemark("explain", "fieldmotion", "customers", first)
    assert code == 0
    assert "it is stored" in out
    assert body not in out


def test_a_pause_stops_the_poller_until_it_is_resumed(stack, tidemark):
    place = "fieldmotion/jobs"
    why = ("--why", "test", "--yes")
    assert tidemark("pause", place, "--for", "2h", *why)[0] == 0
    try:
        assert stack.source.poll("jobs") == {"outcome": "paused_by_operator"}
        assert states(tidemark, place) == {"jobs": "paused"}
    finally:
        code, _, notes = tidemark("resume", place, *why)
    assert code == 0, notes
    assert stack.source.poll("jobs")["outcome"] != "paused_by_operator"
    code, out, _ = tidemark("audit", "--json")
    newest = [(each["command"], each["subject"], each["why"]) for each in json.loads(out)][:2]
    assert (code, newest) == (0, [("resume", place, "test"), ("pause", place, "test")])


def test_the_poller_does_what_it_is_asked_for(stack, tidemark):
    before = stack.scanned("customers")
    # A list starts 26 hours back while nothing is known of the stamps, so a day would be nothing to do.
    code, out, notes = tidemark("checkpoint", "rewind", "fieldmotion", "customers", "--to", "3d", "--yes")
    assert (code, out.splitlines()[-1]) == (0, "done; the next poll goes on from there"), notes
    assert stack.scanned("customers") < before
    code, out, notes = tidemark("account", "keep", "fieldmotion", "customers", "--yes")
    assert code == 0, notes
    stack.looks_are_evidence("customers")
    stack.settle("customers")


def test_a_record_that_is_asked_for_is_fetched_without_a_poll(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    identity = stack.ids("customers")[3]
    stack.edit("customers", identity, name="Fetched by hand")
    code, _, notes = tidemark("fetch", "fieldmotion", "customers", identity, "--yes")
    assert code == 0, notes
    stack.until(lambda: "Fetched by hand" in stack.record("customers", identity)["body"], "the record fetched")
    stack.until(lambda: not stack.quarantined("customers"), "the quarantine empty again")


def test_an_outage_is_named_and_ended_by_hand(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    identities = stack.ids("customers")[20:60]
    stack.edit("customers", *identities, notes="edited before the outage")
    with stack.deliveries_paused():
        stack.source.poll("customers")
        stack.vendor.down()
    try:
        stack.until(lambda: stack.is_paused(stream="customers"), "the stream to pause")
        code, out, _ = tidemark("status", "fieldmotion/customers", "--json")
        found = json.loads(out)
        assert (code, found["streams"][0]["state"]) == (1, "vendor_down"), out
        assert found["attention"][0]["next"]
        owed = next(iter(stack.pending("customers")))
        code, out, _ = tidemark("explain", "fieldmotion", "customers", owed)
        assert "owed" in out, out
    finally:
        stack.vendor.up()
    code, out, notes = tidemark("resume", "fieldmotion/customers", "--yes")
    assert code == 0, notes
    stack.trouble_is_over(stream="customers")
    stack.settle("customers")


def test_a_reader_that_has_seen_enough_is_no_failure(stack, tidemark):
    environment = stack.cloud.environment()
    program = background.target_directory() / "debug" / "tidemark"
    ended = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$1" records fieldmotion customers | head -n 1', "bash", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == 1
