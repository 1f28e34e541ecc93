//! Lists: to their end, however they move, and nothing else for a list.

use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::PollOutcome;
use tidemark_fakes::{Action, CallKind, Change, Effect, Fault, Hook, Seed};

use crate::Vendor;
use crate::support::{answer, shown};
use crate::world::World;

/// Rows enough for several pages, the last one not full.
fn several_pages<V: Vendor>() -> usize {
    4 * V::PAGE_ROWS + 1
}

pub(crate) async fn everything_is_read_to_the_end<V: Vendor>() {
    for count in [1, V::PAGE_ROWS, 2 * V::PAGE_ROWS, several_pages::<V>()] {
        let (world, _) = World::<V>::with_records(count).await;
        world.settle().await;
        assert_eq!((world.differences(), world.stored_count()), (Vec::new(), count));
        assert_eq!(world.vendor.request_counts().refused, 0);
    }
}

pub(crate) async fn an_empty_list_is_quiet_and_no_failure<V: Vendor>() {
    let world = World::<V>::start().await;
    let page = world.list().await.unwrap();
    assert_eq!((page.changes.len(), page.unusable_count), (0, 0));
    let report = world.settle().await;
    assert_eq!((report.outcome, world.stored_count()), (PollOutcome::Quiet, 0));
}

pub(crate) async fn records_of_one_stamp_around_the_end_of_a_page_are_all_read<V: Vendor>() {
    let world = World::<V>::start().await;
    let count = several_pages::<V>();
    let seed = Seed { stream: V::RECORDS.to_owned(), count, first_stamp: None, every_seconds: Some(0) };
    world.vendor.seed(&seed).unwrap();
    world.settle().await;
    assert_eq!((world.differences(), world.stored_count()), (Vec::new(), count));
    // Edits of one second, twice: the second time nothing tells them from the first but their rows.
    for _ in 0..2 {
        world.vendor.edit(Change::of_first(V::RECORDS, count - 1)).unwrap();
        world.sync().await;
        world.vendor.edit(Change::of_first(V::RECORDS, count - 1)).unwrap();
        world.settle().await;
        assert_eq!(world.differences(), Vec::<String>::new());
    }
}

/// An edit moves a row to another page, so that the rows behind it shift: a walk that goes through the pages once misses
/// rows that nobody has touched.
pub(crate) async fn rows_that_are_edited_while_they_are_listed_are_not_lost<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    let edit = Action::Edit(Change::of_first(V::RECORDS, V::PAGE_ROWS - 1));
    world.vendor.hook(Hook::after_list(V::RECORDS, edit)).unwrap();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
}

pub(crate) async fn rows_that_are_deleted_while_they_are_listed_hide_no_other<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    let delete = Action::Delete(Change::of_first(V::RECORDS, 1));
    world.vendor.hook(Hook::after_list(V::RECORDS, delete)).unwrap();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
    assert!(world.vendor.truth(V::RECORDS).unwrap().values().any(|record| record.deleted));
}

pub(crate) async fn a_list_that_fails_halfway_loses_nothing<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    world.vendor.fault(Fault::new(Effect::Truncate { bytes: 40 }).on_call(CallKind::List).after(1)).unwrap();
    world.sync().await;
    world.sync().await;
    world.vendor.clear_faults();
    world.vendor.advance(std::time::Duration::from_mins(20));
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
}

pub(crate) async fn a_bad_entry_is_counted_and_the_others_kept<V: Vendor>() {
    let world = World::<V>::start().await;
    let body = V::list_answer(&[Some("1"), None, Some("2")]);
    world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
    let page = world.list().await.unwrap();
    let records: Vec<String> =
        page.changes.iter().map(|change| world.record_of(&change.id).as_str().to_owned()).collect();
    assert_eq!((records, page.unusable_count), (vec!["1".to_owned(), "2".to_owned()], 1));
}

pub(crate) async fn a_list_of_bad_entries_alone_is_a_failure<V: Vendor>() {
    let world = World::<V>::start().await;
    let body = V::list_answer(&[None, None]);
    world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
    let failure = world.list().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{}", shown(&failure));
}
