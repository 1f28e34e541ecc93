use super::*;
use crate::{
    Change, ShowStamp, ShownStamp,
    fieldmotion::{DetailShape, Vanished},
};

#[tokio::test]
async fn only_the_asked_fields_are_answered_in_the_order_asked() {
    let (fake, ids) = with_customers(1).await;
    let answer = text(&fake, DETAIL, &[("id", &ids[0]), ("fields", r#"["last_edited","nonsense","id"]"#)]).await;
    assert_eq!(answer, r#"{"last_edited":"2020-01-01 00:00:00","id":"683136"}"#);
}

#[tokio::test]
async fn a_detail_is_the_truth_as_php_writes_it() {
    let fake = FakeFieldMotion::start().await.unwrap();
    for (function, stream) in [
        ("Customers_getById", "customers"),
        ("Jobs_getById", "jobs"),
        ("Assets_getById", "assets"),
        ("AssetTypes_getById", "asset_types"),
        ("Tasks_getById", "tasks"),
    ] {
        fake.seed_count(stream, 12).unwrap();
        for (id, record) in fake.truth(stream).unwrap() {
            let fields: Vec<&str> = record.row.fields().map(|(name, _)| name).collect();
            let fields = json!(fields).to_string();
            assert_eq!(text(&fake, function, &[("id", &id), ("fields", &fields)]).await, record.body);
            assert!(record.body.is_ascii());
            assert_eq!(serde_json::from_str::<Value>(&record.body).unwrap(), json!(record.row));
        }
    }
}

#[tokio::test]
async fn a_job_has_the_shape_of_the_vendors_sample() {
    let fake = FakeFieldMotion::start().await.unwrap();
    let ids = fake.seed_count("jobs", 3).unwrap();
    let row = json(&fake, "Jobs_getById", &[("id", &ids[0])]).await;
    assert_eq!(row["form_values"], "null");
    assert_eq!(row["last_edited_e"], "0");
    assert!(row.as_object().unwrap().values().all(Value::is_string));
    assert!(serde_json::from_str::<Value>(row["meta"].as_str().unwrap()).unwrap().is_object());
}

#[tokio::test]
async fn a_detail_comes_in_each_of_its_shapes() {
    let (fake, ids) = with_customers(1).await;
    for (shape, written) in [
        (DetailShape::Object, r#"{"id":"683136"}"#),
        (DetailShape::Array, r#"[{"id":"683136"}]"#),
        (DetailShape::Keyed, r#"{"683136":{"id":"683136"}}"#),
    ] {
        fake.configure(|settings| settings.detail_shape = shape);
        assert_eq!(text(&fake, DETAIL, &[("id", &ids[0]), ("fields", r#"["id"]"#)]).await, written);
    }
}

#[tokio::test]
async fn an_id_that_is_gone_answers_nothing_in_one_of_three_ways() {
    let (fake, ids) = with_customers(1).await;
    fake.delete(Change::of("customers", &ids[0])).unwrap();
    for (vanished, written) in [(Vanished::Null, "null"), (Vanished::False, "false"), (Vanished::Empty, "[]")] {
        fake.configure(|settings| settings.vanished = vanished);
        assert_eq!(text(&fake, DETAIL, &[("id", &ids[0])]).await, written);
        assert_eq!(text(&fake, DETAIL, &[("id", "1")]).await, written);
    }
}

#[tokio::test]
async fn a_deleted_job_can_keep_its_row() {
    let fake = FakeFieldMotion::start().await.unwrap();
    let ids = fake.seed_count("jobs", 1).unwrap();
    fake.delete(Change::of("jobs", &ids[0]).stamped("2024-01-01 00:00:00")).unwrap();
    fake.configure(|settings| settings.deleted_jobs_have_rows = true);
    let row = json(&fake, "Jobs_getById", &[("id", &ids[0])]).await;
    assert_eq!((&row["deleted"], &row["ddate"]), (&json!("1"), &json!("1704067200")));
}

#[tokio::test]
async fn bad_parameters_get_the_vendors_errors() {
    let (fake, ids) = with_customers(1).await;
    let error = async |function: &str, parameters: &[(&str, &str)]| {
        json(&fake, function, parameters).await["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(error(DETAIL, &[]).await, "missing id parameter");
    assert_eq!(error(DETAIL, &[("id", &ids[0]), ("fields", "id")]).await, "missing or invalid parameter: fields");
    assert_eq!(error("StockContainers_getById", &[("id", "1")]).await, "unknown function");
    assert_eq!(error("Nonsense", &[]).await, "unknown function");
    fake.configure(|settings| settings.error_status = 400);
    assert_eq!(call(&fake, "Nonsense", &[]).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_row_can_show_a_strange_stamp() {
    let (fake, ids) = with_customers(2).await;
    let show = |shown| {
        let show = ShowStamp { stream: "customers".to_owned(), id: ids[0].clone(), shown };
        fake.show_stamp(&show).unwrap();
    };
    let shown = async || {
        let fields = ("fields", r#"["last_edited"]"#);
        json(&fake, DETAIL, &[("id", ids[0].as_str()), fields]).await["last_edited"].clone()
    };
    show(ShownStamp::Missing);
    assert_eq!(shown().await, Value::Null);
    for strange in ["", "0000-00-00 00:00:00", "soon"] {
        show(ShownStamp::Text(strange.to_owned()));
        assert_eq!(shown().await, strange);
        assert_eq!(listed(&fake, "2024-01-01 00:00:00").await, json!([]));
    }
    show(ShownStamp::Text("2099-01-01 00:00:00".to_owned()));
    assert_eq!(shown().await, "2099-01-01 00:00:00");
    assert_eq!(listed(&fake, "2098-01-01 00:00:00").await, json!([ids[0]]));
    show(ShownStamp::Real);
    assert_eq!(shown().await, "2020-01-01 00:00:00");
}
