//! What the vendor was asked, in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::vendor::{Call, CallKind};

/// One request and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Position since the start, from 1; a reset does not restart it.
    pub number: u64,
    /// Arrival on the vendor's clock, Unix milliseconds.
    pub at_ms: i64,
    /// The function or endpoint asked for.
    pub function: String,
    /// What it does.
    pub kind: CallKind,
    /// The stream it concerns.
    pub stream: Option<String>,
    /// The record asked for.
    pub id: Option<String>,
    /// Where a list was asked to start.
    pub from: Option<String>,
    /// Names of the parameters as they arrived.
    pub parameters: Vec<String>,
    /// Whether the signature or credential was accepted.
    pub signature_ok: bool,
    /// Why not.
    pub refusal: Option<String>,
    /// The status answered; `None` while unanswered, and for good when the connection was cut without one.
    pub status: Option<u16>,
    /// The fault that shaped the answer, by its name in the control API.
    pub fault: Option<String>,
}

/// Requests counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// All.
    pub total: usize,
    /// By function.
    pub by_function: BTreeMap<String, usize>,
    /// Those whose signature was refused.
    pub refused: usize,
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    entries: Vec<LoggedRequest>,
    last_number: u64,
}

impl RequestLog {
    pub(crate) fn arrived(&mut self, at_ms: i64, call: &Call, verdict: &Result<(), String>) -> u64 {
        self.last_number += 1;
        self.entries.push(LoggedRequest {
            number: self.last_number,
            at_ms,
            function: call.function.clone(),
            kind: call.kind,
            stream: call.stream.map(str::to_owned),
            id: call.id.clone(),
            from: call.from.clone(),
            parameters: call.parameters.clone(),
            signature_ok: verdict.is_ok(),
            refusal: verdict.as_ref().err().cloned(),
            status: None,
            fault: None,
        });
        self.last_number
    }

    pub(crate) fn answered(&mut self, number: u64, status: Option<u16>, fault: Option<&str>) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.number == number) {
            entry.status = status;
            entry.fault = fault.map(str::to_owned);
        }
    }

    pub(crate) fn entries(&self) -> &[LoggedRequest] {
        &self.entries
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        let mut counts = RequestCounts { total: self.entries.len(), ..RequestCounts::default() };
        for entry in &self.entries {
            *counts.by_function.entry(entry.function.clone()).or_default() += 1;
            counts.refused += usize::from(!entry.signature_ok);
        }
        counts
    }

    pub(crate) fn reset(&mut self) {
        self.entries.clear();
    }
}
