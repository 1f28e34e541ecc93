//! What a tick or a fetch noticed that is no failure of its own.

use strum::{IntoStaticStr, VariantNames};

use crate::StreamName;

/// Something that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Notice {
    /// The stream had no checkpoint: its first import begins.
    FirstImport,
    /// So many ids went into quarantine.
    Quarantined(usize),
    /// The local and the vendor's clock are more than five minutes apart: vendor's less local time, in milliseconds.
    ClockDoubt(i64),
    /// The vendor's clock, or its local time, went back by so many milliseconds: the list starts earlier once.
    ClockStep(i64),
    /// The vendor's answer had no Date: its clock is guessed from the local one.
    DateMissing,
    /// A record was edited after it was last looked at, yet its stamp is older than that look, and so many milliseconds
    /// behind the vendor's clock: probably a wrong time zone in the settings.
    ZoneDoubt(i64),
    /// So many records of a stream that should have stamps have none.
    StampsMissing(usize),
    /// A stamp lies in the future, so many milliseconds ahead of the vendor's clock.
    FutureStamp(i64),
    /// So many records of one chunk seemed gone that none was marked deleted; they are in quarantine.
    TombstonesWithheld(usize),
    /// The ledger was lost: everything is listed again from the last commit.
    LedgerLost,
    /// The list moved too much to be read whole; it is read again.
    ListMoving,
    /// A part of this stream's list was left out, because it is refused, fails or moves; it is listed again later.
    LeftOut(StreamName),
    /// The list held so many entries without a usable id, which can be neither fetched nor stored.
    UnusableIds(usize),
    /// The bodies of so many rows differ at every reading, though their stamps do not: each listing stores them again.
    VolatileRows(usize),
    /// The feed's token was rejected: everything is listed once from a new one.
    Resync,
    /// The vendor refuses the stream.
    StreamPaused,
    /// So many ids are in quarantine, more than a stream may have.
    QuarantineFull(usize),
    /// Calls pause after failures.
    BreakerOpened,
    /// The vendor rejected the credential, also after it was read again.
    CredentialRejected,
    /// The account, the key or a setting that changes what is listed is another one than before.
    AccountChanged,
}

impl Notice {
    /// Whether a person has to look at it. Quarantine and staleness have metrics of their own.
    pub fn needs_attention(&self) -> bool {
        let is_news =
            matches!(self, Self::FirstImport | Self::ClockStep(_) | Self::DateMissing | Self::VolatileRows(_));
        !is_news && !matches!(self, Self::Quarantined(_) | Self::BreakerOpened)
    }
}
