//! The ports of a source: a clock that moves only when somebody sleeps, and a secret.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::{Clock, Credentials};
use tidemark_engine::stream::SourceKind;
use tidemark_sources::registry;

/// 2026-01-01T00:00:00Z, when every run begins.
pub const START: LocalMillis = LocalMillis::new(1_767_225_600_000);

/// The local clock. Clones share it.
#[derive(Clone, Debug)]
pub struct Time(Rc<Cell<LocalMillis>>);

impl Default for Time {
    fn default() -> Self {
        Self(Rc::new(Cell::new(START)))
    }
}

impl Time {
    /// How long was slept.
    pub fn slept(&self) -> Duration {
        self.0.get().since(START)
    }
}

impl Clock for Time {
    fn now(&self) -> LocalMillis {
        self.0.get()
    }

    async fn sleep(&self, span: Duration) {
        self.0.set(self.0.get().plus(span));
    }
}

/// A secret.
#[derive(Clone, Debug)]
pub struct Keys(pub String);

impl Credentials for Keys {
    async fn secret(&self) -> Result<SecretString, SourceFailure> {
        Ok(self.0.as_str().into())
    }

    async fn fresh_secret(&self) -> Result<SecretString, SourceFailure> {
        self.secret().await
    }
}

/// A secret that is good, and the text in it that nobody may see: its last member, for those before it name the key.
pub fn secret(kind: SourceKind) -> (String, &'static str) {
    let text = match kind {
        // A word: this source shows words of its vendor's errors, but never its key.
        SourceKind::FsmNavigator => "qzsecret",
        _ => "qz-7d20-token",
    };
    let (hidden, named) = registry::credential_members(kind).split_last().expect("every secret has a member");
    let mut members: Map<String, Value> = named.iter().map(|name| ((*name).to_owned(), "123".into())).collect();
    members.insert((*hidden).to_owned(), text.into());
    (Value::Object(members).to_string(), text)
}

/// What a future comes to that waits for nothing but these ports.
pub fn finished<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something that nothing here will bring"),
    }
}
