//! Wrong variants of the protocol. A simulation that does not notice them would prove nothing.

use std::fmt;

use tidemark_engine::rule::Rule;

use crate::memory::Flaw;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The engine leaves a rule out.
    Without(Rule),
    /// A write lacks its condition.
    Flawed(Flaw),
    /// Writes come in a wrong order, or the queue is believed.
    Slipped(Slip),
}

/// An order of steps that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// Chunks are put after the checkpoint was written.
    ChunksLast,
    /// A retry entry is put after its id was taken out of the chunk.
    EntryLast,
    /// What was sent counts as paid for: the ledger forgets it.
    QueueBelieved,
}

impl Slip {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::ChunksLast, Self::EntryLast, Self::QueueBelieved];
}

impl Mutant {
    /// Every one of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let rules = Rule::ALL.iter().copied().map(Self::Without);
        let flaws = Flaw::ALL.into_iter().map(Self::Flawed);
        rules.chain(flaws).chain(Slip::ALL.into_iter().map(Self::Slipped))
    }

    /// The one of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|mutant| mutant.to_string() == text)
    }

    /// The rule that the engine leaves out, if it is the engine.
    pub(super) fn rule(self) -> Option<Rule> {
        match self {
            Self::Without(rule) => Some(rule),
            Self::Flawed(_) | Self::Slipped(_) => None,
        }
    }

    /// The condition that the tables lack, if it is they.
    pub(super) fn flaw(self) -> Option<Flaw> {
        match self {
            Self::Flawed(flaw) => Some(flaw),
            Self::Without(_) | Self::Slipped(_) => None,
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Without(rule) => write!(f, "{rule:?}"),
            Self::Flawed(flaw) => write!(f, "{flaw:?}"),
            Self::Slipped(slip) => write!(f, "{slip:?}"),
        }
    }
}
