"""The main job: what is at the vendor is in the records table, byte for byte, and the checkpoint says so only then."""

from stack import WITHOUT_DETAILS


def test_the_first_import_copies_every_stream_with_one_call_a_record(stack):
    for stream, asked in stack.imported_by.items():
        assert stack.differences(stream) == []
        truth = {} if stream in WITHOUT_DETAILS else stack.truth(stream)
        assert sorted(asked) == sorted(truth), f"details of {stream} asked for"
        assert 0 < stack.committed(stream) <= stack.scanned(stream), stack.state()


def test_a_tick_without_news_lists_and_does_nothing_else(stack):
    for stream in ("asset_types", "users", "stock_containers"):
        stack.idle(stream)
        mark = stack.now_asked()
        stack.source.poll(stream)
        assert not stack.pending(stream), stack.state()
        assert stack.now_asked() - mark <= 2, "more than two calls"


def test_an_edit_arrives_and_nothing_else_is_asked_for(stack):
    first, second = stack.ids("customers")[:2]
    job = stack.ids("jobs")[0]
    stack.idle("customers", "jobs")
    stack.edit("customers", first, name="Zoë's \"new\" name / <b>🛠</b>", notes="a\nb\u2028c")
    stack.edit("customers", second, name="twice")
    stack.edit("customers", second, name="twice in a second")
    stack.edit("jobs", job, job_ref="edited")
    before, mark = stack.committed("customers"), stack.now_asked()
    stack.settle("customers", "jobs")
    stack.commits_past("customers", before)
    assert "twice in a second" in stack.record("customers", second)["body"]
    assert set(stack.details("customers", mark)) == {first, second}
    assert set(stack.details("jobs", mark)) == {job}


def test_an_edited_row_arrives_without_a_detail_call(stack):
    identity, mark = stack.ids("vehicles")[0], stack.now_asked()
    stack.edit("vehicles", identity, name="edited")
    stack.settle("vehicles")
    assert "edited" in stack.record("vehicles", identity)["body"]
    assert stack.details("vehicles", mark) == []


def test_edits_during_a_listing_are_not_lost(stack):
    listed, unlisted = stack.ids("customers")[10:12]
    stack.edit("customers", listed, name="before the list")
    # After the list was answered one record is edited that it named and one that it did not, ...
    for identity in (listed, unlisted):
        edit = {"edit": {"stream": "customers", "id": identity, "set": {"name": "after the list"}}}
        stack.vendor.post("hook", on="list", stream="customers", when="after", action=edit)
    # ... and after its detail was answered the first once more.
    edit = {"edit": {"stream": "customers", "id": listed, "set": {"name": "after the detail"}}}
    stack.vendor.post("hook", on="detail", stream="customers", id=listed, when="after", action=edit)
    stack.settle("customers")
    names = {each: stack.truth("customers")[each]["row"]["name"] for each in (listed, unlisted)}
    assert names == {listed: "after the detail", unlisted: "after the list"}, "the edits of this test did not happen"


def test_a_record_that_vanishes_between_list_and_detail_is_marked_deleted(stack):
    identity = stack.ids("assets")[0]
    stack.edit("assets", identity, name="about to go")
    delete = {"delete": {"stream": "assets", "id": identity}}
    stack.vendor.post("hook", on="detail", stream="assets", id=identity, when="before", action=delete)

    def is_marked():
        stack.source.poll("assets")
        return stack.record("assets", identity).get("deleted")

    stack.until(is_marked, f"asset {identity} marked deleted")
    assert stack.record("assets", identity)["deleted_because"] == "vanished"
    stack.settle("assets")


def test_a_message_delivered_twice_costs_nothing_and_changes_nothing(stack):
    identities = stack.ids("customers")[20:23]
    stack.idle("customers")
    stack.edit("customers", *identities, town="Delivered twice")
    with stack.deliveries_paused():
        stack.source.poll("customers")
        (body,) = stack.take(1)
    mark = stack.now_asked()
    stack.send(body)
    stack.paid("customers")
    stored = {each: stack.record("customers", each) for each in identities}
    asked = stack.details("customers", mark)
    assert set(identities) <= set(asked)

    copy = stack.send(body)
    line = stack.until(lambda: stack.line_about(copy), "the second delivery to be logged")
    assert line["outcome"] == "nothing_to_do", line
    assert stack.details("customers", mark) == asked, "the second delivery asked the vendor"
    assert {each: stack.record("customers", each) for each in identities} == stored
    stack.settle("customers")

    # Long after it was committed it still does no harm.
    late = stack.send(body)
    line = stack.until(lambda: stack.line_about(late), "the late delivery to be logged")
    assert line["outcome"] == "nothing_to_do", line
    assert stack.differences("customers") == []
