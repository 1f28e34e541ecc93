use super::*;
use crate::{Action, Add, Change, ControlError, Hook};

const RECENT: &str = "2021-01-01 00:00:00";

#[tokio::test]
async fn an_edit_changes_the_row_and_bumps_the_stamp() {
    let (fake, ids) = with_customers(2).await;
    let done = fake.edit(Change::of("customers", &ids[0]).set("name", "Neu/é")).unwrap();
    let truth = &fake.truth("customers").unwrap()[&ids[0]];
    assert_eq!((&truth.last_edited, truth.versions), (&done.stamp, 2));
    assert_eq!(name_of(&fake, &ids[0]).await, "Neu/é");
    assert_eq!(listed(&fake, RECENT).await, json!([ids[0]]));
}

#[tokio::test]
async fn an_edit_that_names_no_field_still_changes_the_row_each_time() {
    let (fake, ids) = with_customers(1).await;
    let first = name_of(&fake, &ids[0]).await;
    for revision in 1..3 {
        fake.edit(Change::of("customers", &ids[0])).unwrap();
        assert_eq!(name_of(&fake, &ids[0]).await, format!("{first} (edit {revision})"));
    }
}

#[tokio::test]
async fn many_records_are_edited_in_one_second() {
    let (fake, ids) = with_customers(10).await;
    let done = fake.edit(Change::of_first("customers", 4)).unwrap();
    assert_eq!(done.ids, ids[..4]);
    assert_eq!(listed(&fake, RECENT).await, json!(ids[..4]));
    assert_eq!(fake.edit(Change::of_all("customers")).unwrap().ids, ids);
}

#[tokio::test]
async fn a_commit_lag_hides_an_edit_from_lists_and_details() {
    let (fake, ids) = with_customers(1).await;
    fake.freeze_clock();
    let before = name_of(&fake, &ids[0]).await;
    let done = fake.edit(Change::of("customers", &ids[0]).visible_after_ms(5000)).unwrap();
    fake.advance(Duration::from_millis(4999));
    assert_eq!(listed(&fake, RECENT).await, json!([]));
    assert_eq!(name_of(&fake, &ids[0]).await, before);
    let truth = &fake.truth("customers").unwrap()[&ids[0]];
    assert!(truth.pending && truth.last_edited != done.stamp);
    fake.advance(Duration::from_millis(1));
    assert_eq!(listed(&fake, RECENT).await, json!(ids));
    assert_ne!(name_of(&fake, &ids[0]).await, before);
    let truth = &fake.truth("customers").unwrap()[&ids[0]];
    assert!(!truth.pending && truth.last_edited == done.stamp);
}

#[tokio::test]
async fn a_lag_can_concern_lists_alone() {
    let (fake, ids) = with_customers(1).await;
    fake.freeze_clock();
    let before = name_of(&fake, &ids[0]).await;
    let change = Change { detail_at_once: true, ..Change::of("customers", &ids[0]).visible_after_ms(1) };
    fake.edit(change).unwrap();
    assert_eq!(listed(&fake, RECENT).await, json!([]));
    assert_ne!(name_of(&fake, &ids[0]).await, before);
}

#[tokio::test]
async fn a_record_added_with_a_lag_does_not_exist_before() {
    let fake = FakeFieldMotion::start().await.unwrap();
    fake.freeze_clock();
    let id = fake.add(Add { visible_after_ms: 10, ..Add::one("customers") }).unwrap().ids.remove(0);
    assert_eq!(text(&fake, DETAIL, &[("id", &id)]).await, "null");
    assert!(fake.truth("customers").unwrap().is_empty());
    fake.advance(Duration::from_millis(10));
    assert_eq!(listed(&fake, OLD).await, json!([id]));
}

#[tokio::test]
async fn deleted_records_vanish_and_come_back_as_changes() {
    let (fake, ids) = with_customers(2).await;
    fake.delete(Change::of("customers", &ids[0])).unwrap();
    assert_eq!(listed(&fake, OLD).await, json!(ids[1..]));
    assert_eq!(text(&fake, DETAIL, &[("id", &ids[0])]).await, "null");
    assert!(fake.truth("customers").unwrap()[&ids[0]].deleted);
    fake.undelete(Change::of("customers", &ids[0])).unwrap();
    assert_eq!(listed(&fake, RECENT).await, json!(ids[..1]));
    assert!(!fake.truth("customers").unwrap()[&ids[0]].deleted);
}

#[tokio::test]
async fn inactive_records_leave_the_list_but_keep_their_row() {
    let (fake, ids) = with_customers(2).await;
    fake.deactivate(Change::of("customers", &ids[0])).unwrap();
    assert_eq!(listed(&fake, OLD).await, json!(ids[1..]));
    let row = json(&fake, DETAIL, &[("id", &ids[0])]).await;
    assert_eq!(row["is_active"], "0");
    fake.act(&Action::Activate(Change::of("customers", &ids[0]))).unwrap();
    assert_eq!(listed(&fake, RECENT).await, json!(ids[..1]));
}

#[tokio::test]
async fn an_edit_right_after_a_list_is_missed_by_it() {
    let (fake, ids) = with_customers(2).await;
    let edit = Action::Edit(Change::of("customers", &ids[1]));
    fake.hook(Hook::after_list("customers", edit)).unwrap();
    assert_eq!(listed(&fake, RECENT).await, json!([]));
    assert_eq!(listed(&fake, RECENT).await, json!(ids[1..]));
    assert_eq!(fake.truth("customers").unwrap()[&ids[1]].versions, 2);
}

#[tokio::test]
async fn an_edit_after_or_before_a_detail_is_missed_or_shown_by_it() {
    let (fake, ids) = with_customers(2).await;
    let first = name_of(&fake, &ids[0]).await;
    let edit = |name| Action::Edit(Change::of("customers", &ids[0]).set("name", name));
    fake.hook(Hook::after_detail("customers", &ids[0], edit("later"))).unwrap();
    name_of(&fake, &ids[1]).await;
    assert_eq!(name_of(&fake, &ids[0]).await, first);
    assert_eq!(name_of(&fake, &ids[0]).await, "later");
    fake.hook(Hook::before_detail("customers", &ids[0], edit("sooner"))).unwrap();
    assert_eq!(name_of(&fake, &ids[0]).await, "sooner");
}

#[tokio::test]
async fn what_does_not_exist_is_refused_and_nothing_changes() {
    let (fake, ids) = with_customers(2).await;
    let mixed = Change { ids: vec![ids[0].clone(), "1".to_owned()], ..Change::of("customers", &ids[1]) };
    assert!(matches!(fake.edit(mixed), Err(ControlError::UnknownRecord { .. })));
    let typo = Change::of("customers", &ids[0]).set("nmae", "x");
    assert!(matches!(fake.edit(typo), Err(ControlError::UnknownField { .. })));
    assert!(matches!(fake.edit(Change::of("client", "1")), Err(ControlError::UnknownStream { .. })));
    let unnamed = Change { id: None, ..Change::of("customers", "") };
    assert!(matches!(fake.edit(unnamed), Err(ControlError::NothingNamed)));
    let stamp = Change::of("customers", &ids[0]).stamped("now");
    assert!(matches!(fake.edit(stamp), Err(ControlError::BadStamp { .. })));
    assert!(matches!(fake.add(Add::with_id("customers", &ids[0])), Err(ControlError::IdTaken { .. })));
    let hook = Hook::after_list("customers", Action::Delete(Change::of("customers", "1")));
    assert!(matches!(fake.hook(hook), Err(ControlError::UnknownRecord { .. })));
    assert!(fake.truth("customers").unwrap().values().all(|record| record.versions == 1));
}

#[tokio::test]
async fn the_same_seed_makes_the_same_records() {
    let truth = async |seed| {
        let options = FieldMotionOptions { seed, ..FieldMotionOptions::default() };
        let fake = FakeFieldMotion::start_with(options).await.unwrap();
        fake.seed_count("jobs", 5).unwrap();
        fake.truth("jobs").unwrap()
    };
    assert_eq!(truth(7).await, truth(7).await);
    assert_ne!(truth(7).await, truth(8).await);
}
