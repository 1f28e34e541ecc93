use serde_json::json;

use super::*;
use crate::{Action, Add, Change, Effect, Fault, Hold, HoldFilter, Hook, Poison};

#[tokio::test]
async fn a_detail_is_the_truth_as_the_vendor_writes_it() {
    let fake = fake().await;
    let id = fake.seed_count("tasks", 1).unwrap().remove(0);
    let response = get_with(&fake, &format!("/task/{id}"), &format!("Token {KEY}")).await;
    let truth = fake.truth("tasks").unwrap().remove(&id).unwrap();
    assert_eq!(response.text().await.unwrap(), truth.body);
    assert!(truth.body.starts_with(&format!("{{\"uuid\": \"{id}\", \"glAccount\": null, ")), "{}", truth.body);
}

#[tokio::test]
async fn the_endpoint_of_jobs_serves_quotes_too() {
    let fake = fake().await;
    let quote = fake.seed_count("web_quotes", 1).unwrap().remove(0);
    assert_eq!(json(&fake, &format!("/job/{quote}")).await["uuid"], *quote);
    assert_eq!(json(&fake, &format!("/webquote/{quote}")).await["uuid"], *quote);
    assert_eq!(get(&fake, &format!("/fieldquote/{quote}")).await.0, 404);
}

#[tokio::test]
async fn gone_and_unknown_records_are_not_found() {
    let fake = fake().await;
    let id = fake.seed_count("users", 1).unwrap().remove(0);
    fake.delete(Change::of("users", &id)).unwrap();
    let (status, body) = get(&fake, &format!("/user/{id}")).await;
    assert_eq!((status, &body["error"]["name"]), (404, &json!("NotFoundError")));
    for path in ["/user/nobody", "/ship/1", "/", "/changes/previous/2014-10-14/"] {
        assert_eq!(get(&fake, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_answers_403() {
    let fake = fake_with(|settings| settings.forbidden = vec!["jobs".to_owned()]).await;
    let id = fake.add(Add::one("jobs")).unwrap().ids.remove(0);
    for path in [format!("/job/{id}"), "/job/".to_owned()] {
        assert_eq!(get(&fake, &path).await.0, 403, "{path}");
    }
    assert_eq!(get(&fake, "/customer/").await.0, 200);
}

#[tokio::test]
async fn keys_are_checked_and_can_be_changed() {
    let fake = fake().await;
    for authorization in ["Token wrong", KEY, &format!("Bearer {KEY}"), &format!("Token  {KEY}"), "Token \"x\""] {
        let response = get_with(&fake, "/changes/token", authorization).await;
        assert_eq!(response.status(), 401, "{authorization}");
        assert!(response.text().await.unwrap().contains("AuthenticationError"));
    }
    assert_eq!(get(&fake, &format!("/changes/token?api_key={KEY}")).await.0, 401, "keys in addresses end up in logs");
    fake.rotate("second", true);
    assert_eq!(get_with(&fake, "/changes/token", "Token second").await.status(), 200);
    assert_eq!(get(&fake, "/changes/token").await.0, 200);
    fake.rotate("third", false);
    assert_eq!(get(&fake, "/changes/token").await.0, 401);
    assert_eq!(fake.request_counts().refused, 7);
}

#[tokio::test]
async fn faults_poison_hooks_and_holds_concern_the_calls_they_name() {
    let fake = fake().await;
    let ids = fake.seed_count("items", 2).unwrap();
    let path = |id: &str| format!("/item/{id}");
    fake.poison(&Poison::of("items", &ids[0])).unwrap();
    assert!(json(&fake, &path(&ids[0])).await.get("uuid").is_none());
    assert_eq!(json(&fake, &path(&ids[1])).await["uuid"], *ids[1]);
    fake.fault(Fault::new(Effect::OtherId { id: "other".to_owned() }).on_function("/item/{uuid}").times(1)).unwrap();
    assert_eq!(json(&fake, &path(&ids[1])).await["uuid"], "other");
    fake.fault(Fault::new(Effect::Error("x".to_owned())).on_stream("changes").times(1)).unwrap();
    assert_eq!(json(&fake, "/item/").await["count"], 2);
    assert_eq!(json(&fake, "/changes/token").await["error"]["message"], "x");
    let edit = Action::Edit(Change::of("items", &ids[1]));
    fake.hook(Hook::after_list("changes", edit)).unwrap();
    assert_eq!(token(&fake).await, "63182001");
    assert_eq!(token(&fake).await, "63182002");
    fake.hold(Hold::list("changes")).unwrap();
    let (held, ()) = tokio::join!(token(&fake), async {
        let filter = HoldFilter { stream: Some("changes".to_owned()), id: None };
        fake.wait_held(&filter, std::time::Duration::from_secs(20)).await.unwrap();
        fake.release(&filter);
    });
    assert_eq!(held, "63182002");
}
