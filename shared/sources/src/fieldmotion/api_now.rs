//! In which form the time of a call is written, when the vendor's two descriptions of it differ.
//!
//! The form is a setting. Where the vendor rejects the very first call, the other forms are tried once: a wrong form is
//! answered like a wrong key, and nobody could tell the two apart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::settings::ApiNowFormat;

/// The form in use.
pub(super) struct ApiNow {
    format: Mutex<ApiNowFormat>,
    /// Whether the vendor ever took a call in the form in use.
    is_proved: AtomicBool,
    /// Whether the others were tried.
    is_tried: AtomicBool,
}

impl ApiNow {
    /// The form that the settings say.
    pub(super) fn new(format: ApiNowFormat) -> Self {
        Self { format: Mutex::new(format), is_proved: AtomicBool::new(false), is_tried: AtomicBool::new(false) }
    }

    /// The form in use.
    pub(super) fn format(&self) -> ApiNowFormat {
        *self.format.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the vendor took a call.
    pub(super) fn prove(&self) {
        self.is_proved.store(true, Ordering::Relaxed);
    }

    /// The other forms, for the call that is rejected first; none for anyone after, and none once a call was taken.
    pub(super) fn others(&self) -> Vec<ApiNowFormat> {
        if self.is_proved.load(Ordering::Relaxed) || self.is_tried.swap(true, Ordering::Relaxed) {
            return Vec::new();
        }
        let used = self.format();
        ApiNowFormat::ALL.into_iter().filter(|format| *format != used).collect()
    }

    /// Notes that the others could not be tried to the end, so that the next call tries them.
    pub(super) fn put_off(&self) {
        self.is_tried.store(false, Ordering::Relaxed);
    }

    /// Uses another form from now on, which the vendor took.
    pub(super) fn adopt(&self, format: ApiNowFormat) {
        *self.format.lock().unwrap_or_else(PoisonError::into_inner) = format;
        self.prove();
        tracing::warn!(
            api_now_format = format.as_str(),
            "the vendor rejects the configured form of _api_now and takes this one: set api_now_format in \
             FieldMotionSettings, or every start costs calls that are rejected"
        );
    }
}
