//! Notices as the log shows them.

use std::fmt;

use tidemark_engine::notice::Notice;

/// A notice as the log shows it: a name that filters can rely on, with the figure that goes with it.
pub struct Shown<'a>(pub &'a Notice);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.into())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_behind_names() {
        let notices = [Notice::FirstImport, Notice::ZoneDoubt(3_600_000), Notice::LedgerLost, Notice::Quarantined(3)];
        assert_eq!(list(&notices), "first_import, zone_doubt (3600000 ms), ledger_lost, quarantined (3)");
    }
}
