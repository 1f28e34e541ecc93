//! Sections 6.1 to 6.3: what a message is worth, what is paid for by a later look, and how looks are ordered.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::fetch::Fetcher;
use tidemark_engine::message::{Message, Row};
use tidemark_engine::notice::Notice;
use tidemark_engine::ports::{Records, Stored};
use tidemark_engine::record::{Body, DeletedBecause, Look, RecordKey, Seen, TOMBSTONE_AGE_MIN};
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_engine::work::{Lane, Reason};
use tidemark_testkit::memory::{Operation, Redelivery, VendorSettings, version_of};
use tidemark_tests::stage::{Stage, id, ids};

fn body(version: u64) -> Body {
    Body::new(format!("{{\"version\":{version},\"id\":\"a\"}}"))
}

fn row(version: u64) -> Row {
    let at = StampMillis::new(4_000_000_000_000);
    Row { body: body(version), stamp: Some(Stamp { text: "later".to_owned(), at, utc: VendorMillis::new(at.get()) }) }
}

#[tokio::test]
async fn a_later_look_pays_for_an_id_and_an_earlier_one_does_not() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    // Both ticks list it before it is fetched: one call pays for both.
    stage.tick().await;
    stage.tick().await;
    let reports = stage.drain().await;
    let paid: usize = reports.iter().map(|report| report.paid_count).sum();
    assert_eq!((reports.len(), paid, stage.details()), (2, 1, 1));
    // A look from before the list call is worth nothing.
    stage.wait(300);
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    assert_eq!((stage.details(), stage.differences()), (1, vec![]));
}

#[tokio::test]
async fn a_duplicate_delivery_after_success_costs_no_call() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    let delivery = stage.receive();
    stage.fetch(&delivery).await.unwrap();
    stage.details();
    let again = stage.fetch(&delivery).await.unwrap();
    assert_eq!((again.calls_count, stage.details()), (0, 0));
}

#[tokio::test]
async fn rows_cost_no_call_and_are_dated_by_their_list_call() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a"]);
    let listed_at = stage.now();
    stage.tick().await;
    stage.wait(600);
    let reserved = stage.world.tables.faults().calls(Operation::Reserve);
    stage.drain().await;
    assert_eq!((stage.record("a").map(|it| it.looked_at), stage.details()), (Some(listed_at), 0));
    assert_eq!(stage.world.tables.faults().calls(Operation::Reserve), reserved, "nor a place on the schedule");
}

#[tokio::test]
async fn a_row_is_stored_though_the_clock_of_the_host_that_listed_it_is_ahead() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a"]);
    stage.tick().await;
    let ahead = stage.now().plus(Duration::from_mins(10));
    stage.tables(|tables| tables.chunks.values_mut().for_each(|chunk| chunk.listed_at = ahead));
    stage.drain().await;
    assert_eq!((stage.record("a").map(|it| it.looked_at), stage.details()), (Some(ahead), 0));
}

#[tokio::test]
async fn an_id_is_asked_for_when_this_hosts_clock_has_reached_the_time_of_its_list() {
    for (ahead, is_stored) in [(2, true), (3, false)] {
        let stage = Stage::new(ListShape::Whole);
        stage.edit(["a"]);
        stage.tick().await;
        // GIVEN a host that listed with a clock ahead of this one's
        let listed_at = stage.now().plus(Duration::from_secs(ahead));
        stage.tables(|tables| tables.chunks.values_mut().for_each(|chunk| chunk.listed_at = listed_at));
        stage.drain().await;
        // THEN the fetcher waits a little, or puts the chunk off
        let looked_at = stage.record("a").map(|it| it.looked_at);
        assert_eq!(looked_at.is_some_and(|at| at >= listed_at), is_stored, "{ahead} s ahead");
        assert!(is_stored || looked_at.is_none());
    }
}

#[tokio::test]
async fn a_row_that_waited_does_not_replace_a_later_look() {
    // GIVEN a row that was listed, and whose message comes after the next listing's
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.edit(["a"]);
    stage.world.queue.fate(Redelivery::Late(Duration::from_mins(20)));
    stage.tick().await;
    stage.wait(60);
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    let newest = stage.version("a");
    stage.wait(1_200);
    let reports = stage.drain().await;
    // THEN the later look stays: the chunk is paid for, or the store refuses
    assert_eq!(reports.iter().map(|it| it.written_count).sum::<usize>(), 0);
    assert_eq!((stage.version("a"), stage.differences()), (newest, vec![]));
}

#[tokio::test]
async fn an_old_row_does_not_bring_back_a_record_whose_tombstone_has_expired() {
    for (days, calls) in [(13, 0), (15, 2)] {
        // GIVEN a row whose message waits, and a tombstone that is later than its listing
        let stage = Stage::new(ListShape::Pages).known().await;
        stage.edit(["a"]);
        stage.tick().await;
        let old = stage.receive();
        stage.wait(60);
        stage.delete(["a"]);
        let key = RecordKey { source: stage.stream().source, stream: stage.stream().name, id: id("a") };
        let seen = Seen::Gone(DeletedBecause::Vanished);
        let gone = Look { key, looked_at: stage.now(), seen, event: None, is_stored: false };
        assert_eq!(stage.world.tables.store(&[gone]).await.unwrap(), [Stored::Written]);
        // WHEN it comes before the tombstone expires, or after
        stage.wait(days * 24 * 3_600);
        if TOMBSTONE_AGE_MIN <= Duration::from_hours(days * 24) {
            stage.tables(|tables| tables.records.retain(|_, record| record.deleted.is_none()));
        }
        stage.fetch(&old).await.unwrap();
        // THEN the tombstone keeps it out, or the vendor is asked
        assert_eq!((stage.version("a"), stage.details()), (None, calls), "after {days} days");
    }
}

#[tokio::test]
async fn a_record_that_comes_back_after_its_tombstone_expired_is_stored_again() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    stage.delete(["a"]);
    stage.drain().await;
    assert!(stage.record("a").is_some_and(|record| record.deleted.is_some()));
    stage.tables(|tables| tables.records.retain(|_, record| record.deleted.is_none()));
    stage.wait(300);
    stage.edit(["a"]);
    stage.sync().await;
    assert!(stage.version("a").is_some());
    assert!(stage.differences().is_empty(), "{:?}", stage.differences());
}

#[tokio::test]
async fn of_two_looks_the_one_begun_later_is_kept_in_whatever_order_they_arrive() {
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    let slow = stage.receive();
    // The older row has been read and is about to be stored...
    let hold = stage.world.tables.faults().hold_before(Operation::StoreLooks);
    let overtaking = async {
        hold.reached().await;
        stage.wait(60);
        stage.edit(["a"]);
        stage.tick().await;
        stage.drain().await;
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.fetch(&slow), overtaking);
    // ...when a newer one overtakes it.
    assert_eq!(report.unwrap().superseded_count, 1);
    stage.wait(600);
    stage.play(2).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_later_look_counts_though_its_stamp_is_older() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let ahead = stage.vendor(|vendor| vendor.stamp_clock(stage.now())).shifted(3_600_000);
    let now = stage.now();
    stage.vendor(|vendor| vendor.edit_stamped(&id("a"), now, ahead));
    stage.tick().await;
    stage.drain().await;
    stage.wait(300);
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_late_store_of_an_early_look_does_not_undo_a_tombstone() {
    let stage = Stage::new(ListShape::Whole);
    let stream = stage.stream();
    let key = RecordKey { source: stream.source, stream: stream.name, id: id("a") };
    let look = |looked_at: i64, seen| Look {
        key: key.clone(),
        looked_at: stage.now().shifted(looked_at),
        seen,
        event: None,
        is_stored: false,
    };
    let record = || Seen::Record { body: body(1), stamp: None, seen_at: None };
    let gone = Seen::Gone(DeletedBecause::Vanished);
    let steps = [
        (look(50, record()), Stored::Written, false),
        (look(200, gone), Stored::Written, true),
        (look(100, record()), Stored::Superseded, true),
        (look(300, record()), Stored::Written, false),
    ];
    for (look, stored, deleted) in steps {
        assert_eq!(stage.world.tables.store(&[look]).await.unwrap(), [stored]);
        assert_eq!(stage.record("a").is_some_and(|it| it.deleted.is_some()), deleted);
    }
}

#[tokio::test]
async fn a_forged_message_makes_no_call() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    stage.tick().await;
    let message = stage.receive().message;
    stage.details();
    for ids in [vec![id("not-ours"), id("../../etc")], vec![]] {
        let mut forged = (*message).clone();
        forged.ids = ids;
        let report = stage.fetcher().fetch(&forged, 1, stage.stop_at()).await.unwrap();
        assert_eq!((report.calls_count, report.written_count), (0, 0));
    }
    let retry = Message::of_retry(&stage.stream(), id("a"), message.account_mark.clone());
    stage.fetcher().fetch(&retry, 1, stage.stop_at()).await.unwrap();
    let mut key = stage.chunks(Lane::Fresh)[0].key.clone();
    key.seq += 1;
    let other = Message::of_chunk(&key, vec![id("a")], BTreeMap::new(), message.account_mark.clone());
    stage.fetcher().fetch(&other, 1, stage.stop_at()).await.unwrap();
    assert_eq!((stage.details(), stage.record("a")), (0, None));
}

#[tokio::test]
async fn rows_of_a_message_count_only_where_the_chunk_has_rows() {
    // GIVEN a chunk of ids, and a message about it with invented rows
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    let message = stage.receive().message;
    let mut forged = (*message).clone();
    forged.rows = BTreeMap::from([(id("a"), row(99))]);
    stage.details();
    stage.fetcher().fetch(&forged, 1, stage.stop_at()).await.unwrap();
    // THEN the record is fetched, and a later edit is stored as ever
    assert_eq!((stage.details(), stage.version("a")), (1, Some(1)));
    stage.wait(300);
    stage.edit(["a"]);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_of_ids_that_the_chunk_does_not_owe_are_ignored() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a"]);
    stage.tick().await;
    let message = stage.receive().message;
    let mut forged = (*message).clone();
    forged.ids.push(id("b"));
    forged.rows.insert(id("b"), row(99));
    stage.fetcher().fetch(&forged, 1, stage.stop_at()).await.unwrap();
    assert_eq!((stage.version("a"), stage.record("b")), (Some(1), None));
}

#[tokio::test]
async fn a_message_of_another_account_stores_nothing_and_waits() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    let mine = stage.vendor(|vendor| std::mem::replace(&mut vendor.settings.account_mark, "another".to_owned()));
    let reports = stage.drain().await;
    assert!(reports[0].notices.contains(&Notice::AccountChanged), "{reports:?}");
    assert_eq!((stage.record("a"), stage.details()), (None, 0));
    // It is sent again a minute later at the earliest, and worked on once the old settings are back.
    let next_at = stage.chunks(Lane::Fresh)[0].next_at;
    assert!((59..=60).contains(&next_at.since(stage.now()).as_secs()), "{next_at}");
    stage.vendor(|vendor| vendor.settings.account_mark = mine);
    assert_eq!(stage.tick().await.sent_count, 1, "what was just listed again");
    stage.drain().await;
    stage.wait(300);
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_seen_while_the_account_changed_is_not_stored() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    let delivery = stage.receive();
    // It is asked at the beginning and before anything is stored.
    let faults = stage.world.source.faults();
    let hold = faults.hold_after(Operation::AccountMark);
    let changing = async {
        hold.reached().await;
        stage.vendor(|vendor| "another".clone_into(&mut vendor.settings.account_mark));
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.fetch(&delivery), changing);
    let report = report.unwrap();
    assert_eq!((report.written_count, stage.record("a")), (0, None));
    assert!(report.notices.contains(&Notice::AccountChanged));
    assert_eq!(stage.chunks(Lane::Fresh).len(), 1, "it stays owed");
}

#[tokio::test]
async fn an_announced_deletion_costs_no_call_and_a_newer_event_outweighs_it() {
    let stage = Stage::new(ListShape::Feed).known().await;
    stage.edit(["a", "b"]);
    stage.settle().await;
    stage.details();
    stage.delete(["a", "b"]);
    stage.edit(["b"]);
    stage.tick().await;
    stage.drain().await;
    assert_eq!(stage.details(), 1);
    let deleted = |text: &str| stage.record(text).and_then(|it| it.deleted);
    assert_eq!((deleted("a"), deleted("b")), (Some(DeletedBecause::Announced), None));
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deletion_that_waited_in_the_retry_lane_does_not_delete_a_record_that_came_back() {
    // GIVEN a feed's record that is there, and an entry of the retry lane about it
    let stage = Stage::new(ListShape::Feed).known().await;
    stage.edit(["a"]);
    stage.vendor(|vendor| vendor.poison(&id("a"), stage.now().plus(Duration::from_secs(30))));
    stage.tick().await;
    stage.drain().await;
    assert_eq!(stage.retried(), ["widgets/a"]);
    // WHEN its time comes, the vendor is asked
    stage.wait(300);
    stage.play(2).await;
    assert_eq!((stage.retried(), stage.differences()), (vec![], vec![]));
}

#[tokio::test]
async fn a_few_vanished_records_become_tombstones_after_a_second_look() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b", "c"]);
    stage.tick().await;
    stage.delete(["b"]);
    stage.drain().await;
    assert_eq!(stage.details(), 4);
    let deleted = stage.record("b").and_then(|record| record.deleted);
    assert_eq!(deleted, Some(DeletedBecause::Vanished));
    // It comes back with its next edit.
    stage.wait(300);
    stage.edit(["b"]);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

/// A stage that owes a fetch of so many records that are stored, of which the vendor hides the first.
async fn owed_and_hidden(count: usize, hidden: usize) -> (Stage, Vec<String>) {
    let stage = Stage::new(ListShape::Whole).known().await;
    let all = ids(count);
    stage.edit(&all);
    stage.settle().await;
    stage.edit(&all);
    stage.vendor(|vendor| vendor.hidden = all.iter().take(hidden).map(|text| id(text)).collect());
    stage.tick().await;
    (stage, all)
}

#[tokio::test]
async fn up_to_five_records_or_a_fifth_of_a_chunk_may_vanish_without_a_doubt() {
    for (gone, of, withheld) in [(5, 5, 0), (6, 30, 0), (6, 50, 0), (6, 29, 6), (50, 50, 50)] {
        let (stage, all) = owed_and_hidden(of, gone).await;
        stage.drain().await;
        let deleted = all.iter().filter(|id| stage.record(id).is_some_and(|it| it.deleted.is_some())).count();
        assert_eq!((stage.retries().len(), deleted), (withheld, gone - withheld), "{gone} of {of}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_wrong_is_doubted_though_there_is_time_for_a_few_records_of_a_chunk_alone() {
    let (stage, _) = owed_and_hidden(50, 50).await;
    let delivery = stage.receive();
    let fetcher = Fetcher { call_interval: Duration::from_secs(1), ..stage.fetcher() };
    let stop_at = stage.now().plus(Duration::from_secs(30));
    let report = fetcher.fetch(&delivery.message, 1, stop_at).await.expect("tables that work");
    assert!(report.left_count > 0 && report.deleted_count == 0, "{report:?}");
    assert!(report.notices.iter().any(|notice| matches!(notice, Notice::TombstonesWithheld(_))), "{report:?}");
}

/// A stage that doubts that ten records are gone.
async fn in_doubt() -> (Stage, Vec<String>) {
    let (stage, all) = owed_and_hidden(10, 10).await;
    stage.drain().await;
    assert!(stage.retries().len() == 10 && stage.retries().iter().all(|entry| entry.reason == Reason::SeemsGone));
    (stage, all)
}

#[tokio::test]
async fn a_doubted_record_that_is_listed_again_by_itself_is_not_believed_to_be_gone() {
    let (stage, all) = in_doubt().await;
    stage.wait(3_600);
    stage.edit(&all[..1]);
    stage.tick().await;
    stage.drain().await;
    assert!(stage.record(&all[0]).is_some_and(|record| record.deleted.is_none()));
    assert_eq!(stage.retries().len(), 10);
}

#[tokio::test]
async fn a_doubt_begins_when_it_is_raised_however_long_the_id_failed_before() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.settle().await;
    stage.edit(["a"]);
    let outage = stage.now().plus(Duration::from_hours(40));
    stage.vendor(|vendor| vendor.fail(&id("a"), FailureClass::Transient, outage));
    stage.play(1).await;
    stage.wait(40 * 3_600);
    // WHEN after two days of failures an answer comes that may mean that it is gone, or may not
    stage.vendor(|vendor| {
        vendor.hidden.insert(id("a"));
        vendor.is_vague = true;
    });
    stage.play(2).await;
    let entry = stage.retries().remove(0);
    assert_eq!((entry.reason, stage.record("a").and_then(|it| it.deleted)), (Reason::SeemsGone, None));
    assert!(stage.now().since(entry.since) < Duration::from_mins(10), "{entry:?}");
}

#[tokio::test]
async fn a_doubt_about_a_record_stays_a_doubt_when_the_next_try_fails_otherwise() {
    let (stage, all) = in_doubt().await;
    let outage = stage.now().plus(Duration::from_hours(2));
    stage.vendor(|vendor| all.iter().for_each(|text| vendor.fail(&id(text), FailureClass::Transient, outage)));
    stage.wait(300);
    stage.play(3).await;
    let retries = stage.retries();
    assert!(retries.iter().all(|entry| entry.reason == Reason::SeemsGone) && retries.len() == 10, "{retries:?}");
    assert!(retries.iter().any(|entry| entry.attempts > 0), "{retries:?}");
}

#[tokio::test]
async fn many_records_that_seem_gone_are_asked_for_for_a_day_before_they_are_deleted() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let all = ids(40);
    stage.edit(&all);
    stage.settle().await;
    // GIVEN a quarter of them that is listed and not there, and one of those that comes back
    stage.edit(&all);
    stage.vendor(|vendor| vendor.hidden = all.iter().take(10).map(|text| id(text)).collect());
    stage.tick().await;
    let reports = stage.drain().await;
    let withheld = Notice::TombstonesWithheld(10);
    assert!(reports[0].notices.contains(&withheld) && withheld.needs_attention(), "{reports:?}");
    let deleted = || all.iter().filter(|id| stage.record(id).is_some_and(|it| it.deleted.is_some())).count();
    assert_eq!((stage.retries().len(), deleted(), stage.retries()[0].reason), (10, 0, Reason::SeemsGone));
    stage.vendor(|vendor| vendor.hidden.remove(&id("00000")));
    for _ in 0..30 {
        stage.wait(3_600);
        stage.play(1).await;
    }
    assert_eq!((stage.retries().len(), deleted()), (9, 0));
    // THEN the others are believed in the end
    for _ in 0..60 {
        stage.wait(3_600);
        stage.play(1).await;
    }
    assert_eq!((stage.retries().len(), deleted()), (0, 9));
}

#[tokio::test]
async fn a_record_behind_an_event_is_looked_at_when_details_cannot_lag_any_more() {
    let vendor = VendorSettings { replica_lag: Duration::from_secs(20), ..VendorSettings::new(ListShape::Feed) };
    let stage = Stage::with(vendor).known().await;
    let all = ids(40);
    stage.edit(&all);
    stage.play(3).await;
    stage.edit(&all);
    stage.tick().await;
    let message = stage.messages().last().cloned().expect("a message was sent");
    assert!(stage.world.queue.receive(9).is_empty(), "the message is not visible yet");
    // WHEN one comes too early all the same
    let report = stage.fetcher().fetch(&message, 1, stage.stop_at()).await.unwrap();
    assert_eq!((report.calls_count, report.written_count), (0, 0));
    // THEN the chunk is put off, and its records are looked at later
    stage.play(2).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_killed_fetcher_leaves_its_message_and_its_work_is_done_again_without_harm() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(ids(20));
    stage.tick().await;
    let delivery = stage.receive();
    let hold = stage.world.tables.faults().hold_before(Operation::DeleteChunk);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        _ = stage.fetch(&delivery) => unreachable!("it was held"),
    }
    stage.details();
    stage.wait(721);
    let reports = stage.drain().await;
    assert_eq!((reports[0].paid_count, stage.details()), (20, 0));
    assert_eq!((stage.chunks(Lane::Fresh).len(), stage.differences().len(), stage.retries().len()), (0, 0, 0));
}

#[tokio::test]
async fn a_record_of_a_feed_is_stored_with_its_newest_event() {
    let stage = Stage::new(ListShape::Feed).known().await;
    stage.edit(["a"]);
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    let key = RecordKey { source: stage.stream().source, stream: StreamName::known("widgets"), id: id("a") };
    let stored = stage.tables(|tables| tables.records.get(&key).cloned()).unwrap();
    assert_eq!(stored.body.as_ref().and_then(version_of), stage.version("a"));
    assert!(stored.event.is_some_and(|event| event.text().contains("UPDATED")));
}

#[tokio::test]
async fn that_something_was_stored_is_noted_before_its_id_leaves_the_ledger() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.stream_state().last_stored_at;
    stage.edit(["a"]);
    stage.tick().await;
    let hold = stage.world.tables.faults().hold_before(Operation::DeleteChunk);
    let looking = async {
        hold.reached().await;
        let seen = (stage.stream_state().last_stored_at > before, stage.owed_count(Lane::Fresh));
        hold.release();
        seen
    };
    assert_eq!(tokio::join!(stage.drain(), looking).1, (true, 1));
}
