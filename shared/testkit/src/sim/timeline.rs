//! What the world does of its own accord while it storms: ticks, edits, outages, accidents. All of it is drawn before
//! the history begins.

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Random;
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;

use super::START;
use super::weather::{LAG_MILLIS_MAX, TICK_MILLIS, Weather};
use crate::memory::SeededRandom;

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The schedule fires.
    Tick,
    /// Records are edited, or created.
    Edit(Vec<u32>, Duration),
    /// Records are deleted.
    Delete(Vec<u32>, Duration),
    /// The vendor fails from now on, or is well again.
    Unwell(Option<FailureClass>),
    /// Dead letters are moved back.
    Redrive,
    /// Ledger and queue are lost; only the checkpoint is left.
    Wipe,
}

/// The id of record `number`.
pub(super) fn id(number: u32) -> Option<RecordId> {
    RecordId::parse(number.to_string()).ok()
}

/// Draws everything that happens until the storm ends, in order.
pub(super) fn draw(random: &SeededRandom, weather: &Weather) -> Vec<(UtcMillis, Event)> {
    let mut draft = Draft { random, weather, events: Vec::new() };
    draft.ticks();
    draft.edits();
    draft.accidents();
    draft.events.sort_by_key(|(at, _)| *at);
    draft.events
}

struct Draft<'a> {
    random: &'a SeededRandom,
    weather: &'a Weather,
    events: Vec<(UtcMillis, Event)>,
}

impl Draft<'_> {
    fn add(&mut self, millis: i64, event: Event) {
        self.events.push((START.shifted(millis), event));
    }

    fn sometime(&self) -> i64 {
        self.random.between(0, self.weather.storm_millis)
    }

    fn ticks(&mut self) {
        let mut at = 1_000;
        while at < self.weather.storm_millis {
            self.add(at, Event::Tick);
            if self.random.chance(100_000) {
                self.add(at + self.random.between(0, 30_000), Event::Tick);
            }
            at += TICK_MILLIS;
        }
    }

    fn record(&self) -> u32 {
        // A few records more than there are at first: some are created.
        let bound = u64::from(self.weather.record_count) + 5;
        u32::try_from(self.random.below(bound)).unwrap_or(0)
    }

    fn lag(&self) -> Duration {
        let lag = if self.random.chance(300_000) { 0 } else { self.random.between(0, LAG_MILLIS_MAX) };
        Duration::from_millis(u64::try_from(lag).unwrap_or(0))
    }

    fn edits(&mut self) {
        let mut at = 0;
        loop {
            at += i64::try_from(self.random.below(2 * self.weather.edit_millis)).unwrap_or(0);
            if at >= self.weather.storm_millis {
                return;
            }
            let (record, lag) = (self.record(), self.lag());
            match self.random.below(100) {
                0..2 => {
                    let all = 0..self.weather.record_count;
                    let half = all.filter(|_| self.random.chance(500_000)).collect();
                    self.add(at, Event::Edit(half, lag));
                }
                2..4 => {
                    let all = 0..self.weather.record_count;
                    let some = all.filter(|_| self.random.chance(250_000)).collect();
                    self.add(at, Event::Delete(some, lag));
                }
                4..12 => self.add(at, Event::Delete(vec![record], lag)),
                12..50 => {
                    // Twice in a second, or almost; what comes second may show much later.
                    self.add(at, Event::Edit(vec![record], Duration::ZERO));
                    self.add(at + self.random.between(1, 900), Event::Edit(vec![record], lag));
                }
                _ => self.add(at, Event::Edit(vec![record], lag)),
            }
        }
    }

    fn accidents(&mut self) {
        for _ in 0..self.weather.outage_count {
            let class = match self.random.below(5) {
                0 => FailureClass::Throttled { retry_after: Some(Duration::from_secs(self.random.below(600))) },
                1 => FailureClass::Unauthorized,
                2 => FailureClass::Forbidden,
                _ => FailureClass::Transient,
            };
            let at = self.sometime();
            self.add(at, Event::Unwell(Some(class)));
            self.add(at + self.random.between(1_000, 900_000), Event::Unwell(None));
        }
        for _ in 0..self.random.below(3) {
            let at = self.sometime();
            self.add(at, Event::Redrive);
        }
        if self.weather.wipes && self.weather.policy == PoisonPolicy::Block {
            let at = self.sometime();
            self.add(at, Event::Wipe);
        }
    }
}
