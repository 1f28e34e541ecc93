use super::*;
use crate::fieldmotion::ApiNowFormat;

async fn is_accepted(fake: &FakeFieldMotion, api_id: &str, api_key: &str) -> bool {
    let now = (fake.now_ms() / 1000).to_string();
    let body = signed(&[("from", OLD), ("_api_now", &now)], api_id, api_key);
    let answer: Value =
        serde_json::from_str(&post(fake, &http(), LIST, body).await.unwrap().text().await.unwrap()).unwrap();
    assert!(answer.is_array() || answer == json!({"error": "not logged in"}));
    answer.is_array()
}

#[tokio::test]
async fn a_wrong_key_or_id_is_not_logged_in() {
    let (fake, _) = with_customers(1).await;
    assert!(is_accepted(&fake, "123", KEY).await);
    assert!(!is_accepted(&fake, "123", "another").await);
    assert!(!is_accepted(&fake, "124", KEY).await);
}

#[tokio::test]
async fn a_body_changed_after_signing_is_not_logged_in() {
    let (fake, _) = with_customers(1).await;
    let now = (fake.now_ms() / 1000).to_string();
    let body = signed(&[("from", OLD), ("_api_now", &now)], "123", KEY).replace("2000", "2001");
    let answer = post(&fake, &http(), LIST, body).await.unwrap().text().await.unwrap();
    assert_eq!(answer, r#"{"error":"not logged in"}"#);
    let refusal = fake.requests().pop().unwrap().refusal.unwrap();
    assert!(refusal.contains("_api_md5 differs"), "{refusal}");
}

#[tokio::test]
async fn a_replayed_body_is_refused_after_five_minutes() {
    let (fake, _) = with_customers(1).await;
    let now = (fake.now_ms() / 1000).to_string();
    let body = signed(&[("from", OLD), ("_api_now", &now)], "123", KEY);
    let first = post(&fake, &http(), LIST, body.clone()).await.unwrap().text().await.unwrap();
    fake.advance(Duration::from_secs(302));
    let second = post(&fake, &http(), LIST, body).await.unwrap().text().await.unwrap();
    assert_eq!((first.as_str(), second.as_str()), (r#"["683136"]"#, r#"{"error":"not logged in"}"#));
}

#[tokio::test]
async fn get_is_not_post() {
    let (fake, _) = with_customers(1).await;
    let answer = http().get(format!("{}/a/{LIST}", fake.url())).send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, r#"{"error":"not logged in"}"#);
}

#[tokio::test]
async fn another_time_format_can_be_asked_for() {
    let (fake, _) = with_customers(1).await;
    fake.configure(|settings| settings.api_now_format = ApiNowFormat::Datetime);
    assert!(!is_accepted(&fake, "123", KEY).await);
    let now = crate::clock::naive(fake.now_ms() / 1000, 0);
    let body = signed(&[("from", OLD), ("_api_now", &now)], "123", KEY);
    assert_eq!(post(&fake, &http(), LIST, body).await.unwrap().text().await.unwrap(), r#"["683136"]"#);
}

#[tokio::test]
async fn a_rotated_key_replaces_the_old_one_or_stands_beside_it() {
    let (fake, _) = with_customers(1).await;
    fake.rotate("123", "second", true);
    assert!(is_accepted(&fake, "123", KEY).await);
    assert!(is_accepted(&fake, "123", "second").await);
    fake.rotate("124", "third", false);
    assert!(!is_accepted(&fake, "123", KEY).await);
    assert!(!is_accepted(&fake, "123", "second").await);
    assert!(is_accepted(&fake, "124", "third").await);
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let (fake, ids) = with_customers(1).await;
    is_accepted(&fake, "123", KEY).await;
    is_accepted(&fake, "123", "another").await;
    text(&fake, DETAIL, &[("id", &ids[0])]).await;
    let counts = fake.request_counts();
    assert_eq!((counts.total, counts.refused), (3, 1));
    assert_eq!((counts.by_function[LIST], counts.by_function[DETAIL]), (2, 1));
    let requests = fake.requests();
    assert_eq!(requests.iter().map(|request| request.signature_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(requests[0].parameters, ["from", "_api_now", "_api_md5", "_api_id"]);
    assert_eq!(requests[0].from.as_deref(), Some(OLD));
    assert_eq!((requests[2].id.as_deref(), requests[2].status), (Some(ids[0].as_str()), Some(200)));
    fake.reset_requests();
    assert_eq!(fake.request_counts().total, 0);
    text(&fake, DETAIL, &[("id", &ids[0])]).await;
    assert_eq!(fake.requests()[0].number, 4);
}
