//! Lists: pages, orders, bounds and dialects.

use serde_json::json;

use super::{get, ids, json, with_jobs};
use crate::{
    Change, Effect, Fault, Hook,
    commands::Action,
    fsmnavigator::{Dialect, ListOrder, Paging, UpdatedSince},
};

#[tokio::test]
async fn a_list_is_cut_into_pages() {
    let fake = with_jobs(5).await;
    for (target, expected) in [
        ("jobs?page=1&per_page=2", vec![789, 790]),
        ("jobs?page=3&per_page=2", vec![793]),
        ("jobs?page=4&per_page=2", vec![]),
        ("jobs", vec![789, 790, 791, 792, 793]),
    ] {
        assert_eq!(ids(&fake, target).await, expected, "{target}");
    }
    let page = json(&fake, "jobs?page=2&per_page=2").await;
    let paging = json!([page["page"], page["per_page"], page["total"], page["total_pages"], page["success"]]);
    assert_eq!(paging, json!([2, 2, 5, 3, true]));
    for wrong in ["jobs?page=0", "jobs?per_page=x"] {
        assert_eq!(get(&fake, wrong).await.status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn more_rows_than_allowed_are_never_answered() {
    let fake = with_jobs(5).await;
    fake.configure(|settings| settings.per_page_max = 3);
    let page = json(&fake, "jobs?per_page=100").await;
    assert_eq!((page["jobs"].as_array().unwrap().len(), &page["per_page"]), (3, &json!(3)));
}

#[tokio::test]
async fn the_reference_dialect_has_other_members() {
    let fake = with_jobs(1).await;
    fake.configure(|settings| settings.dialect = Dialect::Reference);
    let page = json(&fake, "jobs").await;
    assert_eq!(page["data"][0]["job_id"], 789);
    assert_eq!(page["pagination"], json!({"page": 1, "per_page": 50, "total": 1, "total_pages": 1}));
    assert!(page.get("success").is_none() && page["request_id"].is_string());
    fake.configure(|settings| settings.paging = Paging::Nothing);
    assert_eq!(json(&fake, "jobs").await["pagination"], json!({}));
}

#[tokio::test]
async fn what_is_told_of_pages_is_a_setting() {
    let fake = with_jobs(0).await;
    assert_eq!(json(&fake, "jobs").await["total_pages"], 0);
    fake.configure(|settings| settings.empty_total_pages = 1);
    assert_eq!(json(&fake, "jobs").await["total_pages"], 1);
    fake.configure(|settings| settings.paging = Paging::NoTotals);
    assert_eq!(json(&fake, "jobs").await, json!({"success": true, "jobs": [], "page": 1, "per_page": 50}));
}

#[tokio::test]
async fn the_bound_is_honoured_for_jobs_alone_unless_told_otherwise() {
    let fake = with_jobs(3).await;
    fake.seed_count("customers", 2).unwrap();
    let edited = fake.edit(Change::of("jobs", "790")).unwrap().stamp;
    let (jobs, customers) = (format!("jobs?updated_since={edited}"), format!("customers?updated_since={edited}"));
    assert_eq!((ids(&fake, &jobs).await, ids(&fake, &customers).await.len()), (vec![790], 2));
    fake.configure(|settings| settings.inclusive = false);
    assert_eq!(ids(&fake, &jobs).await, [0; 0]);
    fake.configure(|settings| settings.updated_since = UpdatedSince::All);
    assert_eq!(ids(&fake, &customers).await, [0; 0]);
    fake.configure(|settings| settings.updated_since = UpdatedSince::Ignored);
    assert_eq!(ids(&fake, &jobs).await.len(), 3);
    assert_eq!(fake.requests()[0].from.as_deref(), Some(edited.as_str()));
}

#[tokio::test]
async fn an_edit_between_two_pages_moves_the_rows() {
    for (order, first, second) in [
        // The first row goes to the end, and the third one slips off the second page.
        (ListOrder::OldestFirst, vec![789, 790], vec![792, 789]),
        (ListOrder::NewestFirst, vec![792, 791], vec![791, 790]),
        (ListOrder::Id, vec![789, 790], vec![791, 792]),
    ] {
        let fake = with_jobs(4).await;
        fake.configure(|settings| settings.list_order = order);
        fake.hook(Hook::after_list("jobs", Action::Edit(Change::of("jobs", "789")))).unwrap();
        assert_eq!(ids(&fake, "jobs?page=1&per_page=2").await, first, "{order:?}");
        assert_eq!(ids(&fake, "jobs?page=2&per_page=2").await, second, "{order:?}");
    }
}

#[tokio::test]
async fn rows_are_those_of_the_truth_byte_for_byte() {
    let fake = with_jobs(3).await;
    fake.edit(Change::of("jobs", "790").set("job_status", "Completed")).unwrap();
    let page = get(&fake, "jobs").await.text().await.unwrap();
    for record in fake.truth("jobs").unwrap().values() {
        assert!(page.contains(&record.body), "{page}");
        assert!(record.body.contains(&format!("\"updated_at\":\"{}\"", record.last_edited)));
    }
}

#[tokio::test]
async fn deleted_and_inactive_records_are_not_listed_and_come_back() {
    let fake = with_jobs(3).await;
    fake.delete(Change::of("jobs", "789")).unwrap();
    fake.deactivate(Change::of("jobs", "790")).unwrap();
    assert_eq!(ids(&fake, "jobs").await, [791]);
    fake.undelete(Change::of("jobs", "789")).unwrap();
    assert_eq!(ids(&fake, "jobs").await, [791, 789]);
}

#[tokio::test]
async fn a_change_that_is_not_visible_yet_keeps_its_earlier_stamp() {
    let fake = with_jobs(2).await;
    fake.freeze_clock();
    let edited = fake.edit(Change::of("jobs", "789").visible_after_ms(60_000)).unwrap().stamp;
    let target = format!("jobs?updated_since={edited}");
    assert_eq!(ids(&fake, &target).await, [0; 0]);
    fake.advance(std::time::Duration::from_mins(1));
    assert_eq!(ids(&fake, &target).await, [789]);
}

#[tokio::test]
async fn lists_end_are_cut_and_come_in_an_order_as_they_are_told_to() {
    let fake = with_jobs(4).await;
    fake.configure(|settings| (settings.refuses_end, settings.hidden) = (true, vec!["790".to_owned()]));
    assert_eq!(ids(&fake, "jobs?page=1&per_page=2").await, [789]);
    assert_eq!(ids(&fake, "jobs?page=2&per_page=2").await, [791, 792]);
    assert_eq!(get(&fake, "jobs?page=3&per_page=2").await.status(), 404);
    fake.configure(|settings| settings.list_order = ListOrder::Turning);
    let orders = [ids(&fake, "jobs").await, ids(&fake, "jobs").await];
    assert_ne!(orders[0], orders[1]);
}

#[tokio::test]
async fn a_true_answer_is_altered_and_an_error_inflated() {
    let fake = with_jobs(1).await;
    let replace = Effect::Replace { text: "\"total\":1".to_owned(), by: "\"total\":NaN".to_owned() };
    fake.fault(Fault::new(replace).times(1)).unwrap();
    let body = get(&fake, "jobs").await.text().await.unwrap();
    assert!(body.contains("\"total\":NaN") && body.contains("\"id\":789"), "{body}");
    fake.fault(Fault::new(Effect::Inflating { bytes: 1 << 20 })).unwrap();
    let answer = get(&fake, "jobs").await;
    assert!(!answer.headers().contains_key("content-encoding"), "the client has inflated it");
    assert!(answer.text().await.unwrap().len() > 1 << 20);
}
