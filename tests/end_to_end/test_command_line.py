"""The built `tidemark` on the deployed stack: what it says is what is there, and what it does the functions obey."""

import contextlib
import json
import subprocess
import threading
import time

import pytest
from local import background


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


def checks(tidemark, *arguments):
    """What `doctor` says: its exit code, and each check by its stream and name."""
    code, out, notes = tidemark("doctor", *arguments, "--json")
    assert out, notes
    return code, {(each["stream"], each["check"]): each for each in json.loads(out)["checks"]}


def test_the_doctor_finds_a_source_that_works_to_be_well(stack, tidemark):
    stack.settle("customers", "jobs")
    mark = stack.checkpoint("customers")
    _, found = checks(tidemark, "fieldmotion")
    at_the_vendor = {"reach", "credential", "list", "filter", "zone", "fetch", "clock"}
    for stream in ("customers", "jobs"):
        verdicts = {check: each["verdict"] for (about, check), each in found.items() if about in (stream, None)}
        assert {check: verdicts.get(check) for check in at_the_vendor} == dict.fromkeys(at_the_vendor, "ok"), found
    for check in ("tables", "schedules", "queue"):
        assert found[None, check]["verdict"] == "ok", found[None, check]
    assert stack.checkpoint("customers") == mark


@contextlib.contextmanager
def told(vendor, order, values, before):
    """Tells the vendor something for as long as this lasts."""
    vendor.post(order, **values)
    try:
        yield
    finally:
        vendor.post(order, **before)


def test_the_doctor_names_what_is_wrong_at_the_vendor(stack, tidemark):
    with told(stack.vendor, "credentials", {"api_id": "another", "api_key": "another"}, stack.vendor.secret):
        code, found = checks(tidemark, "fieldmotion")
        assert (code, found[None, "credential"]["verdict"]) == (1, "failure"), found
        assert "put a valid credential into the source's secret" in found[None, "credential"]["next"]
    with told(stack.vendor, "settings", {"api_now_format": "datetime"}, {"api_now_format": "unix"}):
        code, found = checks(tidemark, "fieldmotion")
        assert (code, found[None, "settings"]["verdict"]) == (1, "warning"), found
        assert '{"api_now_format":"datetime"}' in found[None, "settings"]["next"]
    stack.vendor.down()
    try:
        code, found = checks(tidemark, "fieldmotion")
        assert (code, found[None, "reach"]["verdict"]) == (1, "failure"), found
        assert found[None, "schedules"]["verdict"] == "ok", found
    finally:
        stack.vendor.up()
    stack.trouble_is_over()
    stack.settle("customers")


def test_a_record_is_compared_with_what_the_vendor_has(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    identity = stack.ids("customers")[5]
    ask = ("explain", "fieldmotion", "customers", identity, "--ask")
    code, out, notes = tidemark(*ask)
    assert (code, "the copy is what the vendor has now" in out) == (0, True), out + notes
    stack.edit("customers", identity, name="Edited a moment ago")
    code, out, _ = tidemark(*ask)
    assert (code, "the vendor has another version than the copy" in out) == (1, True), out
    assert "Edited a moment ago" not in out
    code, out, _ = tidemark("explain", "fieldmotion", "customers", "999999999", "--ask")
    assert (code, "the vendor does not have it, and neither does the copy" in out) == (0, True), out
    stack.settle("customers")


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


def verified(stack, tidemark, stream):
    """Sweeps a stream by the command line, and what `verify` says of it then."""

    def at():
        last = json.loads(tidemark("verify", "fieldmotion", stream, "--json")[1])[0]["last"]
        return last and last["begun_at"]

    before = at()
    code, _, notes = tidemark("verify", "fieldmotion", stream, "--now", "--sample", "30", "--yes")
    assert code in (0, 1), notes

    def is_over():
        stack.source.poll(stream)
        return at() != before

    stack.until(is_over, f"the sweep of {stream} over")
    return tidemark("verify", "fieldmotion", stream)


def test_a_copy_is_proved_whole_and_what_is_lost_is_found_and_brought_back(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    code, out, notes = verified(stack, tidemark, "customers")
    assert (code, "whole, as of then" in out) == (0, True), out + notes
    assert "0 missing, 0 different, 0 extra" in out
    assert "sampled          " in out
    lost = stack.ids("customers")[:3]
    stack.lose("customers", *lost)
    code, out, notes = verified(stack, tidemark, "customers")
    assert "3 missing, 0 different, 0 extra" in out, out + notes
    stack.settle("customers")


def backfills(tidemark):
    """The state of each stream's newest backfill."""
    return {each["stream"]: each for each in json.loads(tidemark("backfill", "list", "fieldmotion", "--json")[1])}


def test_a_range_is_listed_again(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    lost = stack.ids("customers")[:3]
    scanned = stack.scanned("customers")
    stack.lose("customers", *lost)
    ask = ("backfill", "fieldmotion", "customers", "--from", "2020-01-01")
    count = len(stack.truth("customers"))
    code, out, notes = tidemark(*ask, "--plan")
    assert (code, f"up to {count} records: {count + 1} vendor calls" in out.replace(",", "")) == (0, True), out + notes
    assert "customers" not in backfills(tidemark), "a plan begins nothing"
    code, out, notes = tidemark(*ask, "--why", "lost by hand", "--yes")
    assert code == 0, out + notes
    assert stack.scanned("customers") == scanned, "the checkpoint stays"

    def is_back():
        stack.source.poll("customers")
        return set(lost) <= set(stack.source.records("customers"))

    stack.until(is_back, "what was lost is back")
    done = backfills(tidemark)["customers"]
    assert (done["state"], done["listed"], done["owed"], done["problem"]) == ("done", count, count, None), done
    stack.settle("customers")


def test_a_backfill_that_waits_is_shown_and_cancelled(stack, tidemark):
    ask = ("backfill", "fieldmotion", "jobs", "--from", "30d", "--yes")
    assert tidemark("pause", "fieldmotion/jobs", "--for", "2h", "--why", "test", "--yes")[0] == 0
    try:
        code, out, notes = tidemark(*ask)
        assert (code, "how much it is, is not known" in out) == (0, True), out + notes
        assert backfills(tidemark)["jobs"]["state"] == "waits"
        assert "waits until the bulk lane is empty" in tidemark("status", "fieldmotion/jobs")[1]
        code, _, notes = tidemark(*ask)
        assert (code, "is not over" in notes) == (1, True), notes
        code, _, notes = tidemark("backfill", "cancel", "fieldmotion", "jobs", "--yes")
        assert (code, backfills(tidemark)["jobs"]["state"]) == (0, "cancelled"), notes
    finally:
        assert tidemark("resume", "fieldmotion/jobs", "--why", "test", "--yes")[0] == 0
    stack.settle("jobs")


def test_changes_are_shown_as_they_are_stored(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    identity = stack.ids("customers")[7]
    program = background.target_directory() / "debug" / "tidemark"
    command = [program, "changes", "fieldmotion", "customers", "--follow", "--json"]
    with subprocess.Popen(command, env=stack.cloud.environment(), stdout=subprocess.PIPE, text=True) as followed:
        try:
            # What was written before it looked is not shown, so edits go on until one is.
            def edits():
                while followed.poll() is None and not seen.is_set():
                    stack.edit("customers", identity, notes=f"seen {time.monotonic()}")
                    stack.settle("customers")

            seen = threading.Event()
            beside = threading.Thread(target=edits)
            beside.start()
            line = json.loads(followed.stdout.readline())
            seen.set()
            beside.join()
        finally:
            followed.terminate()
    assert (line["id"], line["what"], "body" in line) == (identity, "changed", False), line
    code, out, _ = tidemark("changes", "fieldmotion", "customers", "--limit", "1")
    assert (code, f"customers {identity}: " in out) == (0, True), out


def test_what_the_vendor_lists_is_shown_before_it_is_polled(stack, tidemark):
    stack.settle("customers")
    stack.idle("customers")
    identity = stack.ids("customers")[9]
    stack.edit("customers", identity, name="Listed and not polled")
    code, out, notes = tidemark("changes", "fieldmotion", "customers", "--ask")
    assert (code, identity in out, "Listed and" in out) == (0, True, False), out + notes
    assert "Listed and" not in stack.record("customers", identity)["body"]
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


def test_what_aws_has_counted_is_priced(stack, tidemark):
    name = stack.cloud.outputs()["WatcherFunction"].rsplit(":", 1)[-1]

    def looks():
        shown = json.loads(tidemark("cost", "--month", "--json")[1])
        return next(line for line in shown["used"] if line["what"] == "invocations of the watcher")

    before = looks()["count"]
    # The emulator does not count calls of functions by itself.
    of_watcher = [{"Name": "FunctionName", "Value": name}]
    count = {"MetricName": "Invocations", "Dimensions": of_watcher, "Value": 5_000_000.0, "Unit": "Count"}
    stack.cloud.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=[count])
    now = looks()
    assert now["count"] == before + 5_000_000
    assert now["dollars"] == pytest.approx(now["count"] * 0.2 / 1e6)


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
