"""Sweeps: what no list of changes shows is found, and nothing is marked deleted unless the vendor says that it is gone."""

from __future__ import annotations

from itertools import islice

import pytest
from copies import Copy
from stack import FIELDS

# The records of one stream at the vendor. Of these, first a few vanish, fewer than 5 %, and then many.
ALL, FEW, MANY = 1_000, 30, 300
# So many are removed from the table, and so many made inactive where that hides them from lists alone.
LOST, INACTIVE = 5, {"fieldmotion": 5}
STREAMS = {"fieldmotion": "assets", "fieldaware": "contacts", "fsmnavigator": "assets", "fieldly": "clients"}
# FieldAware's one feed; of all others the stream itself is polled.
POLLED = {"fieldaware": "changes"}
LISTS_ROWS = ("fsmnavigator", "fieldly")
# Edits without an event, where there are events.
SILENT = {"fieldaware": {"set": {"customFields": {"edited": "silently"}}}}


class Swept(Copy):
    """The copy of one source, of which one stream is swept."""

    def __init__(self, stack, vendor, stream: str) -> None:
        super().__init__(stack, vendor)
        self.name, self.stream = vendor.kind.name, stream
        self.polled = POLLED.get(self.name, stream)

    def tell(self, action: str, *identities: str, **how) -> None:
        """Has something happen to records at the vendor."""
        self.vendor.post(action, stream=self.stream, ids=list(identities), **how)

    def bodies(self) -> dict[str, str]:
        """The bodies of the vendor's records that are there, inactive ones too, as a fetch answers them."""
        found = self.vendor.truth(self.stream, FIELDS.get(self.stream) if self.name == "fieldmotion" else None)
        return {identity: each["body"] for identity, each in found.items() if not each["deleted"]}

    def stored(self) -> dict[str, str]:
        """The stored bodies of records that are not marked deleted."""
        found = self.source.records(self.stream)
        return {identity: each["body"] for identity, each in found.items() if not each.get("deleted")}

    def tombstones(self) -> dict[str, str]:
        """The records that are marked deleted, and why."""
        found = self.source.records(self.stream)
        return {identity: each["deleted_because"] for identity, each in found.items() if each.get("deleted")}

    def lose(self, *identities: str) -> None:
        """Removes records from the table, as a hand or a fault does."""
        self.stack.lose(self.stream, *identities, source=self.name)

    def are_deleted(self, before: dict[str, str], gone: list[str]) -> None:
        """Waits until these are marked deleted beside those that were before, because the vendor said so."""
        expected = before | dict.fromkeys(gone, "vanished")
        self.stack.until(lambda: self.tombstones() == expected, "the tombstones of what is gone")

    def ask(self, what: object) -> str:
        """Asks the poller for something about the sweep, and returns its answer."""
        return self.stack.cloud.invoke(f"{self.name}-poller", {"stream": self.polled, "sweep": what})["outcome"]

    def sweep(self) -> dict:
        """Sweeps, and lets all that it owes be fetched; what is known of the sweeps then."""
        assert self.ask(True) == "done"

        def ended():
            self.source.poll(self.polled)
            state = self.source.sweeps(self.polled)
            return state["under_way"] is None and state["asked_at"] is None and state

        state = self.stack.until(ended, f"the sweep of {self.name} {self.polled} over", 90)
        self.fetch()
        return state

    def fetch(self) -> None:
        """Ticks until nothing is owed in the bulk lane."""

        def is_paid():
            self.source.poll(self.polled)
            return not self.source.owed(self.polled, "bulk")

        self.stack.until(is_paid, f"{self.name} {self.polled} without bulk work", 120)


@pytest.fixture(scope="module", params=STREAMS)
def swept(request, stack, copies):
    """A stream of 1,000 records, nearly all of which no list of changes shows: its first sweep stores them."""
    vendor = next(each for each in (stack.vendor, *stack.others) if each.kind.name == request.param)
    swept = Swept(stack, vendor, STREAMS[request.param])
    before = swept.bodies()
    vendor.post("seed", stream=swept.stream, count=ALL - len(before))
    swept.seeded = swept.bodies().keys() - before.keys()
    if swept.name == "fieldaware":
        vendor.post("settings", silent_deletes=True)
    proof = swept.sweep()["last"]
    assert (proof["missing"], proof["extra"]) == (len(swept.seeded), 0), proof
    assert swept.stored() == swept.bodies()
    # A feed's sweep counts the records of all its streams.
    swept.others = proof["listed"] - ALL
    yield swept
    swept.tell("delete", *swept.seeded)
    if swept.name == "fieldaware":
        vendor.post("settings", silent_deletes=False)


def test_a_few_silent_changes_are_found_and_put_right(swept):
    inactive_count, lists_rows = INACTIVE.get(swept.name, 0), swept.name in LISTS_ROWS
    rest = iter(sorted(swept.seeded))
    gone, lost, inactive = (list(islice(rest, count)) for count in (FEW, LOST, inactive_count))
    # Lists of ids show no edit: a sample of them is fetched, which is sure to meet one where all are edited.
    edited = list(islice(rest, 1 if lists_rows else None))
    before, stamp = swept.tombstones(), swept.truth(swept.stream)[gone[0]]["last_edited"]
    swept.tell("edit", *edited, stamp=stamp, **SILENT.get(swept.name, {}))
    swept.tell("delete", *gone, stamp=stamp)
    swept.lose(*lost)
    if inactive:
        swept.tell("deactivate", *inactive, stamp=stamp)
    proof = swept.sweep()["last"]
    expected = {
        "listed": swept.others + ALL - FEW - inactive_count,
        "missing": LOST,
        "different": 1 if lists_rows else 0,
        "extra": FEW + inactive_count,
        "withheld": 0,
    }
    assert {name: proof[name] for name in expected} == expected, proof
    swept.are_deleted(before, gone)
    stored, true = swept.stored(), swept.bodies()
    assert {each for each in stored if stored[each] == true[each]} >= {*lost, *inactive}
    assert sum(stored[each] == true[each] for each in edited) == proof["different"] + proof["sample_different"] > 0
    assert all('"is_active":"0"' in stored[each] for each in inactive)


def test_many_candidates_ring_and_wait_for_a_person(stack, swept):
    before, many = swept.tombstones(), sorted(swept.seeded & swept.stored().keys())[-MANY:]
    stack.alarm_is(f"{swept.name}-sweep", "OK")
    good = swept.source.sweeps(swept.polled)["good"]
    swept.tell("delete", *many)
    state = swept.sweep()
    proof = state["last"]
    assert (proof["extra"], proof["withheld"], proof["listed"]) == (MANY, MANY, good["listed"] - MANY), proof
    assert state["good"]["begun_at"] == good["begun_at"], "the last good proof stays"
    assert swept.tombstones() == before, "nothing is fetched unasked"
    stack.alarm_is(f"{swept.name}-sweep", "ALARM")
    assert swept.ask("approve") == "done"
    swept.source.poll(swept.polled)
    swept.fetch()
    swept.are_deleted(before, many)
    assert swept.source.sweeps(swept.polled)["last"]["withheld"] == 0
    stack.alarm_is(f"{swept.name}-sweep", "OK")
    assert swept.ask("approve") == "nothing_to_do"


def test_what_a_list_of_fieldaware_leaves_out_is_no_candidate_and_what_is_missing_comes_back(stack, copies):
    swept = Swept(stack, copies["fieldaware"].vendor, "customers")
    gone, lost = swept.ids("customers")[:2]
    swept.vendor.post("settings", silent_deletes=True)
    try:
        swept.tell("delete", gone)
        swept.lose(lost)
        proof = swept.sweep()["last"]
        assert (proof["extra"], proof["missing"]) == (0, 1), proof
        assert {gone, lost} <= swept.stored().keys(), "the key's user may just not see it"
    finally:
        swept.vendor.post("settings", silent_deletes=False)
        swept.tell("undelete", gone)
