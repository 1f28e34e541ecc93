//! Lists that hold the rows themselves.

use super::*;
use crate::{
    Action, Add, Change, Hook, ShowStamp, ShownStamp, TruthRecord,
    fieldmotion::{ListOrder, ListShape},
};

const FUNCTION: &str = "Departments_list";
const STREAM: &str = "departments";
const RECENT: &str = "2021-01-01 00:00:00";
const FIELDS: (&str, &str) = ("fields", r#"["id","name","users","assets","last_edited"]"#);

/// A fake with so many departments, and their ids.
async fn with_departments(count: usize) -> (FakeFieldMotion, Vec<String>) {
    let fake = FakeFieldMotion::start().await.unwrap();
    let ids = fake.seed_count(STREAM, count).unwrap();
    (fake, ids)
}

/// The ids of the rows that were edited after `from`, or of all.
async fn ids_of_rows(fake: &FakeFieldMotion, from: Option<&str>) -> Vec<String> {
    let bound = from.map(|from| ("last_edited", from));
    let parameters: Vec<_> = bound.into_iter().chain([FIELDS]).collect();
    let rows: Vec<Value> = serde_json::from_value(json(fake, FUNCTION, &parameters).await).unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn bodies(truth: impl IntoIterator<Item = TruthRecord>) -> String {
    let bodies: Vec<_> = truth.into_iter().map(|record| record.body).collect();
    format!("[{}]", bodies.join(","))
}

#[tokio::test]
async fn every_list_of_rows_holds_what_it_is_asked_for() {
    let fake = FakeFieldMotion::start().await.unwrap();
    for (function, stream, fields) in [
        ("Users_list", "users", r#"["id","name","email","is_active","last_edited"]"#),
        ("Vehicles_list", "vehicles", r#"["id","name","is_active","last_edited"]"#),
        (FUNCTION, STREAM, FIELDS.1),
    ] {
        assert_eq!(text(&fake, function, &[]).await, "[]");
        fake.seed_count(stream, 3).unwrap();
        let truth = fake.truth(stream).unwrap();
        assert_eq!(text(&fake, function, &[("fields", fields)]).await, bodies(truth.values().cloned()), "{stream}");
        let named = json(&fake, function, &[("fields", r#"["name","nonsense"]"#)]).await;
        assert_eq!(named[2], json!({"name": truth.values().last().unwrap().row.text("name")}));
        let unasked = json(&fake, function, &[("last_edited", OLD)]).await;
        assert_eq!(unasked[0].as_object().unwrap().contains_key("is_active"), stream != STREAM);
        assert_eq!(unasked[0]["last_edited"], Value::Null, "what is not asked for is left out");
    }
}

#[tokio::test]
async fn they_have_no_lists_of_ids_and_no_details_and_no_other_type_has_one_of_them() {
    let (fake, ids) = with_departments(1).await;
    for function in ["Departments_listByLastEdited", "Departments_getById", "Users_getById", "Assets_list"] {
        let error = json(&fake, function, &[("from", OLD), ("id", &ids[0])]).await;
        assert_eq!(error, json!({"error": "unknown function"}), "{function}");
    }
}

#[tokio::test]
async fn the_bound_is_a_time_and_may_be_left_out() {
    let (fake, ids) = with_departments(3).await;
    let second = "2020-01-01 00:01:01";
    assert_eq!(ids_of_rows(&fake, None).await, ids);
    assert_eq!(ids_of_rows(&fake, Some(second)).await, ids[2..]);
    fake.configure(|settings| settings.inclusive = true);
    assert_eq!(ids_of_rows(&fake, Some(second)).await, ids[1..]);
    let error = json!({"error": "missing or invalid parameter: last_edited"});
    assert_eq!(json(&fake, FUNCTION, &[("last_edited", "yesterday")]).await, error);
    let error = json!({"error": "missing or invalid parameter: fields"});
    assert_eq!(json(&fake, FUNCTION, &[("fields", "id,name")]).await, error);
    assert_eq!(json(&fake, FUNCTION, &[("from", RECENT)]).await.as_array().unwrap().len(), 3, "not a bound here");
    let asked: Vec<_> = fake.requests().into_iter().map(|request| request.from).collect();
    assert_eq!(asked[1].as_deref(), Some(second));
    assert_eq!(asked.last().unwrap(), &None);
}

#[tokio::test]
async fn rows_come_in_the_shapes_and_orders_of_lists() {
    let (fake, ids) = with_departments(2).await;
    let named = async || text(&fake, FUNCTION, &[("fields", r#"["id"]"#)]).await;
    for shape in [ListShape::Strings, ListShape::Numbers, ListShape::Rows] {
        fake.configure(|settings| settings.list_shape = shape);
        assert_eq!(named().await, r#"[{"id":"427100"},{"id":"427101"}]"#);
    }
    fake.configure(|settings| settings.list_shape = ListShape::Gaps);
    assert_eq!(named().await, r#"{"0":{"id":"427100"},"2":{"id":"427101"}}"#);
    fake.configure(|settings| {
        settings.list_shape = ListShape::Strings;
        settings.list_order = ListOrder::NewestFirst;
    });
    assert_eq!(ids_of_rows(&fake, None).await, [ids[1].clone(), ids[0].clone()]);
}

#[tokio::test]
async fn edits_deletions_and_additions_show_in_them() {
    let (fake, ids) = with_departments(4).await;
    fake.freeze_clock();
    let edited = fake.edit(Change::of(STREAM, &ids[1]).set("name", "a/b")).unwrap();
    let added = fake.add(Add::one(STREAM)).unwrap().ids.remove(0);
    fake.delete(Change::of(STREAM, &ids[0])).unwrap();
    fake.deactivate(Change::of(STREAM, &ids[2])).unwrap();
    fake.edit(Change::of(STREAM, &ids[3]).visible_after_ms(5000)).unwrap();
    assert_eq!(ids_of_rows(&fake, Some(RECENT)).await, [ids[1].clone(), added.clone()]);
    assert_eq!(ids_of_rows(&fake, None).await, [ids[1].clone(), ids[3].clone(), added]);
    let rows = json(&fake, FUNCTION, &[("last_edited", RECENT), FIELDS]).await;
    assert_eq!((&rows[0]["name"], &rows[0]["last_edited"]), (&json!("a/b"), &json!(edited.stamp)));
    fake.advance(Duration::from_secs(5));
    assert!(ids_of_rows(&fake, Some(RECENT)).await.contains(&ids[3]), "once its lag is over");
    let edit = Action::Edit(Change::of(STREAM, &ids[3]).set("name", "later"));
    fake.hook(Hook::after_list(STREAM, edit)).unwrap();
    assert_ne!(json(&fake, FUNCTION, &[FIELDS]).await[1]["name"], "later");
    assert_eq!(json(&fake, FUNCTION, &[FIELDS]).await[1]["name"], "later");
}

#[tokio::test]
async fn a_bound_leaves_out_rows_that_show_no_time() {
    let (fake, ids) = with_departments(3).await;
    for (id, shown) in [(&ids[0], ShownStamp::Missing), (&ids[1], ShownStamp::Text("0000-00-00 00:00:00".to_owned()))] {
        fake.show_stamp(&ShowStamp { stream: STREAM.to_owned(), id: id.clone(), shown }).unwrap();
    }
    assert_eq!(ids_of_rows(&fake, Some(OLD)).await, ids[2..]);
    assert_eq!(ids_of_rows(&fake, None).await, ids);
}
