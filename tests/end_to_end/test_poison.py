"""A record that cannot be read: it is set aside and rings, the others are stored, and it comes back by itself."""


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
    assert entry["reason"] == "record" and entry["cause"], entry
    held_at = int(entry["holds"]["order"])
    assert before <= held_at

    scanned = stack.scanned("customers")
    stack.edit("customers", fresh, notes="fresh")

    def is_fresh_passed():
        stack.source.poll("customers")
        return "fresh" in stack.record("customers", fresh)["body"] and stack.committed("customers") == held_at

    stack.until(is_fresh_passed, f"customer {fresh} stored beside the poisoned one, and the checkpoint just below that")
    assert stack.scanned("customers") > scanned
    stack.alarm_is("fieldmotion-quarantine", "ALARM", ticking=["customers"])
    assert stack.committed("customers") == held_at, "the checkpoint passed a record that is not stored"
    assert "poisoned" not in stack.record("customers", poisoned)["body"]

    stack.vendor.post("heal", stream="customers", id=poisoned)
    stack.trouble_is_over()
    stack.settle("customers")
    assert stack.quarantined("customers") == {}
    assert stack.committed("customers") > held_at
    stack.alarm_is("fieldmotion-quarantine", "OK")
