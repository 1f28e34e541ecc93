//! Single records.

use tidemark_engine::change::Found;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_fakes::fieldly::DetailShape;
use tidemark_fakes::{Add, CallKind, Change, Effect, Fault};

use crate::account::{STREAMS, account};
use crate::support::answer;

#[tokio::test]
async fn every_stream_is_fetched_in_every_shape_byte_for_byte() {
    let account = account("{}").await;
    for stream in STREAMS {
        account.vendor.seed_count(stream, 4).unwrap();
    }
    for shape in [DetailShape::Keyed, DetailShape::Data, DetailShape::Bare] {
        account.vendor.configure(|vendor| vendor.detail_shape = shape);
        for stream in STREAMS {
            for (text, record) in account.vendor.truth(stream).unwrap() {
                let (id, body, stamp) = account.fetched(stream, &text).await;
                assert_eq!((id, body), (text, record.body), "{stream} {shape:?}");
                assert_eq!(stamp.map(StampMillis::get), Some(record.last_edited_ms));
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_is_gone_is_a_404_in_the_vendors_words() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 2).unwrap();
    account.vendor.delete(Change::of("clients", "501")).unwrap();
    assert_eq!(account.fetch("clients", "501").await.unwrap().found, Found::Gone);
    assert_eq!(account.fetch("clients", "999").await.unwrap().found, Found::Gone);
    account.vendor.deactivate(Change::of("clients", "502")).unwrap();
    assert!(matches!(account.fetch("clients", "502").await.unwrap().found, Found::Record { .. }));
    for (effect, found) in [
        (answer(410, r#"{"error":"The requested resource could not be found."}"#), Found::Gone),
        (answer(404, r#"{"errors":{"id":["does not exist"]}}"#), Found::Gone),
        (answer(410, ""), Found::Missing),
        (answer(404, ""), Found::Missing),
        (answer(404, r#"{"status":404,"error":"Not Found"}"#), Found::Missing),
        (answer(204, ""), Found::Missing),
        (answer(200, r#"{"client":null}"#), Found::Missing),
    ] {
        account.vendor.fault(Fault::new(effect.clone()).on_call(CallKind::Detail)).unwrap();
        assert_eq!(account.fetch("clients", "502").await.unwrap().found, found, "{effect:?}");
        account.vendor.clear_faults();
    }
    account.vendor.fault(Fault::new(answer(410, r#"{"error":"Gone"}"#))).unwrap();
    assert_eq!(account.list("clients").await.unwrap_err().class, FailureClass::Forbidden, "a list is never gone");
}

#[tokio::test]
async fn an_answer_about_another_record_says_so() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 1).unwrap();
    account.fetch("clients", "501").await.unwrap();
    account.vendor.fault(Fault::new(Effect::OtherId { id: "502".to_owned() })).unwrap();
    assert_eq!(account.fetched("clients", "501").await.0, "502");
}

#[tokio::test]
async fn an_odd_id_stays_one_part_of_the_address() {
    let account = account("{}").await;
    let odd = ["a/b", "a b", "../x", "50%25", "é?x=1#y", "007", "a&b"];
    for text in odd {
        account.vendor.add(Add::with_id("clients", text)).unwrap();
        assert_eq!(account.fetched("clients", text).await.0, text);
    }
    account.vendor.reset_requests();
    for text in [".", ".."] {
        assert_eq!(account.fetch("clients", text).await.unwrap_err().class, FailureClass::Record);
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}
