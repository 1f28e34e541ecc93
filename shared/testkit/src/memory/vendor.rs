//! A vendor whose truth is its own history: every version of every record, and when each could be seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tidemark_engine::checkpoint::Position;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stamp::{Stamp, UtcMillis};
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};

/// What the vendor says of the time with each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateHeader {
    /// Its clock, in whole seconds.
    True,
    /// Its clock, so many milliseconds off.
    Skewed(i64),
    /// Nothing.
    Absent,
}

/// The order of rows on pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest edit first: an edited row moves to the end.
    Oldest,
    /// Newest edit first: an edited row moves to the front.
    Newest,
    /// By id.
    Id,
}

/// How a vendor behaves.
#[derive(Clone, Debug)]
pub struct VendorSettings {
    /// Which source it is.
    pub kind: SourceKind,
    /// Its one stream.
    pub stream: StreamTraits,
    /// Whether a list includes what was stamped exactly at its lower bound.
    pub inclusive: bool,
    /// Rows on a page, and events on a page of a feed.
    pub page_rows: usize,
    /// The order of rows.
    pub order: Order,
    /// Whether every page is the first one over again.
    pub repeats_page: bool,
    /// Whether a page says how many there are.
    pub tells_total: bool,
    /// How far, in milliseconds, stamps are misread because their zone is not the one configured. A list's lower bound
    /// is misread alike; the `Date` is not.
    pub zone_shift: i64,
    /// What it says of the time.
    pub date: DateHeader,
    /// How long a feed's token lives.
    pub token_life: Duration,
}

impl VendorSettings {
    /// A well-behaved vendor with one stream of this shape.
    pub fn new(shape: ListShape) -> Self {
        let first = match shape {
            ListShape::Whole | ListShape::Pages => Position::At(UtcMillis::new(0)),
            ListShape::Feed => Position::Token { text: String::new(), sequence: 0 },
        };
        Self {
            kind: SourceKind::FieldMotion,
            stream: StreamTraits { name: StreamName::known("things"), shape, stamped: true, filtered: true, first },
            inclusive: false,
            page_rows: 50,
            order: Order::Oldest,
            repeats_page: false,
            tells_total: true,
            zone_shift: 0,
            date: DateHeader::True,
            token_life: Duration::from_hours(7 * 24),
        }
    }
}

/// One version of a record.
#[derive(Clone, Debug)]
pub struct Version {
    /// Grows with every version of the vendor.
    pub number: u64,
    /// From when on lists and details show it.
    pub visible_at: UtcMillis,
    /// Its last-edited value on the vendor's clock, in whole seconds.
    pub stamp: UtcMillis,
    /// Its JSON; none when it is a deletion.
    pub body: Option<Body>,
}

/// One event of a feed.
#[derive(Clone, Debug)]
pub struct Event {
    /// From when on the feed shows it.
    pub visible_at: UtcMillis,
    /// Which record.
    pub id: RecordId,
    /// When it says that it happened, on the vendor's clock, in whole seconds.
    pub stamp: UtcMillis,
    /// The version that it tells of.
    pub number: u64,
    /// Whether it announces a deletion.
    pub deletes: bool,
}

/// A vendor: its records' histories and its moods.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// How it behaves.
    pub settings: VendorSettings,
    /// What every call fails with while it is unwell.
    pub unwell: Option<FailureClass>,
    /// What the next calls fail with, one each.
    pub failures: VecDeque<FailureClass>,
    /// Records whose details are broken, and until when.
    pub poison: BTreeMap<RecordId, UtcMillis>,
    /// Records for which the vendor itself fails, and how.
    pub broken: BTreeMap<RecordId, FailureClass>,
    /// Records that are listed, and not there when they are asked for.
    pub hidden: BTreeSet<RecordId>,
    /// Records whose details are answered with another record's.
    pub answers_with: BTreeMap<RecordId, RecordId>,
    /// Whether lists tell of every record twice.
    pub repeats: bool,
    /// How many entries without a usable id each list has besides.
    pub unusable_count: usize,
    /// Whether the feed rejects every token, new ones too.
    pub rejects_tokens: bool,
    records: BTreeMap<RecordId, Vec<Version>>,
    events: Vec<Event>,
    last_number: u64,
}

impl Vendor {
    /// A vendor without records.
    pub fn new(settings: VendorSettings) -> Self {
        Self {
            settings,
            unwell: None,
            failures: VecDeque::new(),
            poison: BTreeMap::new(),
            broken: BTreeMap::new(),
            hidden: BTreeSet::new(),
            answers_with: BTreeMap::new(),
            repeats: false,
            unusable_count: 0,
            rejects_tokens: false,
            records: BTreeMap::new(),
            events: Vec::new(),
            last_number: 0,
        }
    }

    /// Edits a record at `at`, or creates it; the change becomes visible `lag` later. Returns the version's number.
    pub fn edit(&mut self, id: &RecordId, at: UtcMillis, lag: Duration) -> u64 {
        self.change(id, at, lag, false)
    }

    /// Edits a record at `at` to this JSON, or creates it; the change is visible at once.
    pub fn edit_to(&mut self, id: &RecordId, at: UtcMillis, body: Body) {
        self.change(id, at, Duration::ZERO, false);
        if let Some(version) = self.records.get_mut(id).and_then(|history| history.last_mut()) {
            version.body = Some(body);
        }
    }

    /// Deletes a record at `at`; that becomes visible `lag` later. Returns the version's number.
    pub fn delete(&mut self, id: &RecordId, at: UtcMillis, lag: Duration) -> u64 {
        self.change(id, at, lag, true)
    }

    /// Makes a record's detail unreadable until `heals_at`.
    pub fn poison(&mut self, id: &RecordId, heals_at: UtcMillis) {
        self.poison.insert(id.clone(), heals_at);
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
    pub fn seen(&self, id: &RecordId, now: UtcMillis) -> Option<&Version> {
        seen(self.history(id), now)
    }

    /// The events of the feed, in the order in which it tells them.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events the feed has told by `now`: the sequence of its newest token.
    pub fn told_count(&self, now: UtcMillis) -> usize {
        self.events.partition_point(|event| event.visible_at <= now)
    }

    /// A stamp as the source reads it, a wrong zone included.
    pub fn stamp(&self, version: &Version) -> Option<Stamp> {
        self.settings.stream.stamped.then(|| self.read(version.stamp))
    }

    /// What the source makes of an instant that the vendor wrote.
    pub fn read(&self, stamp: UtcMillis) -> Stamp {
        Stamp { text: stamp.get().to_string(), at: stamp.shifted(self.settings.zone_shift) }
    }

    /// Whether a list from `from` shows this version. A lower bound has whole seconds, as stamps have.
    pub fn lists(&self, version: &Version, from: UtcMillis) -> bool {
        if !self.settings.stream.filtered {
            return true;
        }
        let from = from.get().div_euclid(1_000);
        let stamp = version.stamp.shifted(self.settings.zone_shift).get().div_euclid(1_000);
        stamp > from || (self.settings.inclusive && stamp == from)
    }

    /// All records that are there at `now`, by id, each with its version.
    pub fn present(&self, now: UtcMillis) -> impl Iterator<Item = (&RecordId, &Version)> {
        self.records
            .iter()
            .filter_map(move |(id, history)| Some((id, seen(history, now)?)))
            .filter(|(_, version)| version.body.is_some())
    }

    /// The failure that the next call meets, if any.
    pub fn next_failure(&mut self) -> Option<FailureClass> {
        self.failures.pop_front().or(self.unwell)
    }

    fn change(&mut self, id: &RecordId, at: UtcMillis, lag: Duration, deletes: bool) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let history = self.records.entry(id.clone()).or_default();
        let mut stamp = UtcMillis::new(at.get().div_euclid(1_000).saturating_mul(1_000));
        let mut visible_at = at.plus(lag);
        if let Some(last) = history.last() {
            // A row is locked while it is changed: its versions become visible in their order.
            visible_at = visible_at.max(last.visible_at.shifted(1));
            stamp = stamp.max(last.stamp);
        }
        let body = (!deletes).then(|| body(id, number));
        history.push(Version { number, visible_at, stamp, body });
        if matches!(self.settings.stream.shape, ListShape::Feed) {
            let place = self.told_count(visible_at);
            self.events.insert(place, Event { visible_at, id: id.clone(), stamp, number, deletes });
        }
        number
    }
}

fn seen(history: &[Version], now: UtcMillis) -> Option<&Version> {
    history.iter().rev().find(|version| version.visible_at <= now)
}

fn body(id: &RecordId, number: u64) -> Body {
    Body::new(format!("{{\"version\":{number},\"id\":\"{}\"}}", id.as_str()))
}

/// The number of the version that a body of this vendor shows.
pub fn version_of(body: &Body) -> Option<u64> {
    body.text().strip_prefix("{\"version\":")?.split_once(',')?.0.parse().ok()
}
