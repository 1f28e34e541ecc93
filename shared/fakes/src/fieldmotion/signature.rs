//! The vendor's signature: MD5 over the JSON of the parameters, a pipe sign and the key.

use md5::{Digest, Md5};

use super::{
    php::Form,
    settings::{ApiNowFormat, Settings},
};
use crate::clock::parse_naive;

/// Fields of the form that are not signed.
const UNSIGNED: [&str; 2] = ["_api_md5", "_api_id"];

/// A key and its id, as a user of the vendor creates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) api_id: String,
    pub(super) api_key: String,
}

/// The signature that a form should carry.
pub(super) fn signature(form: &Form, api_key: &str) -> String {
    let digest = Md5::digest(format!("{}|{api_key}", form.json_without(&UNSIGNED)));
    format!("{:032x}", u128::from_be_bytes(digest.into()))
}

/// Checks a form as the vendor does; the reason of a refusal is for the log only.
pub(super) fn verify(
    form: &Form,
    accepted: &[Credential],
    settings: &Settings,
    now_seconds: i64,
) -> Result<(), String> {
    let api_id = form.text("_api_id").ok_or("_api_id is missing")?;
    let given = form.text("_api_md5").ok_or("_api_md5 is missing")?;
    let keys: Vec<_> = accepted.iter().filter(|credential| credential.api_id == api_id).collect();
    if keys.is_empty() {
        return Err(format!("_api_id {api_id:?} is not known"));
    }
    if !keys.iter().any(|credential| signature(form, &credential.api_key) == given) {
        return Err(format!("_api_md5 differs from that of {}", form.json_without(&UNSIGNED)));
    }
    let signed_at = form.text("_api_now").ok_or("_api_now is missing")?;
    let seconds = match settings.api_now_format {
        ApiNowFormat::Unix => unix(signed_at),
        ApiNowFormat::AtUnix => signed_at.strip_prefix('@').and_then(unix),
        ApiNowFormat::Datetime => parse_naive(signed_at, settings.zone_offset_seconds),
    }
    .ok_or_else(|| format!("_api_now {signed_at:?} is not in the expected format"))?;
    if seconds.abs_diff(now_seconds) > settings.max_skew_seconds {
        return Err(format!("_api_now {signed_at:?} is too far from the vendor's clock"));
    }
    Ok(())
}

fn unix(text: &str) -> Option<i64> {
    text.parse().ok().filter(|seconds: &i64| seconds.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    /// The `_api_now` of all vectors, 2026-01-01 00:00:00 UTC.
    const NOW: i64 = 1_767_225_600;

    /// Body as sent, the JSON it stands for, its signature: vectors V1 to V7.
    const VECTORS: [(&str, &str, &str); 7] = [
        (
            "from=2000-01-01+00%3A00%3A00&_api_now=1767225600",
            r#"{"from":"2000-01-01 00:00:00","_api_now":"1767225600"}"#,
            "08f97bd1466d74e2f46e9a083ec6e668",
        ),
        (
            "id=683138&fields=%5B%22id%22%2C%22name%22%2C%22last_edited%22%5D&_api_now=1767225600",
            r#"{"id":"683138","fields":"[\"id\",\"name\",\"last_edited\"]","_api_now":"1767225600"}"#,
            "009cedf9933ad57b070fe8c08c0e8c59",
        ),
        (
            "name=Caf%C3%A9+A%2FB+%22x%22&_api_now=1767225600",
            r#"{"name":"Caf\u00e9 A\/B \"x\"","_api_now":"1767225600"}"#,
            "b5e3cf1442d3983393d25a8f204179d1",
        ),
        (
            "ids%5B0%5D=622081&ids%5B1%5D=622082&_api_now=1767225600",
            r#"{"ids":["622081","622082"],"_api_now":"1767225600"}"#,
            "0e270f2a4b4f0d56d2d5c955ca670b02",
        ),
        (
            "from=2000-01-01+00%3A00%3A00&_api_now=2026-01-01+00%3A00%3A00",
            r#"{"from":"2000-01-01 00:00:00","_api_now":"2026-01-01 00:00:00"}"#,
            "097cd283a68d47f31eb077c48c1ff6db",
        ),
        ("_api_now=1767225600", r#"{"_api_now":"1767225600"}"#, "7a58b0930e242d62da6615169a9a378b"),
        (
            "_api_now=1767225600&from=2000-01-01+00%3A00%3A00",
            r#"{"_api_now":"1767225600","from":"2000-01-01 00:00:00"}"#,
            "d41cac5eb6dd6a6fa36e50a1446e7501",
        ),
    ];

    fn signed(body: &str, md5: &str) -> Form {
        Form::parse(format!("{body}&_api_md5={md5}&_api_id=123").as_bytes()).unwrap()
    }

    fn check(form: &Form, format: ApiNowFormat, now: i64) -> Result<(), String> {
        let accepted = [Credential { api_id: "123".to_owned(), api_key: KEY.to_owned() }];
        let settings = Settings { api_now_format: format, ..Settings::default() };
        verify(form, &accepted, &settings, now)
    }

    #[test]
    fn the_vendors_vectors_hold() {
        for (body, json, md5) in VECTORS {
            let form = signed(body, md5);
            assert_eq!(form.json_without(&UNSIGNED), json);
            assert_eq!(signature(&form, KEY), md5);
            let format = if json.contains("2026-01-01") { ApiNowFormat::Datetime } else { ApiNowFormat::Unix };
            assert_eq!(check(&form, format, NOW), Ok(()));
        }
    }

    #[test]
    fn a_signature_over_json_with_spaces_is_refused() {
        let form = signed(VECTORS[0].0, "ac6d4bff5a8c1e0c4b62d5e8f03d85b4");
        assert!(check(&form, ApiNowFormat::Unix, NOW).unwrap_err().contains("_api_md5 differs"));
    }

    #[test]
    fn another_order_needs_another_signature() {
        let form = signed(VECTORS[6].0, VECTORS[0].2);
        assert!(check(&form, ApiNowFormat::Unix, NOW).is_err());
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let form = signed(VECTORS[0].0, VECTORS[0].2);
        for (skew, accepted) in [(-301, false), (-300, true), (300, true), (301, false)] {
            assert_eq!(check(&form, ApiNowFormat::Unix, NOW + skew).is_ok(), accepted, "{skew}");
        }
    }

    #[test]
    fn the_time_must_be_in_the_expected_format() {
        let form = signed(VECTORS[0].0, VECTORS[0].2);
        for format in [ApiNowFormat::Datetime, ApiNowFormat::AtUnix] {
            assert!(check(&form, format, NOW).unwrap_err().contains("expected format"));
        }
        let form = Form::parse(b"_api_now=@1767225600").unwrap();
        let form = signed("_api_now=%401767225600", &signature(&form, KEY));
        assert_eq!(check(&form, ApiNowFormat::AtUnix, NOW), Ok(()));
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for (body, reason) in [
            ("from=x", "_api_id is missing"),
            ("from=x&_api_id=123", "_api_md5 is missing"),
            ("from=x&_api_id=9&_api_md5=0", "not known"),
        ] {
            let form = Form::parse(body.as_bytes()).unwrap();
            assert!(check(&form, ApiNowFormat::Unix, NOW).unwrap_err().contains(reason));
        }
        let form = Form::parse(b"from=x").unwrap();
        let form = signed("from=x", &signature(&form, KEY));
        assert!(check(&form, ApiNowFormat::Unix, NOW).unwrap_err().contains("_api_now is missing"));
    }
}
