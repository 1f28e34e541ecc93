//! FieldMotion's credential: an API key and its id.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use thiserror::Error;

/// The key that calls are signed with, and the id it is known by. Neither can be printed, and both are wiped when
/// dropped.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) api_id: SecretString,
    pub(super) api_key: SecretString,
}

/// A secret that is no FieldMotion credential. Shows nothing of it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadCredential {
    /// It is not a JSON object.
    #[error(r#"the secret is not JSON of the form {{"api_id":"..","api_key":".."}}"#)]
    NotAnObject,
    /// A member is missing, empty, or not a text.
    #[error(r#"the secret has no usable "{0}"; it must be of the form {{"api_id":"..","api_key":".."}}"#)]
    Missing(&'static str),
}

impl Credential {
    /// Reads `{"api_id":"..","api_key":".."}`. White space around the JSON and around either value is forgiven: secrets
    /// are pasted. Other members are left alone: rotation tools add their own.
    pub(super) fn parse(secret: &SecretString) -> Result<Self, BadCredential> {
        let text = secret.expose_secret().trim().trim_start_matches('\u{feff}');
        // The parser's own error may quote the text.
        let members: Members = serde_json::from_str(text).map_err(|_| BadCredential::NotAnObject)?;
        Ok(Self {
            api_id: members.api_id.ok_or(BadCredential::Missing("api_id"))?,
            api_key: members.api_key.ok_or(BadCredential::Missing("api_key"))?,
        })
    }

    /// Whether both are the same credential.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.api_id.expose_secret() == other.api_id.expose_secret()
            && self.api_key.expose_secret() == other.api_key.expose_secret()
    }

    /// Whether a text shows any of it.
    pub(super) fn is_shown_in(&self, text: &str) -> bool {
        [&self.api_id, &self.api_key].iter().any(|secret| text.contains(secret.expose_secret()))
    }
}

struct Members {
    api_id: Option<SecretString>,
    api_key: Option<SecretString>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members { api_id: None, api_key: None };
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "api_id" => members.api_id = map.next_value::<Text>()?.0,
                        "api_key" => members.api_key = map.next_value::<Text>()?.0,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A text or a whole number; none when it is empty or something else.
struct Text(Option<SecretString>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Number(u64),
            Other(IgnoredAny),
        }

        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Text(text) if text.trim().is_empty() => None,
            Either::Text(text) => Some(text.trim().into()),
            Either::Number(number) => Some(number.to_string().into()),
            Either::Other(_) => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, String), BadCredential> {
        let credential = Credential::parse(&text.into())?;
        Ok((credential.api_id.expose_secret().to_owned(), credential.api_key.expose_secret().to_owned()))
    }

    #[test]
    fn pasted_secrets_are_read() {
        for text in [
            r#"{"api_id":"123","api_key":"k3y"}"#,
            "{\"api_id\":\"123\",\"api_key\":\"k3y\"}\n",
            "\u{feff}{\"api_key\":\" k3y\\n\",\"api_id\":123,\"rotated\":{\"by\":[1]}}",
        ] {
            assert_eq!(parsed(text), Ok(("123".to_owned(), "k3y".to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_credential_is_named_and_never_shown() {
        for (text, why) in [
            ("", BadCredential::NotAnObject),
            ("k3y", BadCredential::NotAnObject),
            (r#""k3y""#, BadCredential::NotAnObject),
            (r#"["k3y"]"#, BadCredential::NotAnObject),
            (r#"{"api_id":"123","api_key":"k3y"#, BadCredential::NotAnObject),
            (r#"{"api_id":"123","token":"k3y"}"#, BadCredential::Missing("api_key")),
            (r#"{"api_id":"123","api_key":""}"#, BadCredential::Missing("api_key")),
            (r#"{"api_id":"123","api_key":" \n"}"#, BadCredential::Missing("api_key")),
            (r#"{"api_id":"123","api_key":["k3y"]}"#, BadCredential::Missing("api_key")),
            (r#"{"api_id":null,"api_key":"k3y"}"#, BadCredential::Missing("api_id")),
        ] {
            let error = parsed(text).unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!format!("{error} {error:?}").contains("k3y"), "{text}");
        }
    }

    #[test]
    fn a_rotated_credential_is_another_one() {
        let credential = |text: &str| Credential::parse(&text.into()).unwrap();
        let old = credential(r#"{"api_id":"1","api_key":"a"}"#);
        assert!(old.is(&credential(r#"{"api_key":"a","api_id":1}"#)));
        assert!(!old.is(&credential(r#"{"api_id":"2","api_key":"a"}"#)));
        assert!(!old.is(&credential(r#"{"api_id":"1","api_key":"b"}"#)));
    }
}
