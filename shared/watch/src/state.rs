//! The state of a stream, in one word for a person.

use std::fmt;
use std::time::Duration;

use strum::IntoStaticStr;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::{ACCOUNT_CHANGED, Breaker, SourceState, StreamState};
use tidemark_engine::ports::Owed;
use tidemark_engine::stream::StreamKey;
use tidemark_engine::work::RETRY_MAX;
use tidemark_sweep::state::Problem;

use crate::standing::Standing;

/// How a stream stands, in a word. The first of these that holds counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// It is not polled at all.
    Off,
    /// A person has paused it, or its source.
    Paused {
        /// Until when; without an end, until a person resumes.
        until: Option<LocalMillis>,
    },
    /// Its account or settings are not those of its checkpoint; nothing is listed until a person decides.
    AccountChanged,
    /// The vendor refuses this stream.
    Refused {
        /// When it is asked again.
        until: LocalMillis,
    },
    /// Nobody calls because the vendor rejects the credential.
    KeyRejected {
        /// When it is tried again.
        until: LocalMillis,
    },
    /// Nobody calls because the vendor failed or asked for a pause.
    VendorDown {
        /// When it is called again.
        until: LocalMillis,
    },
    /// So much is in quarantine that nothing new is listed.
    QuarantineFull,
    /// It stands still.
    Stale,
    /// A listing too big for one tick is worked off.
    Importing {
        /// Ids that are done.
        done_count: u64,
        /// Ids that were listed so far.
        listed_count: u64,
    },
    /// Something is owed.
    Behind,
    /// Everything that is known is stored.
    Fresh,
}

impl State {
    /// Its name in reports that programs read.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// For a person: `importing 31 %`, `vendor down until 10:31`.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off | Self::Behind | Self::Fresh => f.write_str(self.as_str()),
            Self::Paused { until: None } => f.write_str("paused"),
            Self::Paused { until: Some(until) } => write!(f, "paused until {}", hour(*until)),
            Self::AccountChanged => f.write_str("account changed"),
            Self::Refused { until } => write!(f, "refused until {}", hour(*until)),
            Self::KeyRejected { until } => write!(f, "key rejected until {}", hour(*until)),
            Self::VendorDown { until } => write!(f, "vendor down until {}", hour(*until)),
            Self::QuarantineFull => f.write_str("quarantine full"),
            Self::Stale => f.write_str("STALE"),
            Self::Importing { listed_count: 0, .. } => f.write_str("importing"),
            Self::Importing { done_count, listed_count } => {
                write!(f, "importing {} %", done_count.saturating_mul(100) / listed_count)
            }
        }
    }
}

/// Hour and minute in UTC.
fn hour(at: LocalMillis) -> String {
    at.to_string().get(11..16).map_or_else(|| at.to_string(), |hour| format!("{hour}Z"))
}

/// How one stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// The stream.
    pub stream: StreamKey,
    /// Its figures.
    pub standing: Standing,
    /// Ids owed a fetch.
    pub owed: Owed,
    /// Ids in quarantine.
    pub quarantine_count: usize,
    /// Those of them that a person should hear of.
    pub troubled_count: usize,
    /// Whether a person should hear of them once more: daily for each reason, and at once for another reason.
    pub reminds: bool,
    /// How long a poll is due: its staleness, less the time that it rests between two polls.
    pub overdue: Duration,
    /// Whether it is stale.
    pub is_stale: bool,
    /// How it stands, in a word.
    pub state: State,
    /// Why nothing is called, if so.
    pub held_back: Option<String>,
    /// Start of the last sweep that found the copy whole.
    pub whole_at: Option<LocalMillis>,
    /// Why the last sweep needs a person, if so.
    pub sweep_problem: Option<Problem>,
    /// What a sweep or a backfill is about, if one is under way or waits.
    pub sweeping: Option<String>,
}

/// How a stream that is polled stands at `now`.
pub(crate) fn state_of(report: &StreamReport, stream: &StreamState, source: &SourceState, now: LocalMillis) -> State {
    let pauses = [&source.pause, &stream.pause].into_iter().flatten().filter(|pause| pause.is_on(now));
    // One without an end lasts longest.
    if let Some(pause) = pauses.max_by_key(|pause| pause.until.map_or(i64::MAX, LocalMillis::get)) {
        return State::Paused { until: pause.until };
    }
    if let Some(why) = stream.breaker.refusal() {
        // Also when its time is over: the next list call decides whether it holds.
        let until = stream.breaker.open_until.unwrap_or(now);
        return if why.cause == ACCOUNT_CHANGED { State::AccountChanged } else { State::Refused { until } };
    }
    if let Some(until) = source.breaker.open(now).filter(|_| is_rejected(&source.breaker)) {
        return State::KeyRejected { until };
    }
    if let Some(until) = source.breaker.open(now).max(stream.breaker.open(now)) {
        return State::VendorDown { until };
    }
    if report.quarantine_count > RETRY_MAX {
        return State::QuarantineFull;
    }
    if report.is_stale {
        return State::Stale;
    }
    if report.standing.is_listing || report.owed.bulk_count > 0 {
        let listed_count = report.standing.import_count.max(report.owed.bulk_count);
        return State::Importing { done_count: listed_count - report.owed.bulk_count, listed_count };
    }
    if report.standing.lag.is_zero() { State::Fresh } else { State::Behind }
}

fn is_rejected(breaker: &Breaker) -> bool {
    breaker.why.as_ref().is_some_and(|why| why.class == FailureClass::Unauthorized)
}

#[cfg(test)]
mod tests {
    use tidemark_engine::health::{Pause, Why};
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::*;

    const NOW: LocalMillis = LocalMillis::new(1_800_000_000_000);

    fn pause(until: Option<LocalMillis>) -> Pause {
        Pause { since: NOW, until, by: "anna".to_owned(), why: "their move".to_owned() }
    }

    fn breaker(class: FailureClass, cause: &str, until: LocalMillis) -> Breaker {
        Breaker { open_until: Some(until), why: Some(Why { class, cause: cause.to_owned() }), ..Breaker::default() }
    }

    /// A change to what is known of a stream and its source.
    type Step<'a> = &'a dyn Fn(&mut StreamReport, &mut StreamState, &mut SourceState);

    /// Everything that is wrong at once; each step takes away what counted, and the next one shows.
    #[test]
    fn the_first_cause_of_a_standstill_is_its_word() {
        let soon = NOW.plus(Duration::from_mins(90));
        let lag = Duration::from_secs(1);
        let mut report = StreamReport {
            stream: StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("customers") },
            standing: Standing { staleness: Duration::ZERO, lag, import_count: 200, is_listing: false },
            owed: Owed { fresh_count: 0, bulk_count: 137 },
            quarantine_count: RETRY_MAX + 1,
            troubled_count: 0,
            reminds: false,
            overdue: Duration::ZERO,
            is_stale: true,
            state: State::Off,
            held_back: None,
            whole_at: None,
            sweep_problem: None,
            sweeping: None,
        };
        let (mut stream, mut source) = (StreamState::default(), SourceState::default());
        (stream.pause, source.pause) = (Some(pause(None)), Some(pause(Some(soon))));
        stream.breaker = breaker(FailureClass::Forbidden, ACCOUNT_CHANGED, NOW);
        let steps: [(Step, &str); 11] = [
            (&|_, _, _| {}, "paused"),
            (&|_, stream, _| stream.pause = Some(pause(Some(NOW))), "paused until 09:30Z"),
            (&|_, _, source| source.pause = None, "account changed"),
            (&|_, stream, _| stream.breaker = breaker(FailureClass::Forbidden, "403", soon), "refused until 09:30Z"),
            (
                &|_, stream, source| {
                    stream.breaker = breaker(FailureClass::Transient, "503", soon);
                    source.breaker = breaker(FailureClass::Unauthorized, "401", soon);
                },
                "key rejected until 09:30Z",
            ),
            (
                &|_, _, source| source.breaker = breaker(FailureClass::Unauthorized, "401", NOW),
                "vendor down until 09:30Z",
            ),
            (&|_, stream, _| stream.breaker = breaker(FailureClass::Transient, "503", NOW), "quarantine full"),
            (&|report, _, _| report.quarantine_count = RETRY_MAX, "STALE"),
            (&|report, _, _| report.is_stale = false, "importing 31 %"),
            (&|report, _, _| report.owed.bulk_count = 0, "behind"),
            (&|report, _, _| report.standing.lag = Duration::ZERO, "fresh"),
        ];
        for (step, word) in steps {
            step(&mut report, &mut stream, &mut source);
            assert_eq!(state_of(&report, &stream, &source, NOW).to_string(), word);
        }
    }
}
