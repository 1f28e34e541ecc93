//! The fake as a client sees it, over real connections.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::{DetailShape, FakeFieldly, Filter, Metadata, Order};
use crate::{Action, Add, CallKind, Change, Effect, Fault, Hook, Poison, ShowStamp, ShownStamp};

/// `client_id:client_secret`, as the guide's sample call sends it.
const BASIC: &str = "Basic Y2xpZW50X2lkOmNsaWVudF9zZWNyZXQ=";

/// A client; one for each test, as making one takes long and none outlives its runtime.
fn http() -> Client {
    thread_local! {
        static HTTP: Client = Client::new();
    }
    HTTP.with(Client::clone)
}

async fn ask_for_token(fake: &FakeFieldly, authorization: &str) -> Response {
    let request = http().post(format!("{}/api/public/v1/oauth/token", fake.url()));
    request.header("authorization", authorization).body("grant_type=client_credentials").send().await.unwrap()
}

async fn token(fake: &FakeFieldly) -> String {
    let answer: Value = json_of(ask_for_token(fake, BASIC).await).await;
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn get_with(fake: &FakeFieldly, token: &str, path: &str) -> Response {
    let request = http().get(format!("{}/api/public/v1/{path}", fake.url()));
    request.header("authorization", format!("Bearer {token}")).send().await.unwrap()
}

async fn get(fake: &FakeFieldly, path: &str) -> (u16, Value) {
    let response = get_with(fake, &token(fake).await, path).await;
    (response.status().as_u16(), json_of(response).await)
}

async fn ids(fake: &FakeFieldly, path: &str) -> Vec<u64> {
    let (status, page) = get(fake, path).await;
    assert_eq!(status, 200, "{path}: {page}");
    page["clients"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

async fn with_clients(count: usize) -> FakeFieldly {
    let fake = FakeFieldly::start().await.unwrap();
    fake.seed_count("clients", count).unwrap();
    fake
}

#[tokio::test]
async fn a_token_is_given_to_a_known_client_and_opens_the_lists_for_an_hour() {
    let fake = with_clients(1).await;
    fake.freeze_clock();
    let answer = json_of(ask_for_token(&fake, BASIC).await).await;
    let token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"], &answer["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("public"))
    );
    fake.advance(Duration::from_secs(3599));
    assert_eq!(get_with(&fake, &token, "clients").await.status(), 200);
    fake.advance(Duration::from_secs(1));
    assert_eq!(get_with(&fake, &token, "clients").await.status(), 401);
    assert_eq!(fake.tokens_handed_out(), 1);
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let fake = with_clients(1).await;
    for authorization in ["Basic Y2xpZW50X2lkOndyb25n", "Basic !!!!", "Bearer x", ""] {
        let response = ask_for_token(&fake, authorization).await;
        assert_eq!(response.status(), 401, "{authorization}");
        assert_eq!(json_of(response).await["error"], "invalid_client");
    }
    fake.configure(|settings| settings.token_refusal_status = 400);
    assert_eq!(ask_for_token(&fake, "Basic").await.status(), 400);
    assert_eq!(get_with(&fake, "t0k3n", "clients").await.status(), 401);
    assert_eq!((fake.tokens_handed_out(), fake.request_counts().refused), (0, 6));
}

#[tokio::test]
async fn tokens_end_with_their_client_or_when_told() {
    let fake = with_clients(1).await;
    let one = token(&fake).await;
    fake.set(json!({"revoke_tokens": true})).unwrap();
    assert_eq!(get_with(&fake, &one, "clients").await.status(), 401);
    let two = token(&fake).await;
    assert_ne!(one, two);
    fake.set_credentials(json!({"client_id": "a", "client_secret": "b", "keep_old": true})).unwrap();
    assert_eq!(get_with(&fake, &two, "clients").await.status(), 200);
    fake.rotate("a", "b", false);
    assert_eq!(get_with(&fake, &two, "clients").await.status(), 401);
    assert_eq!(ask_for_token(&fake, BASIC).await.status(), 401);
    assert!(fake.set(json!({"revoke_tokens": 1})).is_err());
    assert!(fake.set(json!({"revoke": true})).is_err());
}

#[tokio::test]
async fn a_token_can_be_handed_out_again_with_what_is_left_of_its_time() {
    let fake = with_clients(1).await;
    fake.freeze_clock();
    fake.configure(|settings| settings.reuse_tokens = true);
    let one = token(&fake).await;
    fake.advance(Duration::from_secs(3590));
    let again = json_of(ask_for_token(&fake, BASIC).await).await;
    assert_eq!((again["access_token"].as_str(), &again["expires_in"]), (Some(one.as_str()), &json!(10)));
    fake.advance(Duration::from_secs(10));
    assert_ne!(token(&fake).await, one);
}

#[tokio::test]
async fn lists_come_in_pages_with_their_metadata() {
    let fake = with_clients(7).await;
    fake.configure(|settings| settings.order = Order::ById);
    assert_eq!(ids(&fake, "clients?page=3&per_page=3").await, [507]);
    let (_, page) = get(&fake, "clients?page=3&per_page=3").await;
    assert_eq!(page["metadata"], json!({"total":1,"total_count":7,"total_pages":3,"page":3,"per_page":3}));
    assert_eq!(ids(&fake, "clients?page=4&per_page=3").await, [0; 0]);
    fake.configure(|settings| settings.metadata = Metadata::Meta);
    assert_eq!(get(&fake, "clients?per_page=500").await.1["meta"]["per_page"], 50);
    fake.configure(|settings| (settings.metadata, settings.rows_key) = (Metadata::None, Some("rows".to_owned())));
    let (_, page) = get(&fake, "clients").await;
    assert_eq!(page.as_object().unwrap().keys().collect::<Vec<_>>(), ["rows"]);
}

#[tokio::test]
async fn lists_are_filtered_as_the_settings_say() {
    let fake = with_clients(3).await;
    let stamped = |id: &str, stamp: &str| fake.edit(Change::of("clients", id).stamped(stamp)).unwrap();
    stamped("501", "2026-01-14T10:00:00.000Z");
    stamped("502", "2026-01-15T10:00:00.000Z");
    for (filter, inclusive, from, expected) in [
        (Filter::Datetime, false, "2026-01-14T10:00:00.000Z", &[502][..]),
        (Filter::Datetime, true, "2026-01-14T10:00:00.000Z", &[502, 501]),
        (Filter::Datetime, false, "2026-01-15", &[502]),
        (Filter::DateOnly, false, "2026-01-14", &[502]),
        (Filter::DateOnly, false, "2026-01-13", &[502, 501]),
        (Filter::Ignored, false, "2099-01-01", &[502, 501, 503]),
    ] {
        fake.configure(|settings| (settings.filter, settings.inclusive) = (filter, inclusive));
        assert_eq!(ids(&fake, &format!("clients?updated_at={from}")).await, expected, "{filter:?} {from}");
    }
    fake.configure(|settings| settings.filter = Filter::DateOnly);
    let (status, refusal) = get(&fake, "clients?updated_at=2026-01-14T10:00:00.000Z").await;
    assert_eq!((status, refusal["errors"]["updated_at"].is_array()), (422, true));
}

#[tokio::test]
async fn parameters_that_do_not_exist_are_refused_or_ignored() {
    let fake = with_clients(1).await;
    let (status, refusal) = get(&fake, "clients?changed=2026-01-01&type=x").await;
    assert_eq!((status, refusal["errors"].as_object().unwrap().len()), (422, 2));
    fake.configure(|settings| settings.refuse_unknown_parameters = false);
    assert_eq!(ids(&fake, "clients?changed=2026-01-01&type=x").await, [501]);
    assert_eq!(get(&fake, "clients?page=0").await.0, 422);
}

#[tokio::test]
async fn the_type_of_a_work_item_is_compared_case_insensitively() {
    let fake = FakeFieldly::start().await.unwrap();
    fake.seed_count("work_items", 4).unwrap();
    let (_, page) = get(&fake, "work_items?type=workorder").await;
    let kinds: Vec<_> =
        page["work_items"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Workorder"; 2]);
}

#[tokio::test]
async fn an_edit_moves_a_row_to_another_page() {
    let fake = with_clients(4).await;
    for (order, before, after) in [
        (Order::NewestFirst, [504, 503], [501, 504]),
        (Order::OldestFirst, [502, 503], [503, 504]),
        (Order::ById, [501, 502], [501, 502]),
    ] {
        fake.configure(|settings| settings.order = order);
        assert_eq!(ids(&fake, "clients?per_page=2").await, before, "{order:?}");
        let oldest = if order == Order::OldestFirst { "502" } else { "501" };
        fake.edit(Change::of("clients", oldest)).unwrap();
        assert_eq!(ids(&fake, "clients?per_page=2").await, after, "{order:?}");
    }
}

#[tokio::test]
async fn a_record_is_shown_until_it_is_deleted() {
    let fake = with_clients(2).await;
    for shape in [DetailShape::Keyed, DetailShape::Data, DetailShape::Bare] {
        fake.configure(|settings| settings.detail_shape = shape);
        let (status, shown) = get(&fake, "clients/501").await;
        let row = match shape {
            DetailShape::Keyed => &shown["client"],
            DetailShape::Data => &shown["data"],
            DetailShape::Bare => &shown,
        };
        assert_eq!((status, &row["id"]), (200, &json!(501)));
        let truth: Value = serde_json::from_str(&fake.truth("clients").unwrap()["501"].body).unwrap();
        assert_eq!(row, &truth);
    }
    fake.deactivate(Change::of("clients", "502")).unwrap();
    assert_eq!(ids(&fake, "clients").await, [501]);
    assert_eq!(get(&fake, "clients/502").await.0, 200);
    fake.delete(Change::of("clients", "501")).unwrap();
    assert_eq!(get(&fake, "clients/501").await.0, 404);
    assert_eq!(get(&fake, "clients/999").await.0, 404);
    assert_eq!(get(&fake, "invoices").await.0, 404);
}

#[tokio::test]
async fn the_generic_machinery_works_here_too() {
    let fake = with_clients(2).await;
    fake.add(Add { visible_after_ms: 60_000, ..Add::with_id("clients", "a/b") }).unwrap();
    assert_eq!(ids(&fake, "clients").await.len(), 2);
    fake.poison(&Poison::of("clients", "501")).unwrap();
    assert_eq!(get(&fake, "clients/501").await.1["ok"], 1);
    fake.hook(Hook::after_list("clients", Action::Delete(Change::of("clients", "502")))).unwrap();
    assert_eq!(ids(&fake, "clients").await.len(), 2);
    assert_eq!(ids(&fake, "clients").await, [501]);
    fake.fault(Fault::new(Effect::OtherId { id: "7".to_owned() }).on_call(CallKind::Detail)).unwrap();
    fake.heal(&crate::Heal::default());
    assert_eq!(get(&fake, "clients/501").await.1["client"]["id"], 7);
    let shown = ShownStamp::Missing;
    fake.show_stamp(&ShowStamp { stream: "clients".to_owned(), id: "501".to_owned(), shown }).unwrap();
    assert!(get(&fake, "clients").await.1["clients"][0].get("updated_at").is_none());
    let functions: Vec<String> = fake.requests().into_iter().map(|request| request.function).collect();
    for function in ["POST /oauth/token", "GET /clients", "GET /clients/{id}"] {
        assert!(functions.iter().any(|known| known == function), "{functions:?}");
    }
}

#[tokio::test]
async fn a_page_is_short_and_one_behind_the_end_refused_as_it_is_told_to() {
    let fake = with_clients(4).await;
    fake.configure(|settings| {
        (settings.refuses_end, settings.hidden, settings.order) = (true, vec!["502".to_owned()], Order::ById);
    });
    assert_eq!(ids(&fake, "clients?page=1&per_page=2").await, [501]);
    assert_eq!(ids(&fake, "clients?page=2&per_page=2").await, [503, 504]);
    assert_eq!(get(&fake, "clients?page=3&per_page=2").await.0, 400);
}
