//! Backfills: a part of the list is read again, and what it shows is fetched, whatever is stored.
//!
//! A backfill is a sweep that lists a range and compares nothing: it waits and goes on as a sweep does, and leaves the proof,
//! the checkpoint and what is not listed alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemark_engine::change::{Change, ListRequest, Page};
use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::failure::{SourceFailure, StoreFailure};
use tidemark_engine::poll::Poller;
use tidemark_engine::ports::{Clock, Ledger, Source};
use tidemark_engine::slots::wait_for;
use tidemark_engine::stream::{ListShape, StreamKey, StreamTraits};

use super::compare::count;
use super::ports::SweepPorts;
use super::state::{Backfill, Problem, Range};
use super::{Asked, Run, is_paused, request};

/// How far a list starts before the range: the finest step of stamps, because some lists begin after their bound.
const BEFORE: Duration = Duration::from_secs(1);

/// Why a stream cannot list this range again, and what a person can do instead.
pub fn refusal(stream: &StreamKey, traits: &StreamTraits, range: &Range) -> Option<Problem> {
    let StreamKey { source, name } = stream;
    let whole = format!("`tidemark verify {source} {name} --now` compares all of it with the copy");
    if traits.shape == ListShape::Feed {
        let cause = format!("{source}/{name} is a feed: its positions are tokens, so it cannot list a range of time");
        let next_step = format!("{whole}, and `tidemark fetch` fetches records by their ids");
        return Some(Problem::new(cause, next_step));
    }
    if !traits.filtered && !traits.stamped {
        let cause = format!("the list of {source}/{name} takes no bound, and its rows have no stamps");
        return Some(Problem::new(cause, whole));
    }
    if range.to.is_some() && (traits.shape == ListShape::Whole || !traits.stamped) {
        let cause = format!("the list of {source}/{name} shows no stamps, so that an upper bound cannot be applied");
        return Some(Problem::new(cause, "leave the upper bound out"));
    }
    if range.to.is_some_and(|to| to < range.from) {
        return Some(Problem::new("the range ends before it begins", "give an earlier beginning, or a later end"));
    }
    None
}

/// Asks for a backfill. It begins when the bulk lane is empty and no sweep is under way.
///
/// # Errors
/// [`StoreFailure`] when the table fails.
pub async fn ask_for_range<P: SweepPorts>(ports: &P, stream: &StreamKey, range: Range) -> Result<Asked, StoreFailure> {
    let now = ports.clock().now();
    request(ports, stream, |state| {
        if state.open_backfill().is_some() {
            return Asked::UnderWay;
        }
        state.backfill = Some(Backfill::asked(range, now));
        Asked::Noted
    })
    .await
}

/// Cancels the backfill that waits or is under way. What it has put into the bulk lane is fetched.
///
/// # Errors
/// [`StoreFailure`] when the table fails.
pub async fn cancel<P: SweepPorts>(ports: &P, stream: &StreamKey) -> Result<Asked, StoreFailure> {
    let now = ports.clock().now();
    request(ports, stream, |state| if state.cancel_backfill(now) { Asked::Noted } else { Asked::Nothing }).await
}

/// How much a range is, as one call of the list tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Records in it: of numbered pages, those of all pages if each has as many as the first one.
    pub records: Option<u64>,
    /// Calls of the vendor that a backfill of it makes.
    pub calls: Option<u64>,
}

/// What became of an estimate.
#[derive(Debug)]
pub enum Estimated {
    /// It was made.
    Made(Estimate),
    /// Calls are paused.
    Paused,
    /// The list failed.
    Failed(SourceFailure),
}

/// Lists once to see how much a range is. Nothing is stored.
///
/// # Errors
/// [`StoreFailure`] when the table fails.
pub async fn estimate<P: SweepPorts>(
    poller: &Poller<P>,
    stream: &StreamKey,
    traits: &StreamTraits,
    range: &Range,
) -> Result<Estimated, StoreFailure> {
    let (ports, clock) = (&poller.ports, poller.ports.clock());
    let now = clock.now();
    if is_paused(ports, stream, now).await? {
        return Ok(Estimated::Paused);
    }
    let (interval, whenever) = (poller.settings.call_interval, LocalMillis::new(i64::MAX));
    let slot = ports.ledger().reserve(stream.source, 1, interval, now, whenever).await?;
    wait_for(clock, slot.unwrap_or(now)).await;
    let from = listed_from(ports.source(), traits, range);
    let request =
        if traits.shape == ListShape::Pages { ListRequest::Page(from, 1) } else { ListRequest::Changed(from) };
    Ok(match ports.source().list(&stream.name, request).await {
        Ok(page) => Estimated::Made(Estimate::of(&page, traits)),
        Err(failure) => Estimated::Failed(failure),
    })
}

impl Estimate {
    fn of(page: &Page, traits: &StreamTraits) -> Self {
        let shown = count(page.changes.len());
        if traits.shape != ListShape::Pages {
            return Self { records: Some(shown), calls: Some(shown + 1) };
        }
        let pages = page.pages_total.map(u64::from).or((shown == 0).then_some(1));
        Self { records: pages.map(|pages| pages.max(1) * shown), calls: pages.map(|pages| pages.max(1)) }
    }
}

/// Where the list of a range starts.
fn listed_from(source: &impl Source, traits: &StreamTraits, range: &Range) -> StampMillis {
    source.reading(range.from).minus(BEFORE).max(traits.first.at().unwrap_or_default())
}

impl<P: SweepPorts> Run<'_, P> {
    /// The lower bound of the list: none for a sweep.
    pub(super) fn from(&self) -> StampMillis {
        match &self.sweep.range {
            Some(range) => listed_from(self.poller.ports.source(), self.traits, range),
            None => self.traits.first.at().unwrap_or_default(),
        }
    }

    /// Whether a listed row is in the range that was asked for. One without a stamp may be. Where the list takes a bound,
    /// the vendor knows better what was edited since.
    pub(super) fn is_in_range(&self, row: &Change) -> bool {
        let (Some(range), Some(stamp)) = (&self.sweep.range, row.stamp()) else { return true };
        let source = self.poller.ports.source();
        let is_later = self.traits.filtered || stamp.at >= source.reading(range.from);
        is_later && range.to.is_none_or(|to| stamp.at <= source.reading(to))
    }
}
