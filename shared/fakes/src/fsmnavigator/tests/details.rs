//! Details, in every style and shape.

use serde_json::json;

use super::{get, json, with_jobs};
use crate::{
    Add, Change, Effect, Fault, Poison,
    fsmnavigator::{DetailShape, Details, Dialect, Vanished},
};

#[tokio::test]
async fn a_record_is_answered_in_both_styles_and_dialects() {
    let fake = with_jobs(1).await;
    for target in ["jobs?id=789", "jobs/789"] {
        for (dialect, shape, row) in [
            (Dialect::Guide, DetailShape::Object, "/job/id"),
            (Dialect::Guide, DetailShape::Array, "/jobs/0/id"),
            (Dialect::Guide, DetailShape::Bare, "/id"),
            (Dialect::Reference, DetailShape::Object, "/data/job_id"),
            (Dialect::Reference, DetailShape::Array, "/data/0/job_id"),
            (Dialect::Reference, DetailShape::Bare, "/job_id"),
        ] {
            fake.configure(|settings| (settings.dialect, settings.detail_shape) = (dialect, shape));
            let answer = json(&fake, target).await;
            assert_eq!(answer.pointer(row), Some(&json!(789)), "{target} {dialect:?} {shape:?}");
        }
    }
}

#[tokio::test]
async fn a_style_can_be_missing() {
    let fake = with_jobs(1).await;
    for (details, query, path) in [(Details::Query, 200, 404), (Details::Path, 404, 200), (Details::Both, 200, 200)] {
        fake.configure(|settings| settings.details = details);
        assert_eq!(get(&fake, "jobs?id=789").await.status(), query, "{details:?}");
        assert_eq!(get(&fake, "jobs/789").await.status(), path, "{details:?}");
    }
}

#[tokio::test]
async fn odd_ids_are_found_in_both_styles() {
    let fake = with_jobs(0).await;
    fake.add(Add::with_id("jobs", "a/b c")).unwrap();
    for target in ["jobs?id=a%2Fb+c", "jobs/a%2Fb%20c"] {
        assert_eq!(json(&fake, target).await["job"]["id"], "a/b c", "{target}");
    }
}

#[tokio::test]
async fn what_is_gone_is_answered_as_told() {
    let fake = with_jobs(1).await;
    fake.delete(Change::of("jobs", "789")).unwrap();
    for (vanished, shape, status, body) in [
        (Vanished::NotFound, DetailShape::Object, 404, json!("not_found")),
        (Vanished::Refused, DetailShape::Object, 200, json!("not_found")),
        (Vanished::Empty, DetailShape::Object, 200, json!({"success": true, "job": null})),
        (Vanished::Empty, DetailShape::Array, 200, json!({"success": true, "jobs": []})),
    ] {
        fake.configure(|settings| (settings.vanished, settings.detail_shape) = (vanished, shape));
        assert_eq!(get(&fake, "jobs?id=789").await.status(), status, "{vanished:?}");
        let answer = json(&fake, "jobs?id=789").await;
        assert_eq!(answer.get("error").unwrap_or(&answer), &body, "{vanished:?}");
    }
}

#[tokio::test]
async fn poison_and_other_ids_concern_details() {
    let fake = with_jobs(2).await;
    fake.poison(&Poison::of("jobs", "789")).unwrap();
    assert_eq!(json(&fake, "jobs/789").await["ok"], 1);
    fake.fault(Fault::new(Effect::OtherId { id: "1".to_owned() }).on_id("790")).unwrap();
    assert_eq!(json(&fake, "jobs?id=790").await["job"]["id"], 1);
}
