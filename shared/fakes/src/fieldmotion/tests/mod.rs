//! The fake as a client sees it, over real connections.

mod control;
mod credentials;
mod details;
mod edits;
mod faults;
mod holds;
mod lists;
mod rows;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};

use super::{FakeFieldMotion, FieldMotionOptions, php::Form, signature::signature};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "2000-01-01 00:00:00";
const LIST: &str = "Customers_listByLastEdited";
const DETAIL: &str = "Customers_getById";
/// Far longer than any test waits; a test that needs it to pass has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// A form as a client signs it.
fn signed(parameters: &[(&str, &str)], api_id: &str, api_key: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> = parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let body = pairs.join("&");
    let md5 = signature(&Form::parse(body.as_bytes()).unwrap(), api_key);
    format!("{body}&_api_md5={md5}&_api_id={api_id}")
}

/// A client; one for each test, as making one takes long and none outlives its runtime.
fn http() -> Client {
    thread_local! {
        static HTTP: Client = Client::builder().redirect(Policy::none()).timeout(LIMIT).build().unwrap();
    }
    HTTP.with(Client::clone)
}

async fn post(fake: &FakeFieldMotion, http: &Client, function: &str, body: String) -> reqwest::Result<Response> {
    http.post(format!("{}/a/{function}", fake.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
}

/// A correctly signed call.
async fn call(fake: &FakeFieldMotion, function: &str, parameters: &[(&str, &str)]) -> reqwest::Result<Response> {
    call_with(fake, &http(), function, parameters).await
}

async fn call_with(
    fake: &FakeFieldMotion,
    http: &Client,
    function: &str,
    parameters: &[(&str, &str)],
) -> reqwest::Result<Response> {
    let now = (fake.now_ms() / 1000).to_string();
    let parameters = [parameters, &[("_api_now", now.as_str())]].concat();
    post(fake, http, function, signed(&parameters, "123", KEY)).await
}

async fn text(fake: &FakeFieldMotion, function: &str, parameters: &[(&str, &str)]) -> String {
    call(fake, function, parameters).await.unwrap().text().await.unwrap()
}

async fn json(fake: &FakeFieldMotion, function: &str, parameters: &[(&str, &str)]) -> Value {
    serde_json::from_str(&text(fake, function, parameters).await).unwrap()
}

async fn listed(fake: &FakeFieldMotion, from: &str) -> Value {
    json(fake, LIST, &[("from", from)]).await
}

async fn name_of(fake: &FakeFieldMotion, id: &str) -> String {
    let row = json(fake, DETAIL, &[("id", id), ("fields", r#"["name"]"#)]).await;
    row["name"].as_str().unwrap().to_owned()
}

/// A fake with so many customers, and their ids.
async fn with_customers(count: usize) -> (FakeFieldMotion, Vec<String>) {
    let fake = FakeFieldMotion::start().await.unwrap();
    let ids = fake.seed_count("customers", count).unwrap();
    (fake, ids)
}
