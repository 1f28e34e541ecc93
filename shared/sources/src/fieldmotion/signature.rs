//! How a FieldMotion call is signed: the one place that knows MD5.
//!
//! `_api_md5` is the MD5 of `<JSON of the parameters>|<key>`, and the vendor makes that JSON again from the form it
//! receives, with PHP's `json_encode`. So the JSON here must equal PHP's byte for byte, and what is sent must survive
//! PHP's form parser: only texts and lists of texts, in the order in which they were signed.
//!
//! As a protection this is weak: MD5 collides, the answer is not signed, and a signed form can be sent again for as long
//! as the vendor accepts its `_api_now`. What protects the call is TLS; hence no plain `http`, no redirect, and a form
//! that is signed again for every attempt and never logged.
//!
//! Source: `docs.fieldmotion.com`, "Short Polling" and "Getting Started"; the encoder's rules and the vectors below were
//! worked out with PHP 8.2.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Credential;

/// The value of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text; numbers are sent as texts, because the form makes them texts anyway.
    Text(String),
    /// A list of texts, never empty: an empty one would vanish from the form, though not from the signature.
    List(Vec<String>),
}

/// The parameters of one call, in the order in which they are signed and sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, Value)>);

impl Parameters {
    /// Adds a text.
    #[must_use]
    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), Value::Text(value.to_owned())));
        self
    }

    /// Adds a list; an empty one is left out, as PHP would leave it out.
    #[must_use]
    pub(super) fn list(mut self, name: &str, values: &[String]) -> Self {
        if !values.is_empty() {
            self.0.push((name.to_owned(), Value::List(values.to_vec())));
        }
        self
    }

    /// The form body: the parameters, `_api_now`, the signature over both, and the key's id.
    pub(super) fn signed_form(&self, api_now: &str, credential: &Credential) -> String {
        let signed = self.clone().text("_api_now", api_now);
        let md5 = signature(&signed.json(), credential);
        let [api_id, _] = credential.texts();
        let sent = signed.text("_api_md5", &md5).text("_api_id", api_id);
        sent.form()
    }

    /// The JSON that PHP's `json_encode` makes of these parameters.
    fn json(&self) -> String {
        let mut json = String::from("{");
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            push_text(&mut json, name);
            json.push(':');
            match value {
                Value::Text(text) => push_text(&mut json, text),
                Value::List(texts) => {
                    json.push('[');
                    for (at, text) in texts.iter().enumerate() {
                        if at > 0 {
                            json.push(',');
                        }
                        push_text(&mut json, text);
                    }
                    json.push(']');
                }
            }
        }
        json.push('}');
        json
    }

    /// The same as a form, as PHP's `http_build_query` writes it: lists as `name[0]=..&name[1]=..`.
    fn form(&self) -> String {
        let mut form = String::new();
        for (name, value) in &self.0 {
            match value {
                Value::Text(text) => push_pair(&mut form, name, text),
                Value::List(texts) => {
                    for (at, text) in texts.iter().enumerate() {
                        push_pair(&mut form, &format!("{name}[{at}]"), text);
                    }
                }
            }
        }
        form
    }
}

fn signature(json: &str, credential: &Credential) -> String {
    let mut md5 = Md5::new();
    md5.update(json.as_bytes());
    md5.update(b"|");
    let [_, api_key] = credential.texts();
    md5.update(api_key.as_bytes());
    md5.finalize().iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _written = write!(hex, "{byte:02x}");
        hex
    })
}

/// Writes a text as PHP's `json_encode` does without flags: `/` escaped, everything beyond ASCII as `\uXXXX` in
/// lower-case hex, in surrogate pairs where needed; `<>&'` and U+007F as they are.
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '/' => json.push_str("\\/"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            ' '..='\u{7f}' => json.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _written = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
}

/// PHP's `urlencode`: letters, digits and `-_.` as they are, a space as `+`.
const FORM_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b' ');

fn push_pair(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    push_escaped(form, name);
    form.push('=');
    push_escaped(form, value);
}

fn push_escaped(form: &mut String, text: &str) {
    for part in utf8_percent_encode(text, FORM_ESCAPES) {
        form.push_str(&part.replace(' ', "+"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credential() -> Credential {
        Credential::of(["123", "0123456789abcdef0123456789abcdef"])
    }

    fn parameters() -> Parameters {
        Parameters::default()
    }

    #[test]
    fn the_vectors_v1_to_v6_are_signed_as_php_signs_them() {
        let from = parameters().text("from", "2000-01-01 00:00:00");
        let unix = "1767225600";
        let vectors = [
            (
                "V1",
                from.clone(),
                unix,
                r#"{"from":"2000-01-01 00:00:00","_api_now":"1767225600"}"#,
                "08f97bd1466d74e2f46e9a083ec6e668",
            ),
            (
                "V2",
                parameters().text("id", "683138").text("fields", r#"["id","name","last_edited"]"#),
                unix,
                r#"{"id":"683138","fields":"[\"id\",\"name\",\"last_edited\"]","_api_now":"1767225600"}"#,
                "009cedf9933ad57b070fe8c08c0e8c59",
            ),
            (
                "V3",
                parameters().text("name", "Café A/B \"x\""),
                unix,
                r#"{"name":"Caf\u00e9 A\/B \"x\"","_api_now":"1767225600"}"#,
                "b5e3cf1442d3983393d25a8f204179d1",
            ),
            (
                "V4",
                parameters().list("ids", &["622081".to_owned(), "622082".to_owned()]),
                unix,
                r#"{"ids":["622081","622082"],"_api_now":"1767225600"}"#,
                "0e270f2a4b4f0d56d2d5c955ca670b02",
            ),
            (
                "V5",
                from,
                "2026-01-01 00:00:00",
                r#"{"from":"2000-01-01 00:00:00","_api_now":"2026-01-01 00:00:00"}"#,
                "097cd283a68d47f31eb077c48c1ff6db",
            ),
            ("V6", parameters(), unix, r#"{"_api_now":"1767225600"}"#, "7a58b0930e242d62da6615169a9a378b"),
        ];
        for (name, parameters, now, json, md5) in vectors {
            assert_eq!(parameters.clone().text("_api_now", now).json(), json, "{name}");
            let form = parameters.signed_form(now, &credential());
            assert!(form.ends_with(&format!("&_api_md5={md5}&_api_id=123")), "{name}: {form}");
        }
    }

    #[test]
    fn the_order_of_keys_matters_as_in_v7() {
        let turned = parameters().text("_api_now", "1767225600").text("from", "2000-01-01 00:00:00");
        assert_eq!(signature(&turned.json(), &credential()), "d41cac5eb6dd6a6fa36e50a1446e7501");
    }

    #[test]
    fn the_form_of_v1_is_written_as_php_writes_it() {
        assert_eq!(
            parameters().text("from", "2000-01-01 00:00:00").signed_form("1767225600", &credential()),
            "from=2000-01-01+00%3A00%3A00&_api_now=1767225600&_api_md5=08f97bd1466d74e2f46e9a083ec6e668&_api_id=123"
        );
    }

    #[test]
    fn texts_are_escaped_as_by_php() {
        for (text, json) in [
            ("a/b\\c\"d", r#""a\/b\\c\"d""#),
            ("<>&'\u{7f}", "\"<>&'\u{7f}\""),
            ("\0\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}", r#""\u0000\u0001\b\t\n\u000b\f\r\u001f""#),
            ("é\u{80}\u{2028}", r#""\u00e9\u0080\u2028""#),
            ("😀", r#""\ud83d\ude00""#),
        ] {
            let mut written = String::new();
            push_text(&mut written, text);
            assert_eq!(written, json);
        }
    }

    #[test]
    fn lists_and_odd_characters_survive_the_form() {
        let form = parameters().list("ids", &["a b".to_owned(), "~+é&=".to_owned()]).form();
        assert_eq!(form, "ids%5B0%5D=a+b&ids%5B1%5D=%7E%2B%C3%A9%26%3D");
        assert_eq!(parameters().list("ids", &[]).form(), "");
    }

    /// What PHP's form parser makes of a form, for plain names and lists.
    fn received(form: &str) -> Parameters {
        let mut parameters = Parameters::default();
        let text = |escaped: &str| {
            let spaced = escaped.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8().unwrap().into_owned()
        };
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let (name, value) = (text(name), text(value));
            match name.split_once('[') {
                None => parameters.0.push((name, Value::Text(value))),
                Some((name, _)) => match parameters.0.last_mut() {
                    Some((last, Value::List(values))) if last == name => values.push(value),
                    _ => parameters.0.push((name.to_owned(), Value::List(vec![value]))),
                },
            }
        }
        parameters
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["\\PC{0,12}", any::<String>(), "[\"/\\\\<>&'+ ~%=\u{7f}😀é]{0,12}"];
        prop_oneof![text.clone().prop_map(Value::Text), proptest::collection::vec(text, 1..4).prop_map(Value::List),]
    }

    proptest! {
        /// The vendor signs what it received; were that another JSON than ours, every such call would be refused.
        #[test]
        fn what_the_vendor_receives_is_what_was_signed(values in proptest::collection::vec(any_value(), 0..5)) {
            let sent = Parameters(values.into_iter().enumerate().map(|(at, value)| (format!("p{at}"), value)).collect());
            let got = received(&sent.form());
            prop_assert_eq!(got.json(), sent.json());
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn the_json_is_ascii_and_means_the_text(text in any::<String>()) {
            let mut json = String::new();
            push_text(&mut json, &text);
            prop_assert!(json.is_ascii());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
