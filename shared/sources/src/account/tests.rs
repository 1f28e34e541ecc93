use std::time::Duration;

use secrecy::SecretString;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};

use super::*;
use crate::registry::{self, SourceConfig};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> LocalMillis {
        LocalMillis::new(1_767_225_600_000)
    }

    async fn sleep(&self, _span: Duration) {}
}

struct Secret(&'static str);

impl Credentials for Secret {
    async fn secret(&self) -> Result<SecretString, SourceFailure> {
        Ok(self.0.into())
    }

    async fn fresh_secret(&self) -> Result<SecretString, SourceFailure> {
        self.secret().await
    }
}

const BASE: &str = "https://vendor.example";
/// A secret that every source can read.
const SECRET: &str = r#"{"api_id":"1","api_key":"k3y","token":"k3y","client_id":"1","client_secret":"k3y"}"#;

async fn tried(
    kind: SourceKind,
    base_url: &str,
    settings: &str,
    secret: &'static str,
) -> Result<String, SourceFailure> {
    let config = SourceConfig { kind, base_url, settings, requests_per_second: "2" };
    registry::build(config, Secret(secret), Stopped).unwrap().account_mark().await
}

async fn mark(kind: SourceKind, base_url: &str, settings: &str, secret: &'static str) -> String {
    tried(kind, base_url, settings, secret).await.unwrap()
}

#[tokio::test]
async fn a_mark_is_hex_and_tells_vendors_apart() {
    let mut marks = Vec::new();
    for kind in SourceKind::ALL {
        let mark = mark(*kind, BASE, "{}", SECRET).await;
        assert!(mark.len() == 32 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()), "{mark}");
        marks.push(mark);
    }
    marks.sort();
    marks.dedup();
    assert_eq!(marks.len(), SourceKind::ALL.len());
}

/// Marks are kept in checkpoints: another text for the same account would stop every stream until a person says yes.
#[tokio::test]
async fn the_marks_of_the_defaults_do_not_change_from_version_to_version() {
    for (kind, expected) in [
        (SourceKind::FieldMotion, "4da5657ce0ebcd52049c22ba135da240"),
        (SourceKind::FieldAware, "0a1b7fd858ab047cf0ec5a8b14f6fe51"),
        (SourceKind::FsmNavigator, "c91ace8d9c0ba55874f0b85226ec83ab"),
        (SourceKind::Fieldly, "fe8982e9e8c325c0cab4add4cd65e3a1"),
    ] {
        assert_eq!(mark(kind, BASE, "{}", SECRET).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn a_rotated_key_changes_no_mark() {
    let rotated = r#"{"api_id":"1","api_key":"n3w","token":"n3w","client_id":"1","client_secret":"n3w","by":"x"}"#;
    for kind in SourceKind::ALL {
        assert_eq!(mark(*kind, BASE, "{}", SECRET).await, mark(*kind, BASE, "{}", rotated).await, "{kind}");
    }
}

#[tokio::test]
async fn the_id_of_a_key_is_part_of_the_mark_where_there_is_one() {
    let other = r#"{"api_id":"2","api_key":"k3y","token":"k3y","client_id":"2","client_secret":"k3y"}"#;
    for kind in SourceKind::ALL {
        let has_id = matches!(kind, SourceKind::FieldMotion | SourceKind::Fieldly);
        assert_eq!(mark(*kind, BASE, "{}", SECRET).await != mark(*kind, BASE, "{}", other).await, has_id, "{kind}");
    }
}

#[tokio::test]
async fn a_broken_secret_has_no_mark_where_the_key_has_an_id_and_is_never_shown() {
    for kind in SourceKind::ALL {
        let tried = tried(*kind, BASE, "{}", r#"{"other":"s3cret"}"#).await;
        let has_id = matches!(kind, SourceKind::FieldMotion | SourceKind::Fieldly);
        assert_eq!(tried.is_err(), has_id, "{kind}");
        if let Err(failure) = tried {
            assert_eq!(failure.class, FailureClass::Unauthorized);
            assert!(!format!("{failure} {failure:?}").contains("s3cret"));
        }
    }
}

#[tokio::test]
async fn another_address_is_another_account_and_another_spelling_is_not() {
    for kind in SourceKind::ALL {
        let here = mark(*kind, BASE, "{}", SECRET).await;
        for same in ["https://vendor.example/", " HTTPS://Vendor.Example "] {
            assert_eq!(mark(*kind, same, "{}", SECRET).await, here, "{kind} {same}");
        }
        for other in ["https://vendor2.example", "https://vendor.example:8443", "https://vendor.example/other"] {
            assert_ne!(mark(*kind, other, "{}", SECRET).await, here, "{kind} {other}");
        }
    }
    let folder = mark(SourceKind::FieldMotion, "https://vendor.example/a/", "{}", SECRET).await;
    assert_eq!(folder, mark(SourceKind::FieldMotion, BASE, "{}", SECRET).await);
}

#[tokio::test]
async fn what_changes_lists_or_stamps_changes_the_mark() {
    for (kind, settings) in [
        (SourceKind::FieldMotion, r#"{"timezone":"Europe/London"}"#),
        (SourceKind::FieldMotion, r#"{"list_parameter":"since"}"#),
        (SourceKind::FieldMotion, r#"{"jobs_form_id":7}"#),
        (SourceKind::FieldAware, r#"{"record_streams":["jobs"]}"#),
        (SourceKind::FieldAware, r#"{"entity_class":"Job"}"#),
        (SourceKind::FieldAware, r#"{"status":"UPDATED"}"#),
        (SourceKind::FieldAware, r#"{"detail_paths":{"field_quotes":"/job/{uuid}"}}"#),
        (SourceKind::FieldAware, r#"{"list_paths":{"jobs":null}}"#),
        (SourceKind::FieldAware, r#"{"list_windows":{"jobs":null}}"#),
        (SourceKind::FsmNavigator, r#"{"dialect":"guide"}"#),
        (SourceKind::FsmNavigator, r#"{"id_field":"id"}"#),
        (SourceKind::FsmNavigator, r#"{"incremental":{"customers":"server"}}"#),
        (SourceKind::FsmNavigator, r#"{"filter_parameter":"since"}"#),
        (SourceKind::FsmNavigator, r#"{"updated_field":"changed_at"}"#),
        (SourceKind::FsmNavigator, r#"{"unstamped":["jobs"]}"#),
        (SourceKind::Fieldly, r#"{"paths":{"clients":"v2/clients"}}"#),
        (SourceKind::Fieldly, r#"{"rows_keys":{"clients":"rows"}}"#),
        (SourceKind::Fieldly, r#"{"updated_filters":{"clients":null}}"#),
        (SourceKind::Fieldly, r#"{"filter_formats":{"clients":"date"}}"#),
        (SourceKind::Fieldly, r#"{"updated_fields":{"clients":null}}"#),
        (SourceKind::Fieldly, r#"{"queries":{"clients":{"type":"x"}}}"#),
    ] {
        let [usual, other] = [mark(kind, BASE, "{}", SECRET).await, mark(kind, BASE, settings, SECRET).await];
        assert_ne!(usual, other, "{kind} {settings}");
    }
}

#[tokio::test]
async fn what_changes_neither_lists_nor_stamps_changes_no_mark() {
    for (kind, settings) in [
        (SourceKind::FieldMotion, r#"{"timezone":"UTC","list_parameter":"from","jobs_form_id":null}"#),
        (SourceKind::FieldMotion, r#"{"fields":{"jobs":["name"]},"auth_error_words":["x"],"empty_object":"empty"}"#),
        (SourceKind::FieldMotion, r#"{"api_now_format":"at_unix","first_checkpoint":"2020-01-01 00:00:00"}"#),
        (SourceKind::FieldAware, r#"{"page_size":7,"list_page_size":7,"list_paths":{"jobs":"/job/"}}"#),
        (
            SourceKind::FieldAware,
            r#"{"list_windows":{"jobs":["2000-01-01T00:00:00+00:00","2100-01-01T00:00:00+00:00"]}}"#,
        ),
        (SourceKind::FsmNavigator, r#"{"per_page":7,"rate_headers":"ignore","gone_error_codes":["x"]}"#),
        (SourceKind::FsmNavigator, r#"{"detail_style":"path","incremental":{"jobs":"server"}}"#),
        (SourceKind::Fieldly, r#"{"per_page":7,"token_renew_margin_seconds":7,"paths":{"clients":"clients"}}"#),
    ] {
        let [usual, other] = [mark(kind, BASE, "{}", SECRET).await, mark(kind, BASE, settings, SECRET).await];
        assert_eq!(usual, other, "{kind} {settings}");
    }
}
