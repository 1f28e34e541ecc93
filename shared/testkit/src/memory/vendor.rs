//! A vendor whose truth is its own history: every version of every record, and when each could be seen.
//!
//! A [`Vendor`] has one stream; a source may ask several. Its history is kept in the time of the clock that the source is
//! given. The vendor's own clock may be off that, and its stamps are shown in its own time zone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tidemark_engine::change::Later;
use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis, millis_of};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::ListShape;

use super::settings::{VendorSettings, whole_seconds};
use crate::split_mix::{STEP, mixed};

/// One version of a record.
#[derive(Clone, Debug)]
pub struct Version {
    /// Grows with every version of the vendor.
    pub number: u64,
    /// From when on lists and details show it.
    pub visible_at: LocalMillis,
    /// Its last-edited value as the vendor shows it, in whole seconds.
    pub stamp: StampMillis,
    /// Its JSON; none when it is a deletion.
    pub body: Option<Body>,
}

/// One event of a feed.
#[derive(Clone, Debug)]
pub struct Event {
    /// From when on the feed shows it.
    pub visible_at: LocalMillis,
    /// Which record.
    pub id: RecordId,
    /// When it says that it happened, in whole seconds.
    pub stamp: StampMillis,
    /// The version that it shows.
    pub number: u64,
    /// Whether it announces a deletion.
    pub deletes: bool,
}

/// A record whose details fail.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// How.
    pub class: FailureClass,
    /// Until when.
    pub until: LocalMillis,
}

/// A vendor: its records' histories and its moods.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Vendor {
    /// How it behaves.
    pub settings: VendorSettings,
    /// What every call fails with while it is unwell.
    pub unwell: Option<FailureClass>,
    /// What the next calls fail with, one each.
    pub failures: VecDeque<FailureClass>,
    /// Records whose details fail.
    pub failing: BTreeMap<RecordId, Failing>,
    /// Records whose storing kills the fetcher, and until when. The vendor only remembers them.
    pub killers: BTreeMap<RecordId, LocalMillis>,
    /// Records that are listed, and not there when they are asked for.
    pub hidden: BTreeSet<RecordId>,
    /// Whether the answer about a record that is not there may be somebody else's.
    pub is_vague: bool,
    /// Records that lists leave out, though they are there.
    pub omitted: BTreeSet<RecordId>,
    /// What each list names as left out of it.
    pub later: Option<Later>,
    /// The last numbered page that is not refused.
    pub page_max: Option<u32>,
    /// Whether no list of changes shows what is done: a record keeps its stamp, and a feed has no event.
    pub is_silent: bool,
    /// Records without a stamp.
    pub unstamped: BTreeSet<RecordId>,
    /// Records whose details are answered with another record's.
    pub answers_with: BTreeMap<RecordId, RecordId>,
    /// Whether lists name every record twice.
    pub repeats: bool,
    /// How many entries without a usable id each list has besides.
    pub unusable_count: usize,
    /// Whether the feed rejects every token, new ones too.
    pub rejects_tokens: bool,
    records: BTreeMap<RecordId, Vec<Version>>,
    events: Vec<Event>,
    last_number: u64,
    chance: u64,
}

impl Vendor {
    /// A vendor without records.
    pub fn new(settings: VendorSettings) -> Self {
        Self {
            chance: mixed(settings.seed.wrapping_add(STEP)),
            settings,
            unwell: None,
            failures: VecDeque::new(),
            failing: BTreeMap::new(),
            killers: BTreeMap::new(),
            hidden: BTreeSet::new(),
            is_vague: false,
            omitted: BTreeSet::new(),
            later: None,
            page_max: None,
            is_silent: false,
            unstamped: BTreeSet::new(),
            answers_with: BTreeMap::new(),
            repeats: false,
            unusable_count: 0,
            rejects_tokens: false,
            records: BTreeMap::new(),
            events: Vec::new(),
            last_number: 0,
        }
    }

    /// Edits a record at `at`, or creates it, also once more; the change becomes visible `lag` later. Returns the version's
    /// number.
    pub fn edit(&mut self, id: &RecordId, at: LocalMillis, lag: Duration) -> u64 {
        self.change(id, at, lag, false)
    }

    /// Edits a record at `at` to this JSON, or creates it; the change is visible at once.
    pub fn edit_to(&mut self, id: &RecordId, at: LocalMillis, body: Body) {
        self.change(id, at, Duration::ZERO, false);
        if let Some(version) = self.newest(id) {
            version.body = Some(body);
        }
    }

    /// Edits a record at `at` under this stamp, however wrong; the change is visible at once.
    pub fn edit_stamped(&mut self, id: &RecordId, at: LocalMillis, stamp: StampMillis) -> u64 {
        let number = self.change(id, at, Duration::ZERO, false);
        if let Some(version) = self.newest(id) {
            version.stamp = stamp;
        }
        number
    }

    /// Edits a record at `at` back to the body it had before its newest one; like [`Vendor::edit`] where it had none.
    pub fn revert(&mut self, id: &RecordId, at: LocalMillis, lag: Duration) -> u64 {
        let before = self.history(id).iter().rev().nth(1).and_then(|version| version.body.clone());
        let number = self.change(id, at, lag, false);
        if let (Some(body), Some(version)) = (before, self.newest(id)) {
            version.body = Some(body);
        }
        number
    }

    /// Deletes a record at `at`; that becomes visible `lag` later. Returns the version's number.
    pub fn delete(&mut self, id: &RecordId, at: LocalMillis, lag: Duration) -> u64 {
        self.change(id, at, lag, true)
    }

    /// Makes a record's detail unreadable until `heals_at`.
    pub fn poison(&mut self, id: &RecordId, heals_at: LocalMillis) {
        self.fail(id, FailureClass::Record, heals_at);
    }

    /// Makes a record's detail fail until `until`.
    pub fn fail(&mut self, id: &RecordId, class: FailureClass, until: LocalMillis) {
        self.failing.insert(id.clone(), Failing { class, until });
    }

    /// How a record's detail fails at `now`, if it does.
    pub fn failure_of(&self, id: &RecordId, now: LocalMillis) -> Option<FailureClass> {
        self.failing.get(id).filter(|failing| failing.until > now).map(|failing| failing.class)
    }

    /// Whether storing this record at `now` kills the fetcher.
    pub fn kills(&self, id: &RecordId, now: LocalMillis) -> bool {
        self.killers.get(id).is_some_and(|until| *until > now)
    }

    /// The ids that ever existed.
    pub fn ids(&self) -> impl Iterator<Item = &RecordId> {
        self.records.keys()
    }

    /// The history of a record, oldest first.
    pub fn history(&self, id: &RecordId) -> &[Version] {
        self.records.get(id).map_or(&[], Vec::as_slice)
    }

    /// What everyone sees of a record at `now`.
    pub fn seen(&self, id: &RecordId, now: LocalMillis) -> Option<&Version> {
        seen(self.history(id), now)
    }

    /// The events of the feed, in the order in which it tells them.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events the feed has told by `now`: the sequence of its newest token.
    pub fn told_count(&self, now: LocalMillis) -> usize {
        self.events.partition_point(|event| event.visible_at <= now)
    }

    /// What the vendor's clock shows at `now`.
    pub fn clock(&self, now: LocalMillis) -> VendorMillis {
        self.settings.clock(now)
    }

    /// What the vendor's stamps show at `now`.
    pub fn stamp_clock(&self, now: LocalMillis) -> StampMillis {
        let clock = self.clock(now);
        StampMillis::new(clock.get().saturating_add(self.settings.zone_at(clock)))
    }

    /// A version's stamp as the source reads it, when it has one.
    pub fn stamp(&self, id: &RecordId, version: &Version, zone_shift: i64) -> Option<Stamp> {
        let bears_one = self.settings.stream.stamped && !self.unstamped.contains(id);
        bears_one.then(|| self.settings.read(version.stamp, zone_shift))
    }

    /// Whether a list from `from` shows this version. A lower bound has whole seconds, as stamps have.
    pub fn lists(&self, version: &Version, from: StampMillis) -> bool {
        if !self.settings.stream.filtered {
            return true;
        }
        let from = from.get().div_euclid(1_000);
        let stamp = version.stamp.get().div_euclid(1_000);
        stamp > from || (self.settings.inclusive && stamp == from)
    }

    /// All records that are there at `now`, by id, each with its version.
    pub fn present(&self, now: LocalMillis) -> impl Iterator<Item = (&RecordId, &Version)> {
        self.records
            .iter()
            .filter_map(move |(id, history)| Some((id, seen(history, now)?)))
            .filter(|(_, version)| version.body.is_some())
    }

    /// Those of them that lists show.
    pub(super) fn listed(&self, now: LocalMillis) -> impl Iterator<Item = (&RecordId, &Version)> {
        self.present(now).filter(|(id, _)| !self.omitted.contains(*id))
    }

    /// The failure that the next call meets, if any.
    pub fn next_failure(&mut self) -> Option<FailureClass> {
        self.failures.pop_front().or(self.unwell)
    }

    /// An instant at which a call that looks at `now` may find its replica.
    pub(super) fn replica_at(&mut self, now: LocalMillis) -> LocalMillis {
        let lag = u64::try_from(millis_of(self.settings.replica_lag)).unwrap_or(0);
        if lag == 0 {
            return now;
        }
        let late = self.draw(lag.saturating_add(1));
        now.shifted(-i64::try_from(late).unwrap_or(0))
    }

    /// A number below `bound`.
    pub(super) fn draw(&mut self, bound: u64) -> u64 {
        self.chance = self.chance.wrapping_add(STEP);
        mixed(self.chance).checked_rem(bound).unwrap_or(0)
    }

    fn newest(&mut self, id: &RecordId) -> Option<&mut Version> {
        self.records.get_mut(id).and_then(|history| history.last_mut())
    }

    fn change(&mut self, id: &RecordId, at: LocalMillis, lag: Duration, deletes: bool) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let stamp = StampMillis::new(whole_seconds(self.stamp_clock(at).get()));
        let history = self.records.entry(id.clone()).or_default();
        let kept = history.last().map_or(StampMillis::new(1_000), |last| last.stamp);
        let stamp = if self.is_silent { kept } else { stamp };
        // A row is locked while it is changed: its versions become visible in their order.
        let earliest = history.last().map(|last| last.visible_at.shifted(1));
        let visible_at = at.plus(lag).max(earliest.unwrap_or(LocalMillis::new(i64::MIN)));
        let body = (!deletes).then(|| body(id, number));
        history.push(Version { number, visible_at, stamp, body });
        if matches!(self.settings.stream.shape, ListShape::Feed) && !self.is_silent {
            let place = self.told_count(visible_at);
            self.events.insert(place, Event { visible_at, id: id.clone(), stamp, number, deletes });
        }
        number
    }
}

fn seen(history: &[Version], now: LocalMillis) -> Option<&Version> {
    history.iter().rev().find(|version| version.visible_at <= now)
}

fn body(id: &RecordId, number: u64) -> Body {
    Body::new(format!("{{\"version\":{number},\"id\":\"{}\"}}", id.as_str()))
}

/// The number of the version that a body of this vendor shows.
pub fn version_of(body: &Body) -> Option<u64> {
    body.text().strip_prefix("{\"version\":")?.split_once(',')?.0.parse().ok()
}
