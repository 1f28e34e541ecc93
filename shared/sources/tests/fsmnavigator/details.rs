//! Single records, which are fetched to try quarantined ones again, and when a row is too long for a message.

use tidemark_engine::change::Found;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_fakes::fsmnavigator::{DetailShape, Details, Dialect, Vanished};
use tidemark_fakes::{Add, Change, Effect, Fault, Poison};

use crate::account::{STREAMS, account};
use crate::support::answer;

#[tokio::test]
async fn a_record_is_fetched_byte_for_byte_in_every_style_shape_and_dialect() {
    for (settings, details) in
        [(r#"{"detail_style":"query"}"#, Details::Query), (r#"{"detail_style":"path"}"#, Details::Path)]
    {
        let account = account(settings).await;
        for name in STREAMS {
            account.vendor.seed_count(name, 2).unwrap();
            for dialect in [Dialect::Guide, Dialect::Reference] {
                for shape in [DetailShape::Object, DetailShape::Array, DetailShape::Bare] {
                    account.vendor.configure(|settings| {
                        (settings.details, settings.dialect, settings.detail_shape) = (details, dialect, shape);
                    });
                    for (text, record) in account.vendor.truth(name).unwrap() {
                        let (id, body, stamp) = account.fetched(name, &text).await;
                        assert_eq!((&id, &body), (&text, &record.body), "{name} {dialect:?} {shape:?}");
                        assert_eq!(stamp.map(StampMillis::get), Some(record.last_edited_ms));
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn records_are_asked_for_by_query_unless_the_settings_say_otherwise() {
    for (settings, function) in [("{}", "GET /jobs?id=.."), (r#"{"detail_style":"path"}"#, "GET /jobs/{id}")] {
        let account = account(settings).await;
        account.vendor.seed_count("jobs", 1).unwrap();
        account.fetched("jobs", "789").await;
        let request = account.vendor.requests().remove(0);
        assert_eq!((request.function.as_str(), request.id.as_deref()), (function, Some("789")));
    }
}

#[tokio::test]
async fn odd_ids_are_asked_for_as_they_are() {
    for settings in ["{}", r#"{"detail_style":"path"}"#] {
        let account = account(settings).await;
        for text in ["a#b", "with space", "emoji 😀", "../../x", "50%25", "é/\\\"", "007", "[0]", "a&b=c", "a+b"] {
            account.vendor.add(Add::with_id("assets", text)).unwrap();
            assert_eq!(account.fetched("assets", text).await.0, text, "{settings}");
        }
    }
}

#[tokio::test]
async fn an_id_that_would_be_another_address_is_not_asked_for() {
    let account = account(r#"{"detail_style":"path"}"#).await;
    for text in [".", ".."] {
        assert_eq!(account.fetch("jobs", text).await.unwrap_err().class, FailureClass::Record);
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[tokio::test]
async fn records_that_are_gone_are_told_from_failures() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 2).unwrap();
    account.vendor.delete(Change::of("jobs", "789")).unwrap();
    for dialect in [Dialect::Guide, Dialect::Reference] {
        for vanished in [Vanished::NotFound, Vanished::Refused, Vanished::Empty] {
            for shape in [DetailShape::Object, DetailShape::Array] {
                account.vendor.configure(|settings| {
                    (settings.dialect, settings.vanished, settings.detail_shape) = (dialect, vanished, shape);
                });
                let found = account.fetch("jobs", "789").await.unwrap().found;
                // An answer without a row is less than the vendor's word.
                let expected = if vanished == Vanished::Empty { Found::Missing } else { Found::Gone };
                assert_eq!(found, expected, "{dialect:?} {vanished:?} {shape:?}");
                assert!(matches!(account.fetch("jobs", "790").await.unwrap().found, Found::Record { .. }));
            }
        }
    }
}

#[tokio::test]
async fn a_not_found_that_is_not_the_vendors_own_deletes_nothing_at_once() {
    let account = account("{}").await;
    for (effect, found) in [
        (answer(404, r#"{"success":false,"error":"not_found","message":"x"}"#), Ok(Found::Gone)),
        (answer(404, r#"{"error":"not_found","message":"x","request_id":"a1"}"#), Ok(Found::Gone)),
        (answer(404, r#"{"success":false,"error":"endpoint_not_found"}"#), Ok(Found::Missing)),
        (answer(404, ""), Ok(Found::Missing)),
        (answer(410, ""), Ok(Found::Missing)),
        (answer(204, ""), Ok(Found::Missing)),
        (answer(404, "404 page not found"), Err(FailureClass::Transient)),
        (answer(404, "<html>Not Found</html>"), Err(FailureClass::Transient)),
        (answer(404, r#"{"error":"Not Found","status":404,"path":"/api/v1/jobs"}"#), Err(FailureClass::Transient)),
        (answer(404, "{}"), Err(FailureClass::Transient)),
    ] {
        account.vendor.fault(Fault::new(effect.clone())).unwrap();
        let fetched = account.fetch("jobs", "1").await.map(|detail| detail.found).map_err(|failure| failure.class);
        assert_eq!(fetched, found, "{effect:?}");
        account.vendor.clear_faults();
    }
}

#[tokio::test]
async fn codes_for_gone_are_a_setting_and_concern_details_alone() {
    let account = account(r#"{"gone_error_codes":["no_such_job"]}"#).await;
    account.vendor.fault(Fault::new(Effect::Error("no_such_job".to_owned()))).unwrap();
    assert_eq!(account.fetch("jobs", "1").await.unwrap().found, Found::Gone);
    assert_eq!(account.list("jobs").await.unwrap_err().class, FailureClass::Transient);
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(Effect::Error("not_found".to_owned()))).unwrap();
    assert_eq!(account.fetch("jobs", "1").await.unwrap_err().class, FailureClass::Record);
}

#[tokio::test]
async fn an_answer_about_another_record_says_so() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    account.vendor.fault(Fault::new(Effect::OtherId { id: "790".to_owned() })).unwrap();
    assert_eq!(account.fetched("jobs", "789").await.0, "790");
}

#[tokio::test]
async fn the_whole_list_is_no_record() {
    let account = account("{}").await;
    let list = r#"{"success":true,"jobs":[{"id":1},{"id":2}],"page":1,"per_page":50,"total":2,"total_pages":1}"#;
    account.vendor.fault(Fault::new(answer(200, list))).unwrap();
    assert_eq!(account.fetch("jobs", "1").await.unwrap_err().class, FailureClass::Record);
}

#[tokio::test]
async fn a_poisoned_record_is_its_own_failure() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 2).unwrap();
    account.vendor.poison(&Poison::of("jobs", "789")).unwrap();
    assert_eq!(account.fetch("jobs", "789").await.unwrap_err().class, FailureClass::Record);
    assert!(account.fetch("jobs", "790").await.is_ok());
}
