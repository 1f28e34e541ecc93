use super::*;
use crate::{CallKind, Effect, Fault, FixedAnswer, Heal, Mode, Poison, RetryAfter};

async fn detail(fake: &FakeFieldMotion, id: &str) -> reqwest::Result<Response> {
    call(fake, DETAIL, &[("id", id), ("fields", r#"["id","name"]"#)]).await
}

/// Status and body of the one answer that an effect shapes.
async fn struck(effect: Effect) -> (u16, String) {
    let (fake, ids) = with_customers(1).await;
    fake.fault(Fault::new(effect)).unwrap();
    let response = detail(&fake, &ids[0]).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn an_answer_can_be_given_word_for_word() {
    let (fake, ids) = with_customers(1).await;
    let fixed = FixedAnswer {
        status: 503,
        body: "<h1>busy</h1>".to_owned(),
        content_type: "text/html".to_owned(),
        headers: [("X-Why".to_owned(), "load".to_owned())].into(),
    };
    fake.fault(Fault::new(Effect::Answer(fixed)).times(1)).unwrap();
    let response = detail(&fake, &ids[0]).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-why"].to_str().unwrap()), (503, &"load"));
    assert_eq!(response.text().await.unwrap(), "<h1>busy</h1>");
    assert_eq!(detail(&fake, &ids[0]).await.unwrap().status(), 200);
    let log = fake.requests();
    assert_eq!((log[0].status, log[0].fault.as_deref()), (Some(503), Some("answer")));
    assert_eq!((log[1].status, log[1].fault.as_deref()), (Some(200), None));
}

#[tokio::test]
async fn throttling_comes_with_each_kind_of_retry_after() {
    let (fake, ids) = with_customers(1).await;
    fake.freeze_clock();
    let date = crate::clock::http_date(fake.now_ms() / 1000 + 90);
    for (status, retry_after, written) in [
        (429, RetryAfter::Seconds(7), "7"),
        (503, RetryAfter::DateInSeconds(90), date.as_str()),
        (429, RetryAfter::Text("later, please".to_owned()), "later, please"),
    ] {
        fake.fault(Fault::new(Effect::Throttled { status, retry_after }).times(1)).unwrap();
        let response = detail(&fake, &ids[0]).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()),
            (status, written)
        );
    }
}

#[tokio::test]
async fn answers_can_be_wrong_in_many_ways_with_status_200() {
    for (effect, body) in [
        (Effect::Error("Über/load".to_owned()), r#"{"error":"\u00dcber\/load"}"#.to_owned()),
        (Effect::NotLoggedIn, r#"{"error":"not logged in"}"#.to_owned()),
        (Effect::EmptyBody, String::new()),
        (Effect::WrongShape, r#"{"ok":1,"unexpected":[[1],[2,null]]}"#.to_owned()),
        (Effect::DeepJson { depth: 500 }, "[".repeat(500) + &"]".repeat(500)),
        (Effect::Truncate { bytes: 9 }, r#"{"id":"68"#.to_owned()),
    ] {
        assert_eq!(struck(effect).await, (200, body));
    }
    let (status, page) = struck(Effect::MaintenancePage).await;
    assert_eq!(status, 200);
    assert!(page.starts_with("<!DOCTYPE html>"));
    let (_, other) = struck(Effect::OtherId { id: "5".to_owned() }).await;
    assert_eq!(serde_json::from_str::<Value>(&other).unwrap()["id"], "5");
}

#[tokio::test]
async fn a_body_can_go_on_and_on() {
    let bytes = 3_000_000;
    let (status, body) = struck(Effect::EndlessBody { bytes }).await;
    assert_eq!((status, body.len()), (200, bytes));
}

#[tokio::test]
async fn redirects_point_where_told() {
    let (fake, ids) = with_customers(1).await;
    for status in [301, 302, 307, 308] {
        let to = "http://127.0.0.1:9/elsewhere".to_owned();
        fake.fault(Fault::new(Effect::Redirect { status, to: to.clone() }).times(1)).unwrap();
        let response = detail(&fake, &ids[0]).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["location"].to_str().unwrap()),
            (status, to.as_str())
        );
    }
}

#[tokio::test]
async fn connections_are_cut_where_told() {
    let (fake, ids) = with_customers(1).await;
    for effect in [Effect::CutBeforeAnswer, Effect::CutHead { after_bytes: 20 }] {
        fake.fault(Fault::new(effect).times(1)).unwrap();
        assert!(detail(&fake, &ids[0]).await.is_err());
        assert_eq!(fake.requests().pop().unwrap().status, None);
    }
    for reset in [false, true] {
        fake.fault(Fault::new(Effect::CutBody { after_bytes: 5, reset }).times(1)).unwrap();
        let cut = match detail(&fake, &ids[0]).await {
            Ok(response) => response.text().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(cut.is_err());
        assert_eq!(fake.requests().pop().unwrap().fault.as_deref(), Some("cut_body"));
    }
    assert!(detail(&fake, &ids[0]).await.is_ok());
}

#[tokio::test]
async fn a_body_dribbles_and_arrives_whole() {
    let (fake, ids) = with_customers(1).await;
    let whole = detail(&fake, &ids[0]).await.unwrap().text().await.unwrap();
    fake.fault(Fault::new(Effect::SlowBody { bytes: 1, every_ms: 1 }).times(1)).unwrap();
    assert_eq!(detail(&fake, &ids[0]).await.unwrap().text().await.unwrap(), whole);
    fake.fault(Fault::new(Effect::SlowBody { bytes: 1, every_ms: 60_000 }).times(1)).unwrap();
    let impatient = Client::builder().timeout(Duration::from_millis(200)).build().unwrap();
    let response = call_with(&fake, &impatient, DETAIL, &[("id", &ids[0])]).await.unwrap();
    assert!(response.text().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_delay_keeps_an_impatient_client_waiting() {
    let (fake, ids) = with_customers(1).await;
    fake.fault(Fault::new(Effect::Delay { ms: 60_000 }).on_call(CallKind::Detail)).unwrap();
    let impatient = Client::builder().timeout(Duration::from_millis(200)).build().unwrap();
    let waited = call_with(&fake, &impatient, DETAIL, &[("id", &ids[0])]).await;
    assert!(waited.unwrap_err().is_timeout());
    assert_eq!(listed(&fake, OLD).await, json!(ids));
    fake.clear_faults();
    assert_eq!(detail(&fake, &ids[0]).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_delay_does_not_hide_another_fault() {
    let (fake, ids) = with_customers(1).await;
    fake.fault(Fault::new(Effect::Delay { ms: 1 })).unwrap();
    fake.fault(Fault::new(Effect::EmptyBody)).unwrap();
    assert_eq!(detail(&fake, &ids[0]).await.unwrap().text().await.unwrap(), "");
}

#[tokio::test]
async fn faults_strike_what_they_name_as_often_as_they_say() {
    let (fake, ids) = with_customers(2).await;
    let fault = Fault::new(Effect::NotLoggedIn).on_id(&ids[0]).after(1).times(2);
    fake.fault(fault).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(detail(&fake, &ids[0]).await.unwrap().text().await.unwrap().contains("not logged in"));
        assert!(!detail(&fake, &ids[1]).await.unwrap().text().await.unwrap().contains("error"));
    }
    assert_eq!(seen, [false, true, true, false]);
    let fault = Fault::new(Effect::NotLoggedIn).on_function(LIST).on_stream("customers");
    fake.fault(fault).unwrap();
    for _ in 0..3 {
        assert_eq!(listed(&fake, OLD).await, json!({"error": "not logged in"}));
    }
    assert_eq!(json(&fake, "Jobs_listByLastEdited", &[("from", OLD)]).await, json!([]));
    fake.clear_faults();
    assert_eq!(listed(&fake, OLD).await, json!(ids));
}

#[tokio::test]
async fn a_poisoned_record_answers_wrongly_until_healed() {
    let (fake, ids) = with_customers(3).await;
    fake.poison(&Poison::of("customers", &ids[0])).unwrap();
    let poison = Poison { effect: Effect::Error("internal".to_owned()), ..Poison::of("customers", &ids[1]) };
    fake.poison(&poison).unwrap();
    assert!(json(&fake, DETAIL, &[("id", &ids[0])]).await.get("unexpected").is_some());
    assert_eq!(json(&fake, DETAIL, &[("id", &ids[1])]).await, json!({"error": "internal"}));
    assert!(!name_of(&fake, &ids[2]).await.is_empty());
    assert_eq!(listed(&fake, OLD).await, json!(ids));
    assert!(fake.truth("customers").unwrap()[&ids[0]].poisoned);
    fake.heal(&Heal { id: Some(ids[0].clone()), ..Heal::default() });
    assert!(!name_of(&fake, &ids[0]).await.is_empty());
    assert_eq!(json(&fake, DETAIL, &[("id", &ids[1])]).await, json!({"error": "internal"}));
    fake.heal(&Heal::default());
    assert!(!name_of(&fake, &ids[1]).await.is_empty());
}

#[tokio::test]
async fn down_closes_every_connection_and_up_serves_again() {
    let (fake, ids) = with_customers(1).await;
    let http = http();
    assert!(call_with(&fake, &http, DETAIL, &[("id", &ids[0])]).await.is_ok());
    fake.set_mode(Mode::Down);
    assert!(call_with(&fake, &http, DETAIL, &[("id", &ids[0])]).await.is_err());
    assert!(detail(&fake, &ids[0]).await.is_err());
    assert_eq!(fake.request_counts().total, 1);
    fake.set_mode(Mode::Up);
    assert!(detail(&fake, &ids[0]).await.is_ok());
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let (fake, _) = with_customers(1).await;
    let http = http();
    for _ in 0..20 {
        call_with(&fake, &http, LIST, &[("from", OLD)]).await.unwrap().text().await.unwrap();
    }
    assert_eq!(fake.request_counts().total, 20);
}

#[tokio::test]
async fn a_dropped_fake_listens_no_more() {
    let (fake, ids) = with_customers(1).await;
    let url = fake.url().to_owned();
    detail(&fake, &ids[0]).await.unwrap();
    let stopping = fake.clone();
    drop(fake);
    stopping.stopped().await;
    assert!(http().post(format!("{url}/a/{LIST}")).send().await.is_err());
}
