//! Wrong variants of the protocol. A simulation that does not notice them would prove nothing.

use std::fmt;

use tidemark_engine::rule::Rule;

use crate::memory::Flaw;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The engine leaves a rule out.
    Without(Rule),
    /// The tables, or what the engine asks of them, are wrong.
    Flawed(Flaw),
}

impl Mutant {
    /// The variants that every run of the tests must kill: those of the protocol's sections 3 and 5, then those of the
    /// design's section 4.2.
    pub const ALL: [Self; 17] = [
        Self::Without(Rule::Horizon),
        Self::Without(Rule::FirstHorizon),
        Self::Flawed(Flaw::CountsDown),
        // "The queue looks empty" is what it shows only then; see the gate.
        Self::Flawed(Flaw::ShowsAllDone),
        Self::Flawed(Flaw::RefusesEqualStamps),
        Self::Without(Rule::Resend),
        Self::Flawed(Flaw::QuarantinesLate),
        Self::Flawed(Flaw::NoFence),
        Self::Without(Rule::CommitWhenStored),
        Self::Without(Rule::RowDate),
        Self::Without(Rule::SameBody),
        Self::Without(Rule::ClockOffset),
        Self::Flawed(Flaw::RefusesMissingStamps),
        Self::Without(Rule::Window),
        Self::Without(Rule::ZoneGuard),
        Self::Without(Rule::Cursor),
        Self::Without(Rule::Passes),
    ];

    /// The rule that the engine leaves out, if it is the engine.
    pub(super) fn rule(self) -> Option<Rule> {
        match self {
            Self::Without(rule) => Some(rule),
            Self::Flawed(_) => None,
        }
    }

    /// What the tables get wrong all the time, if it is they.
    pub(super) fn flaw(self) -> Option<Flaw> {
        match self {
            Self::Without(_) | Self::Flawed(Flaw::ShowsAllDone) => None,
            Self::Flawed(flaw) => Some(flaw),
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Without(rule) => write!(f, "without {rule:?}"),
            Self::Flawed(flaw) => write!(f, "{flaw:?}"),
        }
    }
}
