//! An operator's act on a stream's checkpoint.

use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::{VendorMillis, millis_of};
use tidemark_engine::failure::describe;
use tidemark_engine::operate::{Act, Acted, act};
use tidemark_engine::poll::{Poller, PollerPorts};
use tidemark_engine::ports::{Checkpoints, Clock, Source};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{StreamKey, StreamTraits};
use tidemark_runtime::failure::{ErrorKind, InvocationError};
use tidemark_sweep::ports::SweepPorts;
use tidemark_sweep::state::{Problem, Range};
use tidemark_sweep::{Asked, Estimate, Estimated};

/// The outcome of an act.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done; says what.
    Done(String),
    /// There was nothing to do; why.
    NothingToDo(String),
    /// The stream has no checkpoint.
    Missing,
    /// A poller was at work.
    Busy,
    /// The credential, which is a part of the account, could not be read.
    SourceFailed(String),
}

/// Accepts the account and the settings that the source has now.
///
/// # Errors
/// [`InvocationError`] when the table fails.
pub(crate) async fn accept<P: PollerPorts>(
    ports: &P,
    key: &StreamKey,
    traits: &StreamTraits,
    accepted: &Act,
) -> Result<Outcome, InvocationError> {
    let account_mark = match ports.source().account_mark().await {
        Ok(mark) => mark,
        Err(failure) => return Ok(Outcome::SourceFailed(describe(&failure, key))),
    };
    let now = ports.clock().now();
    let words = match accepted {
        Act::StartAgain => "the account is accepted; everything is imported from the beginning",
        Act::KeepCopy | Act::Rewind(_) => "the account is accepted as the same one; the copy is kept",
    };
    let acted = act(ports.checkpoints(), key, traits, &account_mark, now, accepted).await?;
    outcome(acted, key, || words.to_owned())
}

/// Lists everything since an instant again.
///
/// # Errors
/// [`InvocationError`] for a feed, whose positions are no instants, and when the table fails.
pub(crate) async fn rewind<P: PollerPorts>(
    ports: &P,
    key: &StreamKey,
    traits: &StreamTraits,
    to: VendorMillis,
) -> Result<Outcome, InvocationError> {
    let Some(Checkpoint { scanned, account_mark, .. }) = ports.checkpoints().load(key).await? else {
        return Ok(Outcome::Missing);
    };
    let Some((first, scanned)) = traits.first.at().zip(scanned.at()) else { return Err(no_position(key)) };
    let target = ports.source().reading(to).max(first);
    if target >= scanned {
        return Ok(Outcome::NothingToDo(format!("the next list starts below {scanned}, which is no later")));
    }
    let rewound = Act::Rewind(Position::At(target));
    let acted = act(ports.checkpoints(), key, traits, &account_mark, ports.clock().now(), &rewound).await?;
    outcome(acted, key, || format!("the next list starts below {target}"))
}

/// Asks for a sweep of a stream.
///
/// # Errors
/// [`InvocationError`] when the table fails.
pub(crate) async fn ask_for_sweep<P: SweepPorts>(
    ports: &P,
    key: &StreamKey,
    sample: Option<u64>,
) -> Result<Outcome, InvocationError> {
    Ok(asked(tidemark_sweep::ask(ports, key, sample).await?, "a sweep begins once nothing is owed in the bulk lane"))
}

/// Has the records fetched that the last sweep withheld.
///
/// # Errors
/// [`InvocationError`] when a table fails.
pub(crate) async fn approve_sweep<P: SweepPorts>(ports: &P, key: &StreamKey) -> Result<Outcome, InvocationError> {
    let words = "the records that are stored and not listed are fetched; those that are gone become tombstones";
    Ok(asked(tidemark_sweep::approve(ports, key).await?, words))
}

/// Asks for a backfill of a stream.
///
/// # Errors
/// [`InvocationError`] for a range that the stream cannot list again, and when a table fails.
pub(crate) async fn ask_for_backfill<P: SweepPorts>(
    ports: &P,
    key: &StreamKey,
    traits: &StreamTraits,
    range: Range,
) -> Result<Outcome, InvocationError> {
    refuse(key, traits, &range)?;
    if ports.checkpoints().load(key).await?.is_none() {
        return Ok(Outcome::Missing);
    }
    let words = "a backfill begins once nothing is owed in the bulk lane and no sweep is under way";
    Ok(match tidemark_sweep::ask_for_range(ports, key, range).await? {
        Asked::UnderWay => Outcome::NothingToDo("another backfill of the stream is not over".to_owned()),
        noted => asked(noted, words),
    })
}

/// Sees how much a backfill of a stream would be.
///
/// # Errors
/// [`InvocationError`] for a range that the stream cannot list again, and when a table fails.
pub(crate) async fn estimate_backfill<P: SweepPorts>(
    poller: &Poller<P>,
    key: &StreamKey,
    range: Range,
) -> Result<(Outcome, Option<Estimate>), InvocationError> {
    let traits = poller.traits_of(&key.name)?;
    refuse(key, traits, &range)?;
    Ok(match tidemark_sweep::estimate(poller, key, traits, &range).await? {
        Estimated::Made(estimate) => (Outcome::Done("the list was asked for once".to_owned()), Some(estimate)),
        Estimated::Paused => (Outcome::NothingToDo("calls are paused".to_owned()), None),
        Estimated::Failed(failure) => (Outcome::SourceFailed(describe(&failure, key)), None),
    })
}

fn refuse(key: &StreamKey, traits: &StreamTraits, range: &Range) -> Result<(), InvocationError> {
    let malformed = |why: Problem| InvocationError::new(ErrorKind::MalformedEvent, why.to_string());
    tidemark_sweep::refusal(key, traits, range).map_or(Ok(()), |why| Err(malformed(why)))
}

/// Cancels the backfill of a stream.
///
/// # Errors
/// [`InvocationError`] when the table fails.
pub(crate) async fn cancel_backfill<P: SweepPorts>(ports: &P, key: &StreamKey) -> Result<Outcome, InvocationError> {
    Ok(match tidemark_sweep::cancel(ports, key).await? {
        Asked::Nothing => Outcome::NothingToDo("no backfill of the stream waits or is under way".to_owned()),
        noted => asked(noted, "the backfill is cancelled; what it has put into the bulk lane is fetched"),
    })
}

fn asked(asked: Asked, words: &str) -> Outcome {
    match asked {
        Asked::Noted => Outcome::Done(words.to_owned()),
        Asked::Nothing => Outcome::NothingToDo("the last sweep of the stream withheld nothing".to_owned()),
        Asked::UnderWay => {
            Outcome::NothingToDo("a sweep or a backfill is under way; approve again when it is over".to_owned())
        }
        Asked::Busy => Outcome::Busy,
    }
}

fn outcome(acted: Acted, key: &StreamKey, words: impl FnOnce() -> String) -> Result<Outcome, InvocationError> {
    match acted {
        Acted::Done => Ok(Outcome::Done(words())),
        Acted::Missing => Ok(Outcome::Missing),
        Acted::Busy => Ok(Outcome::Busy),
        Acted::NoPosition => Err(no_position(key)),
    }
}

fn no_position(key: &StreamKey) -> InvocationError {
    let message = format!(
        "stream {key} is a feed: its positions are tokens, so it cannot go back to an instant. To list everything again, \
         invoke the poller with {{\"stream\":\"{}\",\"account\":\"start_again\"}}",
        key.name
    );
    InvocationError::new(ErrorKind::MalformedEvent, message)
}

/// Logs an act in one line, and names its outcome for the answer.
pub(crate) fn log(key: &StreamKey, act: &'static str, outcome: &Outcome, took: Duration) -> &'static str {
    let (name, words) = match outcome {
        Outcome::Done(words) => ("done", words.as_str()),
        Outcome::NothingToDo(why) => ("nothing_to_do", why.as_str()),
        Outcome::Missing => {
            ("missing", "the stream has no checkpoint: it was never polled, and its first poll imports it")
        }
        Outcome::Busy => ("busy", "a poller is at work on the stream; do it again in a minute"),
        Outcome::SourceFailed(cause) => ("source_failed", cause.as_str()),
    };
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = %key.source,
                stream = %key.name,
                act,
                outcome = name,
                took_ms = millis_of(took),
                "{words}"
            )
        };
    }
    match outcome {
        Outcome::Done(_) | Outcome::NothingToDo(_) => line!(info),
        Outcome::Missing | Outcome::Busy | Outcome::SourceFailed(_) => line!(warn),
    }
    name
}
