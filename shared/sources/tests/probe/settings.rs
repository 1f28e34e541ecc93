//! Settings that are wrong, and those that a probe finds to work.

use std::time::Duration;

use tidemark_engine::stream::SourceKind::{FieldMotion, Fieldly, FsmNavigator};
use tidemark_fakes::{Add, CallKind, Fault};
use tidemark_sources::probe::{Check, Verdict};

use crate::bench::{Account, account};
use crate::support::answer;

/// An account with records of long ago.
async fn with_records(kind: tidemark_engine::stream::SourceKind, stream: &str, settings: &str) -> Account {
    let account = account(kind, settings).await;
    account.seed(stream, 3);
    account.fake.advance(Duration::from_hours(30));
    account
}

#[tokio::test]
async fn the_form_of_the_time_that_fieldmotion_takes_is_named() {
    for form in ["datetime", "at_unix"] {
        let account = with_records(FieldMotion, "customers", "{}").await;
        account.set(&format!(r#"{{"api_now_format":"{form}"}}"#));
        let (_, next) = account.finding("customers", Check::Settings, Verdict::Warning).await;
        assert_eq!(next, format!(r#"put {{"api_now_format":"{form}"}} into FieldMotionSettings: it works with that"#));
        let mended = account.with(&format!(r#"{{"api_now_format":"{form}"}}"#)).probe("customers").await;
        assert!(mended.findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{mended:?}");
    }
}

#[tokio::test]
async fn the_parameter_that_works_is_named() {
    for (kind, stream, wrong, check, right) in [
        (FieldMotion, "customers", r#"{"list_parameter":"since"}"#, Check::List, r#"{"list_parameter":"from"}"#),
        (FieldMotion, "users", r#"{"rows_parameter":"since"}"#, Check::Filter, r#"{"rows_parameter":"last_edited"}"#),
        (FieldMotion, "customers", r#"{"id_parameter":"key"}"#, Check::Fetch, r#"{"id_parameter":"id"}"#),
        (
            FsmNavigator,
            "jobs",
            r#"{"filter_parameter":"since"}"#,
            Check::Filter,
            r#"{"filter_parameter":"updated_since"}"#,
        ),
        (
            Fieldly,
            "clients",
            r#"{"updated_filters":{"clients":"since"}}"#,
            Check::List,
            r#"{"updated_filters":{"clients":"updated_at"}}"#,
        ),
    ] {
        let account = with_records(kind, stream, wrong).await;
        let (what, next) = account.failure(stream, check).await;
        assert!(next.starts_with(&format!("put {right} into ")), "{kind} {wrong}: {what}; {next}");
    }
}

#[tokio::test]
async fn a_filter_that_is_not_honoured_is_named() {
    let account = with_records(FsmNavigator, "jobs", "{}").await;
    account.set(r#"{"updated_since":"ignored"}"#);
    let (what, next) = account.failure("jobs", Check::Filter).await;
    assert!(what.contains("does not apply the lower bound"), "{what}");
    assert!(next.contains(r#"{"incremental":{"jobs":"client_scan"}}"#), "{next}");

    let account = with_records(Fieldly, "clients", "{}").await;
    account.set(r#"{"filter":"ignored"}"#);
    let (what, next) = account.failure("clients", Check::Filter).await;
    assert!(what.contains("does not apply the lower bound"), "{what}");
    assert!(next.contains(r#"{"updated_filters":{"clients":null}}"#), "{next}");
}

#[tokio::test]
async fn a_bound_that_means_equal_is_named() {
    for (kind, stream) in [(FieldMotion, "users"), (FsmNavigator, "jobs"), (Fieldly, "clients")] {
        let account = with_records(kind, stream, "{}").await;
        account.set(r#"{"bound_means_equal":true}"#);
        let (what, _) = account.failure(stream, Check::Filter).await;
        assert!(what.contains("does not show what it shows without"), "{kind}: {what}");
    }
    // A list of ids has no unfiltered form: that it shows nothing at all is all there is to see.
    let account = with_records(FieldMotion, "customers", "{}").await;
    account.set(r#"{"bound_means_equal":true}"#);
    let (what, next) = account.finding("customers", Check::Filter, Verdict::Warning).await;
    assert!(what.contains("no record at all") && next.contains("nothing if the account has no such record"), "{next}");
}

#[tokio::test]
async fn a_list_that_leaves_out_what_is_above_its_bound_is_named() {
    let account = with_records(FieldMotion, "customers", "{}").await;
    // It shows everything to a first import, and nothing to the bound below a record's stamp.
    account.fake.fault(Fault::new(answer(200, "[]")).on_call(CallKind::List).after(3)).unwrap();
    let (what, _) = account.failure("customers", Check::Filter).await;
    assert!(what.contains("leaves out a record that was edited after the lower bound"), "{what}");
}

#[tokio::test]
async fn a_time_zone_that_is_further_east_is_named() {
    for stream in ["customers", "users"] {
        let account = with_records(FieldMotion, stream, "{}").await;
        account.set(r#"{"zone_offset_seconds":3600}"#);
        account.fake.add(Add::one(stream)).unwrap();
        account.fake.advance(Duration::from_secs(1));
        let (what, next) = account.failure(stream, Check::Zone).await;
        assert!(what.contains("1 records seem to have been edited in the future"), "{what}");
        assert!(next.contains("compare the time zone in FieldMotionSettings"), "{next}");
        let mended = account.with(r#"{"timezone":"Africa/Lagos"}"#).probe(stream).await;
        assert!(mended.findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{mended:?}");
    }
}

#[tokio::test]
async fn an_empty_account_is_no_reason_to_change_a_setting() {
    for (kind, stream) in [(FieldMotion, "customers"), (FsmNavigator, "jobs"), (Fieldly, "clients")] {
        let account = account(kind, "{}").await;
        let (_, next) = account.finding(stream, Check::Filter, Verdict::Warning).await;
        assert!(next.contains("nothing if the account has no such record"), "{kind}: {next}");
    }
}

#[tokio::test]
async fn a_filter_that_a_whole_list_could_have_is_a_hint() {
    let account = with_records(FsmNavigator, "customers", "{}").await;
    account.set(r#"{"updated_since":"all"}"#);
    let (what, next) = account.finding("customers", Check::Filter, Verdict::Ok).await;
    assert!(what.contains("takes no lower bound"), "{what}");
    assert!(next.contains(r#"{"incremental":{"customers":"server"}}"#), "{next}");
}
