//! What a notice is called in the log, and what a person can do about it.

use std::fmt;

use tidemark_engine::notice::Notice;

/// A notice as the log shows it: a name that filters can rely on, with the figure that goes with it.
pub struct Shown<'a>(pub &'a Notice);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.0))?;
        match self.0 {
            Notice::Quarantined(count)
            | Notice::StampsMissing(count)
            | Notice::TombstonesWithheld(count)
            | Notice::UnusableIds(count)
            | Notice::VolatileRows(count)
            | Notice::QuarantineFull(count) => write!(f, " ({count})"),
            Notice::ClockDoubt(millis)
            | Notice::ClockStep(millis)
            | Notice::ZoneDoubt(millis)
            | Notice::FutureStamp(millis) => write!(f, " ({millis} ms)"),
            Notice::LeftOut(stream) => write!(f, " ({stream})"),
            Notice::FirstImport
            | Notice::DateMissing
            | Notice::LedgerLost
            | Notice::ListMoving
            | Notice::Resync
            | Notice::StreamPaused
            | Notice::BreakerOpened
            | Notice::CredentialRejected
            | Notice::AccountChanged => Ok(()),
        }
    }
}

/// All notices of a tick or a message in one text.
pub fn list<'n>(notices: impl IntoIterator<Item = &'n Notice>) -> String {
    notices.into_iter().map(|notice| Shown(notice).to_string()).collect::<Vec<_>>().join(", ")
}

/// The name of a notice; it never changes, whatever the figures.
pub fn name(notice: &Notice) -> &'static str {
    match notice {
        Notice::FirstImport => "first_import",
        Notice::Quarantined(_) => "quarantined",
        Notice::ClockDoubt(_) => "clock_doubt",
        Notice::ClockStep(_) => "clock_step",
        Notice::DateMissing => "date_missing",
        Notice::ZoneDoubt(_) => "zone_doubt",
        Notice::StampsMissing(_) => "stamps_missing",
        Notice::FutureStamp(_) => "future_stamp",
        Notice::TombstonesWithheld(_) => "tombstones_withheld",
        Notice::LedgerLost => "ledger_lost",
        Notice::ListMoving => "list_moving",
        Notice::LeftOut(_) => "left_out",
        Notice::UnusableIds(_) => "unusable_ids",
        Notice::VolatileRows(_) => "volatile_rows",
        Notice::Resync => "resync",
        Notice::StreamPaused => "stream_paused",
        Notice::QuarantineFull(_) => "quarantine_full",
        Notice::BreakerOpened => "breaker_opened",
        Notice::CredentialRejected => "credential_rejected",
        Notice::AccountChanged => "account_changed",
    }
}

/// What a person can do about a notice.
pub fn next_step(notice: &Notice) -> &'static str {
    match notice {
        Notice::FirstImport => "nothing: the stream is imported for the first time",
        Notice::Quarantined(_) => {
            "look at the reasons with `tidemark quarantine list <source>`; the ids are tried again automatically"
        }
        Notice::ClockDoubt(_) => {
            "compare the Date header of the vendor's answers with the true time; if the vendor is wrong, tell the vendor"
        }
        Notice::ClockStep(_) => "nothing: the list started earlier by the same time, so no change is lost",
        Notice::DateMissing => "nothing if it is rare; else look for a proxy that removes the Date header",
        Notice::ZoneDoubt(_) | Notice::FutureStamp(_) => {
            "compare the time zone in the source's settings with the vendor account's"
        }
        Notice::StampsMissing(_) => {
            "compare the stamp field in the source's settings with the fields that the vendor sends"
        }
        Notice::TombstonesWithheld(_) => {
            "look at the vendor whether so many records are gone; they are in quarantine and are marked deleted when they \
             are still gone after 31 hours"
        }
        Notice::LedgerLost => {
            "find out who deleted or restored the ledger table; everything since the last commit is listed again"
        }
        Notice::ListMoving => "nothing if it is rare: the list is read again; else poll at quieter hours or more often",
        Notice::LeftOut(_) => {
            "look at the warning in the log that names the list: give the key's user the right to read it, or leave it out in \
             the source's settings; it is listed again every hour"
        }
        Notice::UnusableIds(_) => "look in the vendor's application for records without an id",
        Notice::VolatileRows(_) => {
            "nothing is lost; if the writes cost too much, look for a field that differs at every reading, such as a signed \
             URL, and leave it out of the list in the source's settings where the vendor can"
        }
        Notice::Resync => "nothing: everything is listed once from a new token; expect a day with more calls",
        Notice::StreamPaused => "give the vendor's API user the right to read this object type, or turn the stream off",
        Notice::QuarantineFull(_) => {
            "look at the reasons with `tidemark quarantine list <source>` and fix the common cause; listing goes on when they drain"
        }
        Notice::BreakerOpened => "look at the cause in the log; calls start again automatically after the pause",
        Notice::CredentialRejected => "put a valid credential into the source's secret; nothing else needs to be done",
        Notice::AccountChanged => {
            "put the old settings or credential back; or `tidemark account keep <source>` when it is the same account, \
             `tidemark account start-again <source>` when it is another one and everything shall be imported"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_behind_names() {
        let notices = [Notice::FirstImport, Notice::ZoneDoubt(3_600_000), Notice::LedgerLost, Notice::Quarantined(3)];
        assert_eq!(list(&notices), "first_import, zone_doubt (3600000 ms), ledger_lost, quarantined (3)");
    }

    #[test]
    fn who_changed_the_account_learns_every_way_on() {
        let next_step = next_step(&Notice::AccountChanged);
        for way in ["old settings", "account keep", "account start-again"] {
            assert!(next_step.contains(way), "{next_step}");
        }
    }
}
