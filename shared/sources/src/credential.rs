//! A source's credential: the texts its secret holds, and reading it again when the vendor rejects it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{self, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use thiserror::Error;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Credentials;
use tokio::sync::Mutex;

/// The texts of a secret that a source asks for, such as an API key and its id. They cannot be printed, and are wiped
/// when dropped.
#[derive(Clone)]
pub(crate) struct Credential<const N: usize>([SecretString; N]);

/// A secret that is no credential of the source. Shows nothing of it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum BadCredential {
    /// It is not a JSON object.
    #[error("the secret is not JSON of the form {form}")]
    NotAnObject {
        /// What it should look like.
        form: String,
    },
    /// A member is missing, empty, or not a text.
    #[error("the secret has no usable \"{name}\"; it must be of the form {form}")]
    Missing {
        /// The member.
        name: &'static str,
        /// What it should look like.
        form: String,
    },
}

impl<const N: usize> Credential<N> {
    /// Reads a JSON object with these members. White space around the JSON and around the values is forgiven: secrets
    /// are pasted. Other members are ignored: rotation tools add their own.
    fn parse(names: [&'static str; N], secret: &SecretString) -> Result<Self, BadCredential> {
        let form = || format!("{{{}}}", names.map(|name| format!(r#""{name}":"..""#)).join(","));
        let text = secret.expose_secret().trim().trim_start_matches('\u{feff}');
        // The parser's own error may quote the text.
        let Members(mut members) =
            serde_json::from_str(text).map_err(|_| BadCredential::NotAnObject { form: form() })?;
        if let Some(name) = names.into_iter().find(|name| !members.contains_key(*name)) {
            return Err(BadCredential::Missing { name, form: form() });
        }
        Ok(Self(names.map(|name| members.remove(name).unwrap_or_default())))
    }

    /// A credential of these texts.
    #[cfg(test)]
    pub(crate) fn of(texts: [&str; N]) -> Self {
        Self(texts.map(Into::into))
    }

    /// The texts, in the order in which they were asked for.
    pub(crate) fn texts(&self) -> [&str; N] {
        self.0.each_ref().map(ExposeSecret::expose_secret)
    }

    /// Whether both are the same credential.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.texts() == other.texts()
    }

    /// Whether a text shows any of it.
    pub(crate) fn is_shown_in(&self, text: &str) -> bool {
        self.texts().iter().any(|secret| text.contains(secret))
    }
}

/// The credential of a source, read when it is needed.
pub(crate) struct Keeper<K, const N: usize> {
    names: [&'static str; N],
    credentials: K,
    renewal: Mutex<()>,
    /// The one that the vendor took last.
    taken: sync::Mutex<Option<Credential<N>>>,
}

impl<K: Credentials, const N: usize> Keeper<K, N> {
    /// A keeper of the secret's members with these names.
    pub(crate) fn new(names: [&'static str; N], credentials: K) -> Self {
        Self { names, credentials, renewal: Mutex::new(()), taken: sync::Mutex::new(None) }
    }

    /// Makes a call, and once more if the credential was rejected and has been changed since it was read, or if it has not
    /// changed and the vendor took it before: a good one that is refused once is no rejected credential. `call` names it
    /// in errors and logs.
    ///
    /// # Errors
    /// Those of the attempt, and [`FailureClass::Unauthorized`] for a secret that is no credential.
    pub(crate) async fn with<T>(
        &self,
        call: &str,
        attempt: impl AsyncFn(&Credential<N>) -> Result<T, SourceFailure>,
    ) -> Result<T, SourceFailure> {
        let credential = self.usable(call).await?;
        let rejected = match attempt(&credential).await {
            Err(rejected) if rejected.class == FailureClass::Unauthorized => rejected,
            Ok(answered) => {
                self.note(Some(&credential));
                return Ok(answered);
            }
            Err(failure) => return Err(failure),
        };
        let fresh = self.renewed(call, &credential).await?;
        if !fresh.is(&credential) {
            tracing::info!(call, "the credential was rejected and has changed; trying the new one");
        } else if self.was_taken(&credential) {
            tracing::debug!(call, "a credential that was good before was refused; trying it once more");
        } else {
            return Err(rejected);
        }
        let answered = attempt(&fresh).await;
        match &answered {
            Ok(_) => self.note(Some(&fresh)),
            Err(failure) if failure.class == FailureClass::Unauthorized => self.note(None),
            Err(_) => {}
        }
        answered
    }

    /// Notes which credential the vendor took last.
    fn note(&self, taken: Option<&Credential<N>>) {
        let mut known = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_noted = match (&*known, taken) {
            (Some(known), Some(taken)) => known.is(taken),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_noted {
            *known = taken.cloned();
        }
    }

    fn was_taken(&self, credential: &Credential<N>) -> bool {
        let known = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|known| known.is(credential))
    }

    /// The credential to start with: the remembered secret may be a broken one that was fixed since.
    async fn usable(&self, call: &str) -> Result<Credential<N>, SourceFailure> {
        match self.remembered(call).await {
            Err(unusable) if unusable.class == FailureClass::Unauthorized => self.fresh(call).await,
            read => read,
        }
    }

    /// The credential after `rejected`. Of several calls that were rejected together one reads the secret again, and the
    /// others take what it found.
    async fn renewed(&self, call: &str, rejected: &Credential<N>) -> Result<Credential<N>, SourceFailure> {
        let _one_at_a_time = self.renewal.lock().await;
        match self.remembered(call).await {
            Ok(remembered) if !remembered.is(rejected) => Ok(remembered),
            Ok(_) | Err(_) => self.fresh(call).await,
        }
    }

    /// The credential as it is remembered.
    ///
    /// # Errors
    /// As for a call.
    pub(crate) async fn remembered(&self, call: &str) -> Result<Credential<N>, SourceFailure> {
        self.parsed(call, &self.credentials.secret().await?)
    }

    async fn fresh(&self, call: &str) -> Result<Credential<N>, SourceFailure> {
        self.parsed(call, &self.credentials.fresh_secret().await?)
    }

    fn parsed(&self, call: &str, secret: &SecretString) -> Result<Credential<N>, SourceFailure> {
        Credential::parse(self.names, secret)
            .map_err(|bad| SourceFailure::caused(FailureClass::Unauthorized, format!("{call}: {bad}"), bad))
    }
}

impl<K: Credentials> Keeper<K, 2> {
    /// The first text of a key that has an id: the id, which is no secret.
    ///
    /// # Errors
    /// As for a call.
    pub(crate) async fn key_id(&self) -> Result<String, SourceFailure> {
        let credential = self.usable("the mark of the account").await?;
        let [id, _] = credential.texts();
        Ok(id.to_owned())
    }
}

/// The members of an object that are usable texts.
struct Members(BTreeMap<String, SecretString>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, Text(text))) = map.next_entry::<String, Text>()? {
                    members.extend(text.map(|text| (name, text)));
                }
                Ok(Members(members))
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

    const NAMES: [&str; 2] = ["api_id", "api_key"];

    fn parsed(text: &str) -> Result<(String, String), BadCredential> {
        let credential = Credential::parse(NAMES, &text.into())?;
        let [api_id, api_key] = credential.texts();
        Ok((api_id.to_owned(), api_key.to_owned()))
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
            ("", "is not JSON"),
            ("k3y", "is not JSON"),
            (r#""k3y""#, "is not JSON"),
            (r#"["k3y"]"#, "is not JSON"),
            (r#"{"api_id":"123","api_key":"k3y"#, "is not JSON"),
            (r#"{"api_id":"123","token":"k3y"}"#, r#"no usable "api_key""#),
            (r#"{"api_id":"123","api_key":""}"#, r#"no usable "api_key""#),
            (r#"{"api_id":"123","api_key":" \n"}"#, r#"no usable "api_key""#),
            (r#"{"api_id":"123","api_key":["k3y"]}"#, r#"no usable "api_key""#),
            (r#"{"api_id":null,"api_key":"k3y"}"#, r#"no usable "api_id""#),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
            assert!(error.to_string().ends_with(r#"of the form {"api_id":"..","api_key":".."}"#), "{error}");
            assert!(!format!("{error} {error:?}").contains("k3y"), "{text}");
        }
    }

    #[test]
    fn a_rotated_credential_is_another_one() {
        let credential = |text: &str| Credential::parse(NAMES, &text.into()).unwrap();
        let old = credential(r#"{"api_id":"1","api_key":"a"}"#);
        assert!(old.is(&credential(r#"{"api_key":"a","api_id":1}"#)));
        assert!(!old.is(&credential(r#"{"api_id":"2","api_key":"a"}"#)));
        assert!(!old.is(&credential(r#"{"api_id":"1","api_key":"b"}"#)));
    }
}
