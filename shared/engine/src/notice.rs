//! What a tick or a fetch noticed that is no failure of its own.

use crate::StreamName;

/// Something that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The stream had no checkpoint: its first import begins.
    FirstImport,
    /// Ids went into quarantine.
    Quarantined {
        /// How many.
        count: usize,
    },
    /// The local and the vendor's clock are more than five minutes apart.
    ClockDoubt {
        /// Vendor's less local time, in milliseconds.
        offset_ms: i64,
    },
    /// The vendor's clock went back, or its local time did at the end of summer time: the list starts earlier once.
    ClockStep {
        /// By how much, in milliseconds.
        step_ms: i64,
    },
    /// The vendor's answer had no Date: its clock is guessed from the local one.
    DateMissing,
    /// A record was edited after it was last looked at, yet its stamp is older than that look: probably a wrong time
    /// zone in the settings.
    ZoneDoubt {
        /// How far the stamp is behind the vendor's clock, in milliseconds.
        behind_ms: i64,
    },
    /// Records of a stream that should bear stamps bore none.
    StampsMissing {
        /// How many.
        count: usize,
    },
    /// A stamp lies in the future.
    FutureStamp {
        /// How far ahead of the vendor's clock, in milliseconds.
        ahead_ms: i64,
    },
    /// So many records of one chunk seemed gone that none was marked deleted; they are in quarantine.
    TombstonesWithheld {
        /// How many.
        count: u32,
    },
    /// The ledger was lost: everything is listed again from the last commit.
    LedgerLost,
    /// The list moved too much to be read whole; it is read again.
    ListMoving,
    /// A part of everything there is was left out, because its list is refused or moves; it is listed again later.
    LeftOut {
        /// The record stream.
        stream: StreamName,
    },
    /// The list held entries without a usable id, which can be neither fetched nor stored.
    UnusableIds {
        /// How many.
        count: usize,
    },
    /// Rows whose body differs at every reading, though their stamp does not: each listing stores them again.
    VolatileRows {
        /// How many.
        count: usize,
    },
    /// The feed's token was rejected: everything is listed once from a new one.
    Resync,
    /// The vendor refuses the stream.
    StreamPaused,
    /// More ids are in quarantine than a stream may have.
    QuarantineFull {
        /// How many.
        count: usize,
    },
    /// Calls pause after failures.
    BreakerOpened,
    /// The vendor rejected the credential, also after it was read again.
    CredentialRejected,
    /// The account, the key or a setting that changes what is listed is another one than before.
    AccountChanged,
}

impl Notice {
    /// Whether a person has to look at it.
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::ClockDoubt { .. }
            | Self::ZoneDoubt { .. }
            | Self::StampsMissing { .. }
            | Self::FutureStamp { .. }
            | Self::TombstonesWithheld { .. }
            | Self::LedgerLost
            | Self::ListMoving
            | Self::LeftOut { .. }
            | Self::UnusableIds { .. }
            | Self::Resync
            | Self::StreamPaused
            | Self::CredentialRejected
            | Self::AccountChanged
            | Self::QuarantineFull { .. } => true,
            // Quarantine and staleness have metrics of their own; the others are news, not trouble.
            Self::FirstImport
            | Self::Quarantined { .. }
            | Self::ClockStep { .. }
            | Self::DateMissing
            | Self::VolatileRows { .. }
            | Self::BreakerOpened => false,
        }
    }
}
