//! What tests of sources have in common: a clock, a secret, an answer, and what a failure shows.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::{Clock, Credentials};
use tidemark_fakes::{Effect, Fake, FixedAnswer};

/// The vendor's own clock, so that neither the test's machine nor its speed matters. Sleeping moves it.
#[derive(Clone)]
pub(crate) struct VendorTime(pub(crate) Fake);

impl Clock for VendorTime {
    fn now(&self) -> LocalMillis {
        LocalMillis::new(self.0.now_ms())
    }

    async fn sleep(&self, span: Duration) {
        self.0.advance(span);
    }
}

/// A secret, as it is remembered and as it is now. Clones share it.
#[derive(Clone)]
pub(crate) struct SharedKeys(Arc<Keys>);

struct Keys {
    remembered: Mutex<String>,
    now: Mutex<String>,
    fresh_count: AtomicUsize,
}

impl SharedKeys {
    pub(crate) fn new(secret: &str) -> Self {
        Self(Arc::new(Keys {
            remembered: Mutex::new(secret.to_owned()),
            now: Mutex::new(secret.to_owned()),
            fresh_count: AtomicUsize::new(0),
        }))
    }

    /// Changes the secret; the old one is remembered until it is read again.
    pub(crate) fn change(&self, secret: &str) {
        secret.clone_into(&mut self.0.now.lock().unwrap());
    }

    /// How often it was read again.
    pub(crate) fn fresh_count(&self) -> usize {
        self.0.fresh_count.load(Ordering::Relaxed)
    }
}

impl Credentials for SharedKeys {
    async fn secret(&self) -> Result<SecretString, SourceFailure> {
        Ok(self.0.remembered.lock().unwrap().as_str().into())
    }

    async fn fresh_secret(&self) -> Result<SecretString, SourceFailure> {
        self.0.fresh_count.fetch_add(1, Ordering::Relaxed);
        let now = self.0.now.lock().unwrap().clone();
        self.0.remembered.lock().unwrap().clone_from(&now);
        Ok(now.as_str().into())
    }
}

/// An answer word for word.
pub(crate) fn answer(status: u16, body: &str) -> Effect {
    Effect::Answer(FixedAnswer {
        status,
        body: body.to_owned(),
        content_type: "application/json".to_owned(),
        headers: BTreeMap::new(),
    })
}

/// Everything that a failure shows to the caller that prints it, with the errors below it.
pub(crate) fn shown(failure: &SourceFailure) -> String {
    let mut shown = vec![format!("{failure} {failure:?}")];
    let mut below = failure.source();
    while let Some(error) = below {
        shown.push(format!("{error} {error:?}"));
        below = error.source();
    }
    shown.join(" ")
}
