//! The last steps of a history, kept in numbers and put into words only when they are asked for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;

use tidemark_engine::clock::LocalMillis;

use crate::memory::Operation;

/// Who took a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A poller.
    Poller(u32),
    /// A fetcher.
    Fetcher(u32),
    /// An operator.
    Operator,
    /// The history itself.
    World,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A call took effect.
    Did(Operation),
    /// A call was refused on its way.
    Rejected(Operation),
    /// A call took effect, its answer got lost.
    LostAnswer(Operation),
    /// A call was done in part.
    Partly(Operation),
    /// The process died before a call's effect.
    CrashedBefore(Operation),
    /// The process died after a call's effect.
    CrashedAfter(Operation),
    /// The process froze at a call.
    Froze(Operation),
    /// A call's effect came late, or once more.
    LandedLate(Operation),
    /// The process died at a record.
    KilledBy(String),
    /// Anything else, in words.
    Note(String),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: LocalMillis,
    /// Who.
    pub who: Who,
    /// What.
    pub what: What,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.at.millis_since(super::START);
        let seconds = millis.div_euclid(1_000);
        write!(f, "{seconds:>7}.{:03}  ", millis.rem_euclid(1_000))?;
        match self.who {
            Who::Poller(number) => write!(f, "{:<13}", format!("poller {number}"))?,
            Who::Fetcher(number) => write!(f, "{:<13}", format!("fetcher {number}"))?,
            Who::Operator => write!(f, "{:<13}", "operator")?,
            Who::World => write!(f, "{:<13}", "")?,
        }
        match &self.what {
            What::Did(operation) => f.write_str(operation.name()),
            What::Rejected(operation) => write!(f, "{}: rejected", operation.name()),
            What::LostAnswer(operation) => write!(f, "{}: done, the answer is lost", operation.name()),
            What::Partly(operation) => write!(f, "{}: done in part", operation.name()),
            What::CrashedBefore(operation) => write!(f, "{}: crashes before it", operation.name()),
            What::CrashedAfter(operation) => write!(f, "{}: done, then crashes", operation.name()),
            What::Froze(operation) => write!(f, "{}: freezes", operation.name()),
            What::LandedLate(operation) => write!(f, "{}: arrives late, or once more", operation.name()),
            What::KilledBy(id) => write!(f, "dies at record {id}"),
            What::Note(text) => f.write_str(text),
        }
    }
}

/// The last steps.
#[derive(Debug)]
pub(super) struct Trace {
    steps: RefCell<VecDeque<Step>>,
    kept: usize,
    /// Whether notes in words are wanted; they cost more than all else.
    pub(super) is_wordy: bool,
}

impl Trace {
    /// Keeps the last `kept` steps.
    pub(super) fn new(kept: usize, is_wordy: bool) -> Self {
        Self { steps: RefCell::new(VecDeque::with_capacity(kept.min(512))), kept, is_wordy }
    }

    /// Adds a step.
    pub(super) fn push(&self, at: LocalMillis, who: Who, what: What) {
        if self.kept == 0 {
            return;
        }
        let mut steps = self.steps.borrow_mut();
        if steps.len() == self.kept {
            steps.pop_front();
        }
        steps.push_back(Step { at, who, what });
    }

    /// Adds a note, worded only if notes are wanted.
    pub(super) fn note(&self, at: LocalMillis, who: Who, words: impl FnOnce() -> String) {
        if self.is_wordy {
            self.push(at, who, What::Note(words()));
        }
    }

    /// Takes the steps.
    pub(super) fn take(&self) -> Vec<Step> {
        self.steps.borrow_mut().drain(..).collect()
    }
}
