"""A record that cannot be read: it is set aside and rings, the others flow on, and it comes back by itself."""


def test_a_poison_record_holds_the_checkpoint_but_not_the_others(stack):
    poisoned, fresh = stack.ids("customers")[50:52]
    before = stack.committed("customers")
    stack.vendor.post("poison", stream="customers", id=poisoned)
    stack.edit("customers", poisoned, notes="poisoned")

    def is_quarantined():
        stack.source.poll("customers")
        return poisoned in stack.quarantined("customers")

    stack.until(is_quarantined, f"customer {poisoned} in quarantine")
    entry = stack.quarantined("customers")[poisoned]
    assert entry["reason"], entry
    held_at = stack.committed("customers")
    assert held_at <= int(entry["held_checkpoint"]["order"])
    assert held_at >= before

    scanned = stack.scanned("customers")
    stack.edit("customers", fresh, notes="fresh")

    def is_fresh_committed():
        stack.source.poll("customers")
        return "fresh" in stack.record("customers", fresh)["body"] and stack.scanned("customers") > scanned

    stack.until(is_fresh_committed, f"customer {fresh} stored and scanned past, beside the poisoned one")
    assert stack.committed("customers") == held_at, "the checkpoint passed a record that is not stored"
    stack.alarm_is("fieldmotion-quarantine", "ALARM")
    assert "poisoned" not in stack.record("customers", poisoned)["body"]

    stack.vendor.post("heal", stream="customers", id=poisoned)
    stack.quarantine_time_is_up("customers", poisoned)
    stack.settle("customers")
    assert stack.quarantined("customers") == {}

    def is_let_go():
        stack.source.poll("customers")
        return stack.committed("customers") == stack.scanned("customers") > held_at

    stack.until(is_let_go, "the checkpoint to follow")
    stack.alarm_is("fieldmotion-quarantine", "OK")
