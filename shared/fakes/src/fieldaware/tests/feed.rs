use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    Add, Change,
    fieldaware::{
        NextForm, TokenForm,
        classes::{CLASSES, Place},
    },
};

async fn events(fake: &FakeFieldAware, token: &str, query: &str) -> Value {
    json(fake, &format!("/changes/{token}/?{query}")).await
}

/// What the feed tells from a token on: uuid and status.
async fn told(fake: &FakeFieldAware, token: &str) -> Vec<(String, String)> {
    let page = events(fake, token, "").await;
    let text = |event: &Value, pointer: &str| event.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (text(event, "/entity/uuid"), text(event, "/status")))
        .collect()
}

#[tokio::test]
async fn an_event_has_the_shape_of_the_guides_sample() {
    let fake = fake().await;
    let from = token(&fake).await;
    assert_eq!(from, "63182001");
    let id = fake.add(Add::one("jobs")).unwrap().ids.remove(0);
    fake.edit(Change::of("jobs", &id)).unwrap();
    let page = events(&fake, &from, "").await;
    let event = &page["items"][1];
    let names: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    assert_eq!((&event["status"], &event["entityClass"]), (&json!("UPDATED"), &json!("Job")));
    assert_eq!(event["url"], json!(format!("https://api.fieldaware.net/job/{id}")));
    assert_eq!(event["entity"], json!({"uuid": id}));
    assert_eq!(event["actions"][0]["entityClass"], "JobTask");
    assert!(event["changedOn"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(event["id"], 63_182_002);
    assert_eq!(page["next"], "https://api.fieldaware.net/changes/63182003/");
}

#[tokio::test]
async fn every_class_is_told_of_and_seeded_records_are_older_than_the_feed() {
    let fake = fake().await;
    let from = token(&fake).await;
    for class in &CLASSES {
        fake.seed_count(class.stream, 2).unwrap();
    }
    assert_eq!(token(&fake).await, from);
    for class in &CLASSES {
        fake.add(Add::one(class.stream)).unwrap();
    }
    let page = events(&fake, &from, "").await;
    let classes = uuids(&page["items"], "/entityClass");
    let with_events = CLASSES.iter().filter(|class| class.place != Place::CustomFields);
    assert_eq!(classes, with_events.map(|class| class.entity).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_come_in_the_order_in_which_readers_could_see_them() {
    let fake = fake().await;
    let ids = fake.seed_count("tasks", 3).unwrap();
    let from = token(&fake).await;
    fake.edit(Change::of("tasks", &ids[0]).visible_after_ms(10)).unwrap();
    fake.edit(Change::of("tasks", &ids[1])).unwrap();
    let now = token(&fake).await;
    fake.advance(Duration::from_millis(10));
    fake.edit(Change::of("tasks", &ids[2])).unwrap();
    let updated = |id: &String| (id.clone(), "UPDATED".to_owned());
    assert_eq!(told(&fake, &from).await, [updated(&ids[1]), updated(&ids[0]), updated(&ids[2])]);
    assert_eq!(told(&fake, &now).await, [updated(&ids[0]), updated(&ids[2])], "a token loses nothing that came late");
}

#[tokio::test]
async fn events_of_one_millisecond_are_appended_and_never_inserted() {
    let fake = fake().await;
    let from = token(&fake).await;
    let later = fake.add(Add::one("users")).unwrap().ids.remove(0);
    let middle = token(&fake).await;
    let first = fake.add(Add::one("jobs")).unwrap().ids.remove(0);
    let created = |id: &String| (id.clone(), "CREATED".to_owned());
    assert_eq!(told(&fake, &from).await, [created(&later), created(&first)]);
    assert_eq!(told(&fake, &middle).await, [created(&first)]);
}

#[tokio::test]
async fn a_page_is_strictly_smaller_than_its_size() {
    let fake = fake().await;
    let from = token(&fake).await;
    fake.add(Add { count: 5, ..Add::one("items") }).unwrap();
    for (size, count) in [(1, 0), (2, 1), (5, 4), (6, 5), (100, 5)] {
        let page = events(&fake, &from, &format!("pageSize={size}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{size}");
    }
}

#[tokio::test]
async fn filters_are_combined_and_unknown_ones_refused() {
    let fake = fake().await;
    let from = token(&fake).await;
    let item = fake.add(Add::one("items")).unwrap().ids.remove(0);
    fake.add(Add::one("items")).unwrap();
    fake.add(Add::one("tasks")).unwrap();
    fake.edit(Change::of("items", &item)).unwrap();
    for (query, count) in [
        ("entityClass=Item", 3),
        ("entityClass=Item&status=UPDATED", 1),
        ("status=CREATED", 3),
        (&*format!("entityUuid={item}"), 2),
        ("entityClass=Customer", 0),
    ] {
        let page = events(&fake, &from, query).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    for query in ["entityClass=WorkingHoursException", "entityClass=Ship", "status=GONE", "pageSize=x"] {
        assert_eq!(get(&fake, &format!("/changes/{from}/?{query}")).await.0, 422, "{query}");
    }
}

#[tokio::test]
async fn next_is_written_in_every_form() {
    for (next_form, behind_events, behind_none) in [
        (NextForm::Vendor, json!("https://api.fieldaware.net/changes/63182002/"), json!(63_182_002)),
        (
            NextForm::Address,
            json!("https://api.fieldaware.net/changes/63182002/"),
            json!("https://api.fieldaware.net/changes/63182002/"),
        ),
        (NextForm::Relative, json!("/changes/63182002/"), json!("/changes/63182002/")),
        (NextForm::Token, json!(63_182_002), json!(63_182_002)),
        (NextForm::Text, json!("63182002"), json!("63182002")),
    ] {
        let fake = fake_with(|settings| settings.next_form = next_form).await;
        let from = token(&fake).await;
        fake.add(Add::one("items")).unwrap();
        assert_eq!(events(&fake, &from, "").await["next"], behind_events, "{next_form:?}");
        assert_eq!(events(&fake, "63182002", "").await["next"], behind_none, "{next_form:?}");
    }
}

#[tokio::test]
async fn tokens_can_be_opaque_inclusive_or_forgotten() {
    let fake = fake_with(|settings| settings.token_form = TokenForm::Opaque).await;
    let from = token(&fake).await;
    assert!(from.starts_with("dcae") && from.ends_with("eac94"));
    fake.add(Add::one("items")).unwrap();
    assert_eq!(told(&fake, &from).await.len(), 1);
    fake.configure(|settings| settings.token_epoch = 1);
    assert_eq!(get(&fake, &format!("/changes/{from}/")).await.0, 404);
    assert_ne!(token(&fake).await, from);
    fake.configure(|settings| settings.rejected_token_status = 422);
    assert_eq!(get(&fake, "/changes/63182001/").await.0, 422);
    fake.configure(|settings| {
        settings.inclusive = true;
        settings.token_form = TokenForm::Number;
    });
    let now = token(&fake).await;
    assert_eq!(told(&fake, &now).await.len(), 1, "told again");
}

#[tokio::test]
async fn what_the_vendor_does_not_track_is_not_told() {
    let fake = fake_with(|settings| settings.silent_deletes = true).await;
    let ids = fake.seed_count("customers", 3).unwrap();
    let from = token(&fake).await;
    let mut custom = Change::of("customers", &ids[0]);
    custom.set.insert("customFields".to_owned(), json!({"f": 1}));
    fake.edit(custom.clone()).unwrap();
    fake.delete(Change::of("customers", &ids[1])).unwrap();
    assert!(told(&fake, &from).await.is_empty());
    assert_eq!(json(&fake, &format!("/customer/{}", ids[0])).await["customFields"], json!({"f": 1}));
    fake.edit(custom.set("name", "x")).unwrap();
    assert_eq!(told(&fake, &from).await.len(), 1);
    fake.configure(|settings| settings.silent_deletes = false);
    assert_eq!(told(&fake, &from).await[0], (ids[1].clone(), "DELETED".to_owned()));
}

#[tokio::test]
async fn a_record_that_comes_back_was_created() {
    let fake = fake().await;
    let id = fake.add(Add::one("assets")).unwrap().ids.remove(0);
    fake.delete(Change::of("assets", &id)).unwrap();
    fake.undelete(Change::of("assets", &id)).unwrap();
    fake.deactivate(Change::of("assets", &id)).unwrap();
    let statuses: Vec<String> = told(&fake, "63182001").await.into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["CREATED", "DELETED", "CREATED", "UPDATED"]);
}

#[tokio::test]
async fn a_feature_that_is_off_makes_no_events_and_a_missing_right_does() {
    let fake = fake().await;
    fake.add(Add::one("unavailable_times")).unwrap();
    fake.add(Add::one("jobs")).unwrap();
    fake.configure(|settings| settings.forbidden = vec!["jobs".to_owned()]);
    assert_eq!(told(&fake, "63182001").await.len(), 2);
    fake.configure(|settings| settings.features_off = vec!["unavailable_times".to_owned()]);
    assert_eq!(told(&fake, "63182001").await.len(), 1);
}

#[tokio::test]
async fn events_can_be_repeated_bear_no_address_or_another_host() {
    let fake = fake_with(|settings| {
        settings.repeat_events = true;
        settings.address_base = "http://127.0.0.1:1".to_owned();
    })
    .await;
    let id = fake.add(Add::one("jobs")).unwrap().ids.remove(0);
    let page = events(&fake, "63182001", "").await;
    let address = format!("http://127.0.0.1:1/job/{id}");
    assert_eq!(uuids(&page["items"], "/url"), [&*address, &*address]);
    fake.configure(|settings| settings.event_urls = false);
    assert_eq!(events(&fake, "63182001", "").await["items"][0].get("url"), None);
}
