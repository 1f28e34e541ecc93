//! The control port's calls that are this vendor's own.

use serde_json::{Value, json};

use super::{KEY, get, get_with, http};
use crate::{
    Ports,
    fsmnavigator::{FakeFsmNavigator, FsmNavigatorOptions, Paging},
};

async fn post(fake: &FakeFsmNavigator, call: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/{call}", fake.control_url().unwrap());
    let answer = http().post(url).body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn controlled() -> FakeFsmNavigator {
    let ports = Ports { control: Some(0), ..Ports::default() };
    FakeFsmNavigator::start_with(FsmNavigatorOptions { ports, ..FsmNavigatorOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn settings_are_changed_key_by_key() {
    let fake = controlled().await;
    let changes = json!({"dialect": "reference", "paging": "no_totals", "limit_calls": 5});
    assert_eq!(post(&fake, "settings", changes).await.0, 200);
    let settings = fake.vendor().state.settings();
    assert_eq!((settings.paging, settings.limit_calls, settings.limit_seconds), (Paging::NoTotals, 5, 60));
    for wrong in [json!({"dialects": "guide"}), json!({"dialect": "other"}), json!([])] {
        assert_eq!(post(&fake, "settings", wrong.clone()).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn credentials_are_replaced_or_added_with_their_scopes() {
    let fake = controlled().await;
    let added = json!({"api_key": "fsm_test_new", "scopes": ["assets:read"], "keep_old": true});
    assert_eq!(post(&fake, "credentials", added).await.0, 200);
    assert_eq!(get(&fake, "jobs").await.status(), 200);
    assert_eq!(get_with(&fake, "jobs", "fsm_test_new").await.status(), 403);
    assert_eq!(get_with(&fake, "assets", "fsm_test_new").await.status(), 200);
    assert_eq!(post(&fake, "credentials", json!({"api_key": "fsm_test_newer"})).await.0, 200);
    assert_eq!(get_with(&fake, "technicians", "fsm_test_newer").await.status(), 200);
    assert_eq!(get_with(&fake, "jobs", KEY).await.status(), 401);
    assert_eq!(post(&fake, "credentials", json!({"key": "x"})).await.0, 400);
}

#[tokio::test]
async fn records_are_seeded_and_edited_with_this_vendors_stamps() {
    let fake = controlled().await;
    let seed = json!({"stream": "assets", "count": 2, "first_stamp": "2026-02-23T00:00:00Z"});
    let (_, seeded) = post(&fake, "seed", seed).await;
    assert_eq!((&seeded["first_id"], &seeded["last_id"]), (&json!("1001"), &json!("1002")));
    assert_eq!(fake.truth("assets").unwrap()["1001"].last_edited_ms, 1_771_804_800_000);
    let edit = json!({"stream": "assets", "id": "1001", "stamp": "2026-02-24T00:00:00Z", "set": {"condition": "Poor"}});
    let (_, edited) = post(&fake, "edit", edit).await;
    assert_eq!(edited["stamp"], "2026-02-24T00:00:00Z");
    assert_eq!(fake.truth("assets").unwrap()["1001"].row.text("condition"), Some("Poor"));
    for wrong in ["2026-02-23 00:00:00", "soon"] {
        let edit = json!({"stream": "assets", "id": "1001", "stamp": wrong});
        assert_eq!(post(&fake, "edit", edit).await.0, 400, "{wrong}");
    }
}
