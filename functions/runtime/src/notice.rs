//! What a notice is called in the log, and what a person can do about it.

use std::fmt;

use tidemark_engine::poll::Notice;

/// A notice as the log shows it: a name that filters can rely on, with the figure that goes with it.
pub struct Shown<'a>(pub &'a Notice);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.0))?;
        match self.0 {
            Notice::Quarantined { count }
            | Notice::StampsMissing { count }
            | Notice::UnusableIds { count }
            | Notice::QuarantineFull { count } => write!(f, " ({count})"),
            Notice::TombstonesWithheld { count } => write!(f, " ({count})"),
            Notice::ClockDoubt { offset_ms: millis }
            | Notice::ZoneDoubt { behind_ms: millis }
            | Notice::FutureStamp { ahead_ms: millis } => write!(f, " ({millis} ms)"),
            Notice::FirstImport
            | Notice::DateMissing
            | Notice::ChunkLost
            | Notice::ListMoving
            | Notice::Resync
            | Notice::StreamPaused
            | Notice::BreakerOpened
            | Notice::CredentialRejected => Ok(()),
        }
    }
}

/// All notices of a tick or a message in one text.
pub fn list(notices: &[Notice]) -> String {
    notices.iter().map(|notice| Shown(notice).to_string()).collect::<Vec<_>>().join(", ")
}

/// The name of a notice; it never changes, whatever the figures.
pub fn name(notice: &Notice) -> &'static str {
    match notice {
        Notice::FirstImport => "first_import",
        Notice::Quarantined { .. } => "quarantined",
        Notice::ClockDoubt { .. } => "clock_doubt",
        Notice::DateMissing => "date_missing",
        Notice::ZoneDoubt { .. } => "zone_doubt",
        Notice::StampsMissing { .. } => "stamps_missing",
        Notice::FutureStamp { .. } => "future_stamp",
        Notice::TombstonesWithheld { .. } => "tombstones_withheld",
        Notice::ChunkLost => "chunk_lost",
        Notice::ListMoving => "list_moving",
        Notice::UnusableIds { .. } => "unusable_ids",
        Notice::Resync => "resync",
        Notice::StreamPaused => "stream_paused",
        Notice::QuarantineFull { .. } => "quarantine_full",
        Notice::BreakerOpened => "breaker_opened",
        Notice::CredentialRejected => "credential_rejected",
    }
}

/// What a person can do about a notice.
pub fn next_step(notice: &Notice) -> &'static str {
    match notice {
        Notice::FirstImport => "nothing: the stream is imported for the first time",
        Notice::Quarantined { .. } => "read the reasons in the ledger; the ids are tried again by themselves",
        Notice::ClockDoubt { .. } => "compare the vendor's clock with the true time; commits wait where they must",
        Notice::DateMissing => "nothing if it is rare; else look for a proxy that strips the Date header",
        Notice::ZoneDoubt { .. } => "compare the time zone in the source's settings with the vendor account's",
        Notice::StampsMissing { .. } => "look whether the fields asked for hold the last-edited one; see the settings",
        Notice::FutureStamp { .. } => "look at the vendor account's clock and time zone; see the settings",
        Notice::TombstonesWithheld { .. } => {
            "look whether so many records are really gone at the vendor; all is listed anew by itself"
        }
        Notice::ChunkLost => "nothing if it is rare: the run is listed anew; else look for who deletes ledger items",
        Notice::ListMoving => "nothing if it is rare: the run is listed anew; else poll less busy hours or more often",
        Notice::UnusableIds { .. } => "look at the records without an id in the vendor's application",
        Notice::Resync => "nothing: everything is listed once; expect a day of more calls",
        Notice::StreamPaused => "give the vendor's API user the right to read this object type, or turn the stream off",
        Notice::QuarantineFull { .. } => "read the reasons in the ledger and mend the common cause",
        Notice::CredentialRejected => "put a valid credential into the source's secret; nothing else needs to be done",
        Notice::BreakerOpened => "look at the cause in the log; calls go on by themselves",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_behind_names() {
        let notices = [
            Notice::FirstImport,
            Notice::ZoneDoubt { behind_ms: 3_600_000 },
            Notice::ChunkLost,
            Notice::Quarantined { count: 3 },
        ];
        assert_eq!(list(&notices), "first_import, zone_doubt (3600000 ms), chunk_lost, quarantined (3)");
    }
}
