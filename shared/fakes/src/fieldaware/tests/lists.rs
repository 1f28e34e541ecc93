use serde_json::json;

use super::*;
use crate::{
    Change,
    fieldaware::{ListEnvelope, classes::CLASSES, rows::first_number},
};

#[tokio::test]
async fn a_list_has_numbered_pages_from_zero() {
    let fake = fake().await;
    let ids = fake.seed_count("customers", 5).unwrap();
    let page = json(&fake, "/customer/?page=1&pageSize=2").await;
    assert_eq!((&page["count"], &page["page"], &page["pageSize"]), (&json!(5), &json!(1), &json!(2)));
    assert_eq!(uuids(&page["items"], "/uuid"), ids[2..4]);
    assert_eq!(page["items"][0]["link"]["url"], format!("https://api.fieldaware.net/customer/{}", ids[2]));
    assert_eq!(json(&fake, "/customer/").await["pageSize"], 20);
    assert_eq!(json(&fake, "/customer/?pageSize=1000").await["pageSize"], 100);
    assert_eq!(json(&fake, "/customer/?page=9").await["items"], json!([]));
    for query in ["page=x", "page=-1", "pageSize=0", "pageSize=x"] {
        assert_eq!(get(&fake, &format!("/customer/?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn the_link_header_names_the_pages_and_a_last_one_past_the_end() {
    let fake = fake().await;
    fake.seed_count("web_quotes", 4).unwrap();
    let link = async |page: usize| {
        let path = format!("/webquote/?pageSize=2&page={page}");
        let response = get_with(&fake, &path, &format!("Token {KEY}")).await;
        response.headers()["link"].to_str().unwrap().to_owned()
    };
    let first = link(0).await;
    assert!(first.contains("page=1&pageSize=2>; rel=\"next\"") && first.contains("page=2&pageSize=2>; rel=\"last\""));
    let second = link(1).await;
    assert!(!second.contains("next") && second.contains("page=0&pageSize=2>; rel=\"prev\""), "{second}");
}

#[tokio::test]
async fn addresses_are_written_in_three_ways_and_envelopes_in_two() {
    let fake = fake().await;
    for (stream, path, name) in
        [("assets", "/asset/", "href"), ("invoices", "/invoice/", "link"), ("locations", "/location/", "url")]
    {
        fake.seed_count(stream, 1).unwrap();
        let page = json(&fake, path).await;
        assert!(page["items"][0]["link"][name].is_string(), "{page}");
        assert_eq!(page.get("pageStartIndex").is_some(), stream == "assets");
    }
    fake.configure(|settings| settings.list_envelope = ListEnvelope::Bare);
    assert_eq!(json(&fake, "/asset/").await.as_array().unwrap().len(), 1);
    fake.configure(|settings| {
        settings.list_envelope = ListEnvelope::Items;
        settings.list_count = false;
        settings.list_links = false;
    });
    assert_eq!(json(&fake, "/asset/").await.get("count"), None);
    assert_eq!(get_with(&fake, "/asset/", &format!("Token {KEY}")).await.headers().get("link"), None);
}

#[tokio::test]
async fn deleted_and_archived_records_are_not_listed() {
    let fake = fake().await;
    let ids = fake.seed_count("items", 3).unwrap();
    fake.delete(Change::of("items", &ids[0])).unwrap();
    fake.deactivate(Change::of("items", &ids[1])).unwrap();
    assert_eq!(uuids(&json(&fake, "/item/").await["items"], "/uuid"), [&*ids[2]]);
}

#[tokio::test]
async fn times_are_listed_below_their_user() {
    let fake = fake().await;
    let users = fake.seed_count("users", 4).unwrap();
    fake.seed_count("unavailable_times", 6).unwrap();
    fake.seed_count("working_hours_exceptions", 3).unwrap();
    for (user, count) in users.iter().zip([2, 2, 2, 0]) {
        let page = json(&fake, &format!("/user/{user}/unavailability")).await;
        assert_eq!(page["count"], count, "{user}");
        for uuid in uuids(&page["items"], "/uuid") {
            assert_eq!(json(&fake, &format!("/user/{user}/unavailability/{uuid}")).await["user"]["uuid"], **user);
            assert_eq!(get(&fake, &format!("/user/{}/unavailability/{uuid}", users[3])).await.0, 404);
        }
    }
    assert_eq!(json(&fake, &format!("/user/{}/exception", users[0])).await["count"], 1);
    assert_eq!(get(&fake, "/user/nobody/unavailability").await.0, 404);
}

#[tokio::test]
async fn windows_bound_the_lists_that_take_them() {
    let fake = fake().await;
    fake.seed_count("jobs", 5).unwrap();
    let all = "/job/?start=2000-01-01T00:00:00%2B00:00&end=2100-01-01T00:00:00%2B00:00";
    assert_eq!(json(&fake, all).await["count"], 5);
    assert_eq!(json(&fake, "/job/?start=2000-01-01T00:00:00Z&end=2000-01-02T00:00:00Z").await["count"], 0);
    assert_eq!(json(&fake, "/job/").await["count"], 5);
    assert_eq!(get(&fake, &all.replace("%2B", "+")).await.0, 422, "a plus sign that is not escaped is a space");
    assert_eq!(get(&fake, "/job/?start=2000-01-01T00:00:00Z").await.0, 422);
    fake.configure(|settings| settings.windows_required = true);
    assert_eq!(get(&fake, "/job/").await.0, 422);
}

#[tokio::test]
async fn quotes_may_be_listed_among_jobs() {
    let fake = fake_with(|settings| settings.quotes_among_jobs = true).await;
    for stream in ["jobs", "web_quotes", "field_quotes"] {
        fake.seed_count(stream, 1).unwrap();
    }
    let page = json(&fake, "/job/").await;
    let classes: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item.get("entityClass")).collect();
    assert_eq!(classes, [None, Some(&json!("WebQuote")), Some(&json!("FieldQuote"))]);
}

#[tokio::test]
async fn every_stream_has_its_numbers() {
    for class in &CLASSES {
        let declared = super::super::STREAMS.iter().find(|(stream, _)| *stream == class.stream).unwrap();
        assert_eq!(declared.1, first_number(class.stream), "{}", class.stream);
    }
    assert_eq!(super::super::STREAMS.len(), CLASSES.len() + 1);
}
