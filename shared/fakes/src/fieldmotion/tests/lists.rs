use super::*;
use crate::{
    Add, Change, ClockChange, DateHeader, Seed,
    fieldmotion::{ListOrder, ListShape},
};

#[tokio::test]
async fn every_object_type_lists_its_own_ids() {
    let fake = FakeFieldMotion::start().await.unwrap();
    for (function, stream) in [
        ("Customers", "customers"),
        ("Jobs", "jobs"),
        ("Assets", "assets"),
        ("AssetTypes", "asset_types"),
        ("Tasks", "tasks"),
        ("StockContainers", "stock_containers"),
    ] {
        let ids = fake.seed_count(stream, 2).unwrap();
        let function = format!("{function}_listByLastEdited");
        assert_eq!(json(&fake, &function, &[("from", OLD)]).await, json!(ids), "{stream}");
    }
}

#[tokio::test]
async fn a_list_comes_in_each_of_its_shapes() {
    let (fake, _) = with_customers(2).await;
    for (shape, written) in [
        (ListShape::Strings, r#"["683136","683137"]"#),
        (ListShape::Numbers, "[683136,683137]"),
        (ListShape::Rows, r#"[{"id":"683136"},{"id":"683137"}]"#),
        (ListShape::Gaps, r#"{"0":"683136","2":"683137"}"#),
    ] {
        fake.configure(|settings| settings.list_shape = shape);
        assert_eq!(text(&fake, LIST, &[("from", OLD)]).await, written);
        assert_eq!(text(&fake, LIST, &[("from", "2030-01-01 00:00:00")]).await, "[]");
    }
}

#[tokio::test]
async fn an_id_that_is_no_number_stays_text() {
    let fake = FakeFieldMotion::start().await.unwrap();
    fake.add(Add::with_id("customers", "a #1/é🙂")).unwrap();
    fake.configure(|settings| settings.list_shape = ListShape::Numbers);
    assert_eq!(listed(&fake, OLD).await, json!(["a #1/é🙂"]));
    assert!(!name_of(&fake, "a #1/é🙂").await.is_empty());
}

#[tokio::test]
async fn from_is_exclusive_unless_told_otherwise() {
    let (fake, ids) = with_customers(3).await;
    let second = "2020-01-01 00:01:01";
    assert_eq!(listed(&fake, second).await, json!(ids[2..]));
    fake.configure(|settings| settings.inclusive = true);
    assert_eq!(listed(&fake, second).await, json!(ids[1..]));
}

#[tokio::test]
async fn from_is_needed_and_must_be_a_time() {
    let (fake, _) = with_customers(1).await;
    let error = json!({"error": "missing or invalid parameter: from"});
    assert_eq!(json(&fake, LIST, &[]).await, error);
    assert_eq!(json(&fake, LIST, &[("from", "yesterday")]).await, error);
}

#[tokio::test]
async fn jobs_can_be_listed_by_form() {
    let fake = FakeFieldMotion::start().await.unwrap();
    fake.seed_count("jobs", 20).unwrap();
    let expected: Vec<String> = fake
        .truth("jobs")
        .unwrap()
        .into_iter()
        .filter(|(_, job)| job.row.text("form_id") == Some("610425"))
        .map(|(id, _)| id)
        .collect();
    let ids = json(&fake, "Jobs_listByLastEdited", &[("from", OLD), ("form_id", "610425")]).await;
    assert_eq!(ids, json!(expected));
    assert!(!expected.is_empty() && expected.len() < 20);
}

#[tokio::test]
async fn the_order_can_be_any() {
    let (fake, ids) = with_customers(20).await;
    fake.configure(|settings| settings.list_order = ListOrder::NewestFirst);
    assert_eq!(listed(&fake, OLD).await, json!(ids.iter().rev().collect::<Vec<_>>()));
    fake.configure(|settings| settings.list_order = ListOrder::Shuffled);
    let shuffled: Vec<String> = serde_json::from_value(listed(&fake, OLD).await).unwrap();
    assert_ne!(shuffled, ids);
    let mut sorted = shuffled;
    sorted.sort();
    assert_eq!(sorted, ids);
}

#[tokio::test]
async fn naive_times_follow_the_zone() {
    let fake = FakeFieldMotion::start().await.unwrap();
    fake.configure(|settings| settings.zone_offset_seconds = 7200);
    let seed = Seed {
        stream: "customers".to_owned(),
        count: 1,
        first_stamp: Some("2024-06-01 12:00:00".to_owned()),
        every_seconds: None,
    };
    let ids = fake.seed(&seed).unwrap();
    let truth = fake.truth("customers").unwrap();
    assert_eq!(truth[&ids[0]].last_edited_ms, 1_717_236_000_000); // 10:00 UTC
    assert_eq!(truth[&ids[0]].row.text("last_edited"), Some("2024-06-01 12:00:00"));
    assert_eq!(listed(&fake, "2024-06-01 11:59:59").await, json!(ids));
    assert_eq!(listed(&fake, "2024-06-01 12:00:00").await, json!([]));
}

#[tokio::test]
async fn an_edit_is_listed_from_the_second_before_its_stamp() {
    let (fake, ids) = with_customers(2).await;
    fake.freeze_clock();
    let before = fake.edit(Change::of("customers", &ids[0])).unwrap().stamp;
    fake.advance(Duration::from_secs(1));
    let after = fake.edit(Change::of("customers", &ids[1])).unwrap().stamp;
    assert_eq!(listed(&fake, &before).await, json!([ids[1]]));
    assert_eq!(listed(&fake, &after).await, json!([]));
}

#[tokio::test]
async fn the_date_header_can_be_right_absent_or_wrong() {
    let (fake, _) = with_customers(1).await;
    fake.change_clock(ClockChange { frozen: Some(true), ..ClockChange::default() });
    let mut seen = Vec::new();
    for date in [DateHeader::Present, DateHeader::Absent, DateHeader::SkewedSeconds(-3600)] {
        fake.change_clock(ClockChange { date: Some(date), ..ClockChange::default() });
        let response = call(&fake, LIST, &[("from", OLD)]).await.unwrap();
        seen.push(response.headers().get("date").map(|date| date.to_str().unwrap().to_owned()));
    }
    let seconds = fake.now_ms() / 1000;
    let written = |seconds| Some(crate::clock::http_date(seconds));
    assert_eq!(seen, [written(seconds), None, written(seconds - 3600)]);
}
