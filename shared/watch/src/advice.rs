//! What the names in logs, tables and reports mean, and what a person does about each.
//!
//! The one place for it: the log, `tidemark` and the tables of `docs/runbook.md` say what stands here.

use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::work::Reason;

/// What a name means, and what a person does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The name; filters can rely on it.
    pub name: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What a person does; a command where there is one.
    pub next: &'static str,
}

/// What a notice means.
pub fn of_notice(notice: &Notice) -> Advice {
    let (meaning, next) = match notice {
        Notice::FirstImport => ("the stream is imported for the first time", "nothing"),
        Notice::Quarantined(_) => (
            "so many ids went into quarantine; they are tried again automatically",
            "list the reasons: `tidemark quarantine list <source>`",
        ),
        Notice::ClockDoubt(_) => (
            "the vendor's Date and the local clock are over five minutes apart; records are still stored",
            "compare both with the true time; if the vendor is wrong, report it to the vendor",
        ),
        Notice::ClockStep(_) => (
            "the vendor's clock went back, or its summer time ended; the list started earlier by as much, so nothing is lost",
            "nothing",
        ),
        Notice::DateMissing => (
            "the vendor's answer has no Date, so its clock is guessed from the local one",
            "nothing if it is rare; else look for a proxy that removes the Date header",
        ),
        Notice::ZoneDoubt(_) => (
            "a record was edited after it was looked at, and its stamp is older than that look: stamps are probably read in \
             a wrong time zone; nothing is lost, lists start earlier and cost more calls",
            "compare the time zone in the source's settings with the vendor account's",
        ),
        Notice::StampsMissing(_) => (
            "so many records that should have a stamp have none: the vendor changed its answer, or the settings name no \
             stamp that it sends",
            "compare the settings with what the vendor sends: FieldMotion `fields`; FSM Navigator `updated_field`, \
             `unstamped`; Fieldly `updated_fields`",
        ),
        Notice::FutureStamp(_) => (
            "a stamp is over five minutes ahead of the vendor's clock",
            "compare the time zone in the source's settings with the vendor account's, and the vendor's clock with the \
             true time",
        ),
        Notice::TombstonesWithheld(_) => (
            "so many records of a chunk vanished at once, or the vendor's answers are ambiguous; none was marked deleted, \
             all are in quarantine and count as deleted when they are still gone after 31 hours",
            "check before then whether the records are gone at the vendor, or whether the key may not read them",
        ),
        Notice::LedgerLost => (
            "the ledger is not the one that the checkpoint belongs to: it was deleted, restored, or its mark was removed; \
             everything since the last commit is listed again automatically",
            "find out who did it",
        ),
        Notice::ListMoving => (
            "the list changed too much while it was read; it is read again",
            "nothing if it is rare; else poll at quieter hours, or more often",
        ),
        Notice::LeftOut(_) => (
            "a part of this list is left out: FieldAware's class, or what belongs to a parent at FSM Navigator, because the \
             vendor refuses it, fails at it, or repeats a page; the rest goes on without, and the part is listed again every \
             hour",
            "read the warning before it in the log; give the key's user the right to read it, turn the vendor's feature on, \
             leave a class out (`record_streams`), or report the failure to the vendor",
        ),
        Notice::UnusableIds(_) => (
            "the list holds so many entries without a usable id, or of a class that is not known; they cannot be fetched",
            "read the warning before it in the log if there is one; else look in the vendor's application for records \
             without an id",
        ),
        Notice::VolatileRows(_) => (
            "the bodies of so many rows differ at every reading, although their stamps do not; each listing stores them again",
            "nothing is lost; if it costs too much, look for a field such as a signed URL, and leave it out of the list in \
             the source's settings",
        ),
        Notice::Resync => (
            "the vendor rejected the feed's token; everything is listed once from a new one",
            "nothing; expect a day with more calls",
        ),
        Notice::StreamPaused => (
            "the key may not read this stream, the vendor does not know the function, or it refuses the list as it is \
             asked for; the first poll after 15 minutes tries again",
            "give the vendor's API user the right, correct the source's settings, or turn the stream off",
        ),
        Notice::QuarantineFull(_) => (
            "over 1,000 ids are in quarantine; nothing new is listed until they drain",
            "fix the common cause: `tidemark quarantine list <source>`",
        ),
        Notice::BreakerOpened => (
            "calls pause after failures; they start again automatically",
            "nothing if it passes; else read the cause in the line before",
        ),
        Notice::CredentialRejected => (
            "the vendor rejected the key, also after the secret was read again; the first poll after 15 minutes at most \
             tries it again",
            "put a valid key into the source's secret, nothing else",
        ),
        Notice::AccountChanged => (
            "the account, its key's id, or a setting that changes what is listed is different; the source is not called \
             until you decide",
            "put the old settings or key back; or `tidemark account keep <source>` when it is the same account, `tidemark \
             account start-again <source>` when it is another one",
        ),
    };
    Advice { name: notice.into(), meaning, next }
}

/// What the reason of an entry in quarantine means.
pub fn of_reason(reason: Reason) -> Advice {
    let (meaning, next) = match reason {
        Reason::Outage => (
            "the vendor failed while this record was asked for",
            "nothing if the vendor recovers; else look at the record there",
        ),
        Reason::Record => (
            "the answer about this record is malformed, about another record, or a refusal of its id",
            "correct the record at the vendor, or the settings",
        ),
        Reason::Unstorable => (
            "the record is too large for the table",
            "make it smaller at the vendor, or give it up with `tidemark quarantine drop`",
        ),
        Reason::Crash => ("the fetcher crashed at it three times in a row", "report the bug, with the fetcher's log"),
        Reason::SeemsGone => (
            "too many records of its chunk vanished at once, or the answer is ambiguous; it counts as gone after 31 hours",
            "check before then whether the key may still read it",
        ),
        Reason::Asked => (
            "an operator asked for the record with `tidemark fetch`",
            "nothing; from its third try on, as for `outage`",
        ),
    };
    Advice { name: reason.as_str(), meaning, next }
}

/// What the outcome of a tick means.
pub fn of_outcome(outcome: &PollOutcome) -> Advice {
    let (meaning, next) = match outcome {
        PollOutcome::TurnedOff => (
            "the stream is not in `<Source>Streams`, but its schedule still fires",
            "nothing; add the stream if you want it",
        ),
        PollOutcome::LeaseBusy => {
            ("another poller works on the stream", "nothing if it is rare; else find out who invokes the function")
        }
        PollOutcome::Fenced => (
            "another poller, or an operator, wrote the checkpoint at the same time; nothing is lost",
            "nothing if it is rare; else find out who invokes the function",
        ),
        PollOutcome::AccountChanged => (
            "the account or its settings are not those of the copy; nothing is listed until a person decides",
            "`tidemark account keep <source>` when it is the same account, `tidemark account start-again <source>` when it \
             is another one",
        ),
        PollOutcome::BreakerOpen(_) => (
            "calls to the source pause after failures, until the time in `until`",
            "read the cause in the line before the pause",
        ),
        PollOutcome::Paused(_) => (
            "the vendor refuses the stream; it is listed again after the time in `until`",
            "read the cause in the line before the pause",
        ),
        PollOutcome::PausedByOperator => {
            ("a person has paused the stream or its source", "`tidemark resume <source>/<stream>`")
        }
        PollOutcome::Frozen => (
            "too many ids are in quarantine; nothing new is listed until they drain",
            "fix the common cause: `tidemark quarantine list <source>`",
        ),
        PollOutcome::Quiet => ("the list was read, and nothing is owed", "nothing"),
        PollOutcome::Owing => (
            "the list was read, and ids are owed a fetch",
            "nothing; if it lasts, look at the fetcher's log, the quarantine and the rate limit",
        ),
        PollOutcome::Importing => (
            "the list was read, and a big listing goes on at the next tick",
            "nothing; if its percentage in `tidemark status` stands still, look at the fetcher's log",
        ),
        PollOutcome::Unlisted => (
            "the list moves too much, or was not read to its end; it is read again at the next tick",
            "read the notice beside it",
        ),
        PollOutcome::SourceFailed(..) => {
            ("the vendor failed; the next tick tries again", "read the line: it has class, cause and next step")
        }
    };
    Advice { name: outcome.into(), meaning, next }
}
