//! What a fake's own side keeps between two requests, the same for every vendor.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// How a fake behaves, whom it answers, and what else it has to remember.
#[derive(Debug)]
pub(crate) struct State<Settings, Credential, Kept = ()>(Mutex<Inner<Settings, Credential, Kept>>);

/// What is behind the lock.
#[derive(Debug)]
pub(crate) struct Inner<Settings, Credential, Kept> {
    pub(crate) settings: Settings,
    pub(crate) accepted: Vec<Credential>,
    pub(crate) kept: Kept,
}

impl<Settings, Credential, Kept: Default> State<Settings, Credential, Kept> {
    /// A fake that behaves like this and accepts one credential.
    pub(crate) fn new(settings: Settings, credential: Credential) -> Self {
        Self(Mutex::new(Inner { settings, accepted: vec![credential], kept: Kept::default() }))
    }
}

impl<Settings, Credential, Kept> State<Settings, Credential, Kept> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<Settings, Credential, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Settings
    where
        Settings: Clone,
    {
        self.lock().settings.clone()
    }

    /// Accepts another credential, beside the old ones or in their place.
    pub(crate) fn accept(&self, credential: Credential, keep_old: bool) {
        let mut state = self.lock();
        if !keep_old {
            state.accepted.clear();
        }
        state.accepted.push(credential);
    }

    /// Changes some of the settings; none is changed when one is unknown or makes no sense.
    pub(crate) fn change(&self, changes: Value) -> Result<(), String>
    where
        Settings: Serialize + DeserializeOwned,
    {
        let Value::Object(changes) = changes else {
            return Err("settings are an object".to_owned());
        };
        let mut state = self.lock();
        let mut all = serde_json::to_value(&state.settings).map_err(|error| error.to_string())?;
        if let Value::Object(all) = &mut all {
            all.extend(changes);
        }
        state.settings = serde_json::from_value(all).map_err(|error| error.to_string())?;
        Ok(())
    }
}
