//! The fake as a client sees it, over real connections.

mod control;
mod details;
mod lists;
mod refusals;

use reqwest::{Client, Response};
use serde_json::Value;

use super::FakeFsmNavigator;

const KEY: &str = "fsm_test_0123456789abcdef";

/// A client; one for each test, as making one takes long and none outlives its runtime.
fn http() -> Client {
    thread_local! {
        static HTTP: Client = Client::new();
    }
    HTTP.with(Client::clone)
}

async fn get_with(fake: &FakeFsmNavigator, target: &str, key: &str) -> Response {
    http().get(format!("{}/api/v1/{target}", fake.url())).header("X-API-Key", key).send().await.unwrap()
}

async fn get(fake: &FakeFsmNavigator, target: &str) -> Response {
    get_with(fake, target, KEY).await
}

async fn json(fake: &FakeFsmNavigator, target: &str) -> Value {
    serde_json::from_str(&get(fake, target).await.text().await.unwrap()).unwrap()
}

/// The ids that a page of the guide's dialect lists.
async fn ids(fake: &FakeFsmNavigator, target: &str) -> Vec<i64> {
    let page = json(fake, target).await;
    let (_, rows) = page.as_object().unwrap().iter().find(|(_, value)| value.is_array()).unwrap();
    rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// A fake with so many jobs.
async fn with_jobs(count: usize) -> FakeFsmNavigator {
    let fake = FakeFsmNavigator::start().await.unwrap();
    fake.seed_count("jobs", count).unwrap();
    fake
}
