//! A source's credential, from Secrets Manager.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;
use tidemark_engine::clock::LocalMillis;
#[cfg(feature = "operator")]
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};
use tokio::sync::Mutex;

use crate::client::Sdk;
use crate::errors::AwsError;

/// How long a secret is remembered: a rotated one is seen after that, or as soon as the vendor rejects the old one.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The codes by which Secrets Manager says that the secret is not there to be read.
///
/// Source: AWS Secrets Manager API Reference, `GetSecretValue` (read 2026-11-21).
const UNREADABLE: &[&str] = &["InvalidParameterException", "InvalidRequestException"];

/// The code by which Secrets Manager says that KMS did not decrypt the secret. The same page.
const UNDECRYPTED: &[&str] = &["DecryptionFailure"];

/// The secret of one source, remembered for an hour.
///
/// Guarantees: the value is in a type that cannot be printed, and no failure holds any of it. Callers that arrive
/// together while nothing is remembered wait for one read.
pub struct SourceSecret<C> {
    client: Client,
    secret_id: String,
    clock: C,
    remembered: Mutex<Option<Remembered>>,
}

struct Remembered {
    value: SecretString,
    read_at: LocalMillis,
}

impl<C: Clock> SourceSecret<C> {
    /// The secret with this ARN or name; `clock` says how old what is remembered is.
    pub fn new(sdk: &Sdk, secret_id: impl Into<String>, clock: C) -> Self {
        Self { client: sdk.secrets(), secret_id: secret_id.into(), clock, remembered: Mutex::default() }
    }

    async fn read(&self) -> Result<SecretString, SourceFailure> {
        let sent = self.client.get_secret_value().secret_id(&self.secret_id).send().await;
        let answer = sent.map_err(|error| self.failure(AwsError::of(error)))?;
        match answer.secret_string {
            Some(value) if !value.trim().is_empty() => Ok(SecretString::from(value)),
            _ => {
                let cause = format!("the secret {} is empty or binary; it has to hold JSON text", self.secret_id);
                Err(SourceFailure::new(FailureClass::Unauthorized, cause))
            }
        }
    }

    fn failure(&self, error: AwsError) -> SourceFailure {
        let (class, what) = match meaning_of(&error) {
            FailureClass::Unauthorized => (FailureClass::Unauthorized, "is missing, or this function may not read it"),
            FailureClass::SecretLocked => (
                FailureClass::SecretLocked,
                "could not be decrypted: the function may not use its key, or the key is disabled",
            ),
            class => (class, "could not be read"),
        };
        SourceFailure::caused(class, format!("the secret {} {what}", self.secret_id), error)
    }
}

/// Keeps a credential under a name: in a secret that is created, or in place of the value that it has. Returns its ARN.
///
/// # Errors
/// [`StoreFailure`] when Secrets Manager refuses the call or cannot be reached.
#[cfg(feature = "operator")]
pub async fn keep(sdk: &Sdk, name: &str, value: &SecretString) -> Result<String, StoreFailure> {
    use secrecy::ExposeSecret;
    let (client, text) = (sdk.secrets(), value.expose_secret());
    let created = client.create_secret().name(name).secret_string(text).send().await.map_err(AwsError::of);
    let arn = match created {
        Ok(answer) => answer.arn,
        Err(error) if error.code() == Some("ResourceExistsException") => {
            let put = client.put_secret_value().secret_id(name).secret_string(text).send().await;
            put.map_err(|error| AwsError::of(error).store_failure("replace the secret's value"))?.arn
        }
        Err(error) => return Err(error.store_failure("create the secret")),
    };
    Ok(arn.unwrap_or_default())
}

/// A secret that is missing or may not be read is a wrong credential, unless only its key may not be used. Every other
/// failure of Secrets Manager is temporary.
fn meaning_of(error: &AwsError) -> FailureClass {
    let message = error.message().to_ascii_lowercase();
    let is_about_its_key = message.contains("access to kms") || message.contains("kms:decrypt");
    let is_one_of = |codes: &[&str]| error.code().is_some_and(|code| codes.contains(&code));
    let is_unreadable = error.is_denial() || is_one_of(UNREADABLE);
    if is_one_of(UNDECRYPTED) || is_unreadable && is_about_its_key {
        FailureClass::SecretLocked
    } else if is_unreadable {
        FailureClass::Unauthorized
    } else {
        FailureClass::Transient
    }
}

impl<C: Clock> Credentials for SourceSecret<C> {
    async fn secret(&self) -> Result<SecretString, SourceFailure> {
        let mut remembered = self.remembered.lock().await;
        let now = self.clock.now();
        if let Some(known) = remembered.as_ref().filter(|known| now.since(known.read_at) < REMEMBERED) {
            return Ok(known.value.clone());
        }
        let value = self.read().await?;
        *remembered = Some(Remembered { value: value.clone(), read_at: now });
        Ok(value)
    }

    async fn fresh_secret(&self) -> Result<SecretString, SourceFailure> {
        let mut remembered = self.remembered.lock().await;
        let read_at = self.clock.now();
        let value = self.read().await?;
        *remembered = Some(Remembered { value: value.clone(), read_at });
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: &str, message: &str) -> AwsError {
        AwsError::Answered { code: code.to_owned(), message: message.to_owned(), request_id: "r".to_owned() }
    }

    #[test]
    fn what_kept_the_secret_from_being_read_decides_the_class() {
        let cases = [
            ("ResourceNotFoundException", "can't find the specified secret", FailureClass::Unauthorized),
            ("AccessDeniedException", "not authorized to perform GetSecretValue", FailureClass::Unauthorized),
            ("InvalidRequestException", "it was marked for deletion", FailureClass::Unauthorized),
            ("AccessDeniedException", "Access to KMS is not allowed", FailureClass::SecretLocked),
            ("DecryptionFailure", "can't decrypt", FailureClass::SecretLocked),
            ("ThrottlingException", "Rate exceeded", FailureClass::Transient),
            ("InternalServiceError", "oops", FailureClass::Transient),
        ];
        for (code, message, class) in cases {
            assert_eq!(meaning_of(&answered(code, message)), class, "{code}: {message}");
        }
        let unanswered = AwsError::Unanswered { what: "the call timed out", source: None };
        assert_eq!(meaning_of(&unanswered), FailureClass::Transient);
    }
}
