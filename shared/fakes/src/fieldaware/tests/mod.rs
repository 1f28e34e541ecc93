//! The fake as a client sees it, over real connections.

mod control;
mod details;
mod feed;
mod lists;

use reqwest::{Client, Response, header::AUTHORIZATION, redirect::Policy};
use serde_json::Value;

use super::{FakeFieldAware, FieldAwareOptions, Settings};

const KEY: &str = "9dcae3660ec84eac94bb506e09a9af40";

/// A client; one for each test, as making one takes long and none outlives its runtime.
fn http() -> Client {
    thread_local! {
        static HTTP: Client = Client::builder().redirect(Policy::none()).build().unwrap();
    }
    HTTP.with(Client::clone)
}

async fn get_with(fake: &FakeFieldAware, path: &str, authorization: &str) -> Response {
    let request = http().get(format!("{}{path}", fake.url())).header("accept", "application/json");
    request.header(AUTHORIZATION, authorization).send().await.unwrap()
}

/// A call with the right key: its status and its JSON.
async fn get(fake: &FakeFieldAware, path: &str) -> (u16, Value) {
    let response = get_with(fake, path, &format!("Token {KEY}")).await;
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

async fn json(fake: &FakeFieldAware, path: &str) -> Value {
    let (status, json) = get(fake, path).await;
    assert_eq!(status, 200, "{path}: {json}");
    json
}

async fn fake_with(quirks: impl FnOnce(&mut Settings)) -> FakeFieldAware {
    let mut options = FieldAwareOptions::default();
    quirks(&mut options.settings);
    let fake = FakeFieldAware::start_with(options).await.unwrap();
    fake.freeze_clock();
    fake
}

async fn fake() -> FakeFieldAware {
    fake_with(|_| {}).await
}

/// The token of now.
async fn token(fake: &FakeFieldAware) -> String {
    json(fake, "/changes/token").await["sinceToken"].to_string().trim_matches('"').to_owned()
}

/// The uuids of a list of objects.
fn uuids<'json>(items: &'json Value, pointer: &str) -> Vec<&'json str> {
    items.as_array().unwrap().iter().map(|item| item.pointer(pointer).unwrap().as_str().unwrap()).collect()
}
