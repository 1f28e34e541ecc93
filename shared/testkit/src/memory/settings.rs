//! How a vendor behaves: its list, its clock, and what its source believes of its time zone.

use std::time::Duration;

use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};

/// What the vendor says of the time with each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateHeader {
    /// Its clock, in whole seconds.
    True,
    /// Its clock, so many milliseconds off: that of a gateway, not that of its stamps.
    Skewed(i64),
    /// Nothing.
    Absent,
    /// Its clock, or nothing with a chance of so many in a million.
    Sometimes {
        /// How often it is missing.
        missing_per_million: u32,
    },
}

/// Which instant of a call the `Date` is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dated {
    /// When the request arrived.
    AtStart,
    /// When the answer was worked out.
    AtAnswer,
    /// When the answer had been sent.
    AtEnd,
    /// Any of these.
    Anywhen,
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

/// A jump of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<At> {
    /// When.
    pub at: At,
    /// By how much, in milliseconds; forward when positive.
    pub by: i64,
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
    /// How far the vendor's clock is off the local one, in milliseconds: `Date` and stamps alike.
    pub clock_offset: i64,
    /// A jump of the vendor's clock.
    pub clock_step: Option<Step<LocalMillis>>,
    /// The time zone of stamps: milliseconds added to the vendor's clock. `Date` is UTC.
    pub zone: i64,
    /// A change of the time zone, as at the end of summer time. The source knows of it.
    pub zone_step: Option<Step<VendorMillis>>,
    /// How far the configured time zone is from the true one, in milliseconds.
    pub zone_shift: i64,
    /// The mark of account and settings that the source tells.
    pub account_mark: String,
    /// What it says of the time.
    pub date: DateHeader,
    /// Which instant of a call that is of.
    pub dated: Dated,
    /// How much older than what lists show a detail may be: each is answered by a replica that lags up to so much.
    pub replica_lag: Duration,
    /// How long a feed's token lives.
    pub token_life: Duration,
    /// What the vendor's own chances are drawn from.
    pub seed: u64,
}

impl VendorSettings {
    /// A well-behaved vendor with one stream of this shape.
    pub fn new(shape: ListShape) -> Self {
        let first = match shape {
            ListShape::Whole | ListShape::Pages => Position::At(StampMillis::new(0)),
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
            clock_offset: 0,
            clock_step: None,
            zone: 0,
            zone_step: None,
            zone_shift: 0,
            account_mark: "account".to_owned(),
            date: DateHeader::True,
            dated: Dated::AtAnswer,
            replica_lag: Duration::ZERO,
            token_life: Duration::from_hours(7 * 24),
            seed: 0,
        }
    }

    /// What the vendor's clock shows at `now`.
    pub fn clock(&self, now: LocalMillis) -> VendorMillis {
        let stepped = self.clock_step.filter(|step| now >= step.at).map_or(0, |step| step.by);
        VendorMillis::new(now.shifted(self.clock_offset).shifted(stepped).get())
    }

    /// The true time zone at an instant of the vendor's clock, in milliseconds.
    pub fn zone_at(&self, at: VendorMillis) -> i64 {
        let stepped = self.zone_step.filter(|step| at >= step.at).map_or(0, |step| step.by);
        self.zone.saturating_add(stepped)
    }

    /// An instant of the vendor's clock as a source whose time zone is off by `zone_shift` believes stamps show it.
    pub fn reading(&self, at: VendorMillis, zone_shift: i64) -> StampMillis {
        StampMillis::new(at.get().saturating_add(self.zone_at(at)).saturating_add(zone_shift))
    }

    /// What a source whose time zone is off by `zone_shift` makes of a stamp.
    pub fn read(&self, at: StampMillis, zone_shift: i64) -> Stamp {
        let zone = self.zone_at(VendorMillis::new(at.get().saturating_sub(self.zone)));
        let utc = VendorMillis::new(at.get().saturating_sub(zone).saturating_sub(zone_shift));
        Stamp { text: at.get().to_string(), at, utc }
    }
}

/// The whole second of an instant.
pub(super) fn whole_seconds(millis: i64) -> i64 {
    millis.div_euclid(1_000).saturating_mul(1_000)
}
