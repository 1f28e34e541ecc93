use serde_json::{Value, json};

use super::*;
use crate::{Ports, fieldaware::FieldAwareOptions};

async fn post(fake: &FakeFieldAware, path: &str, body: &str) -> (u16, Value) {
    let url = format!("{}{path}", fake.control_url().unwrap());
    let response = http().post(url).body(body.to_owned()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn the_control_api_knows_this_vendor() {
    let ports = Ports { vendor: 0, control: Some(0) };
    let fake = FakeFieldAware::start_with(FieldAwareOptions { ports, ..FieldAwareOptions::default() }).await.unwrap();
    let (_, seeded) = post(&fake, "/seed", r#"{"stream":"customers","count":2}"#).await;
    let first = seeded["first_id"].as_str().unwrap().to_owned();
    assert_eq!(first.len(), 32);
    let edit =
        format!(r#"{{"stream":"customers","id":"{first}","set":{{"name":"Ü"}},"stamp":"2026-01-01T00:00:00+00:00"}}"#);
    assert_eq!(post(&fake, "/edit", &edit).await.1["stamp"], "2026-01-01T00:00:00+00:00");
    let (_, added) = post(&fake, "/add", r#"{"stream":"jobs"}"#).await;
    assert_eq!(added["ids"][0].as_str().unwrap().len(), 32);
    for (body, status) in [
        (r#"{"next_form":"relative","token_form":"opaque","inclusive":true,"token_epoch":2,"page_size":9}"#, 200),
        (r#"{"silent_deletes":true,"repeat_events":true,"event_urls":false,"quotes_as_jobs":true}"#, 200),
        (
            r#"{"features_off":["jobs"],"forbidden":["items"],"rejected_token_status":400,"address_base":"http://h"}"#,
            200,
        ),
        (r#"{"list_page_size":2,"list_page_size_max":3,"list_count":false,"list_links":false}"#, 200),
        (r#"{"list_envelope":"bare","quotes_among_jobs":true,"windows_required":true}"#, 200),
        (r#"{"next_form":"sideways"}"#, 400),
        (r#"{"pagesize":9}"#, 400),
    ] {
        assert_eq!(post(&fake, "/settings", body).await.0, status, "{body}");
    }
    assert_eq!(post(&fake, "/credentials", r#"{"token":"second","keep_old":true}"#).await.0, 200);
    assert_eq!(post(&fake, "/credentials", r#"{"api_key":"second"}"#).await.0, 400);
    assert_eq!(get_with(&fake, "/changes/token", "Token second").await.status(), 200);
    let url = format!("{}/status", fake.control_url().unwrap());
    let status: Value = serde_json::from_str(&http().get(url).send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!((&status["vendor"], &status["records"]["customers"]), (&json!("fieldaware"), &json!(2)));
}

#[tokio::test]
async fn the_same_seed_makes_the_same_records() {
    let truth = async |seed| {
        let options = FieldAwareOptions { seed, ..FieldAwareOptions::default() };
        let fake = FakeFieldAware::start_with(options).await.unwrap();
        fake.seed_count("jobs", 5).unwrap();
        fake.truth("jobs").unwrap()
    };
    assert_eq!(truth(7).await, truth(7).await);
    assert_ne!(truth(7).await, truth(8).await);
}
