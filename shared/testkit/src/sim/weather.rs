//! What a seed's history is like: which faults happen how often, how the vendor behaves, how the engine is set.

use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::ports::Random;
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_engine::work::PoisonPolicy;

use super::START;
use crate::memory::{DateHeader, Dated, Order, SeededRandom, Step, VendorSettings};

/// The longest that a process is frozen.
pub(super) const FREEZE_MILLIS_MAX: i64 = 700_000;
/// How late a write may arrive once more.
pub(super) const LATE_WRITE_MILLIS_MAX: i64 = 300_000;
/// How often a message is received before it is a dead letter.
pub(super) const RECEIVES_MAX: u32 = 8;
/// The names of the two streams.
const NAMES: [StreamName; 2] = [StreamName::known("first"), StreamName::known("second")];

/// Chances, each in a million.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chances {
    /// A process dies at an await.
    pub crash: u32,
    /// A process freezes at an await.
    pub freeze: u32,
    /// A call fails before its effect.
    pub reject: u32,
    /// A call's answer is lost.
    pub lose: u32,
    /// A write on several things, or a send, is done in part.
    pub part: u32,
    /// A write arrives once more, or, where it failed, late.
    pub late_write: u32,
    /// A message is duplicated.
    pub duplicate: u32,
    /// A message is lost.
    pub message_loss: u32,
    /// A message comes late.
    pub late: u32,
    /// A vendor's call fails for once.
    pub transient: u32,
    /// A call is slow.
    pub slow: u32,
    /// A list call is very slow.
    pub slow_list: u32,
    /// A read lags behind.
    pub stale: u32,
    /// A tick does not come.
    pub missed_tick: u32,
    /// A tick comes twice.
    pub double_tick: u32,
}

/// What kind of history it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sky {
    /// Nothing goes wrong; a big import runs.
    Fair,
    /// The vendor's clock jumps, list calls are slow, and records are edited often.
    Clocky,
    /// Everything may happen.
    Storm,
}

/// One stream of a history.
#[derive(Clone, Debug)]
pub struct StreamWeather {
    /// How the vendor's list behaves.
    pub vendor: VendorSettings,
    /// How many records there are at first.
    pub record_count: u32,
    /// The mean times between two edits, one of which is drawn for each.
    pub edit_millis: Vec<u64>,
}

impl StreamWeather {
    /// The stream's name.
    pub fn name(&self) -> &StreamName {
        &self.vendor.stream.name
    }

    /// How the stream's list answers.
    pub fn shape(&self) -> ListShape {
        self.vendor.stream.shape
    }
}

/// A time zone that is read wrong, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct WrongZone {
    /// How far it is off at first.
    pub first: i64,
    /// How far it is off once an operator has changed it.
    pub later: i64,
    /// When that is, since the start.
    pub changed_at: i64,
    /// When the new settings are accepted, since the start.
    pub accepted_at: i64,
}

/// The history that a seed stands for, apart from its single events.
#[derive(Clone, Debug)]
pub struct Weather {
    /// What kind of history it is.
    pub sky: Sky,
    /// What goes wrong while it storms.
    pub chances: Chances,
    /// The streams.
    pub streams: Vec<StreamWeather>,
    /// How long the storm lasts.
    pub storm_millis: i64,
    /// The longest until an edit shows in lists.
    pub lag_millis: i64,
    /// The overlap of lists.
    pub overlap: Duration,
    /// What a retry entry does to the checkpoint.
    pub policy: PoisonPolicy,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
    /// The time between two ticks.
    pub poll_interval: Duration,
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// How many ids a chunk holds.
    pub chunk_ids: usize,
    /// How the time zone is read wrong, if it is.
    pub zone: Option<WrongZone>,
    /// How long messages may be delayed besides, in milliseconds.
    pub delays: Vec<i64>,
    /// Whether ledger and queue are lost once.
    pub wipes: bool,
    /// Whether many records seem gone for a while.
    pub hides: bool,
}

impl Weather {
    /// Draws the history of `seed`.
    pub fn draw(seed: u64, random: &SeededRandom) -> Self {
        let sky = match seed % 10 {
            0 => Sky::Fair,
            1 => Sky::Clocky,
            _ => Sky::Storm,
        };
        let (lag_millis, overlap) = if random.chance(500_000) { (30_000, 63) } else { (60_000, 95) };
        let hides = sky == Sky::Storm && random.chance(70_000);
        let poll_interval = match sky {
            Sky::Fair => 120,
            Sky::Clocky => 300,
            Sky::Storm => random.one_of(&[120, 120, 300]),
        };
        let wrong_zone = wrong_zone(sky, random);
        let date = match random.below(4) {
            // With both, a step back may stay unseen and mislead: the one loss that the protocol is known to have.
            _ if sky != Sky::Storm || wrong_zone.is_some() => DateHeader::True,
            0 | 1 => DateHeader::True,
            2 => DateHeader::Sometimes { missing_per_million: 100_000 },
            _ => DateHeader::Absent,
        };
        let (clock_offset, clock_step) = clocks(sky, random, wrong_zone.as_ref());
        let zone = *pick(random, &[0, 0, 0, 7_200_000, -18_000_000]);
        let base = |vendor: VendorSettings| VendorSettings {
            clock_offset,
            clock_step,
            zone,
            date,
            dated: Dated::Anywhen,
            replica_lag: Duration::from_secs(if sky == Sky::Fair { 0 } else { 20 }),
            seed,
            ..vendor
        };
        let shapes = shapes(random);
        let streams: Vec<StreamWeather> =
            NAMES.into_iter().zip(shapes).map(|(name, shape)| stream(sky, random, name, shape, base)).collect();
        let all_stamped = streams.iter().all(|stream| stream.vendor.stream.stamped);
        let policy = if random.chance(750_000) { PoisonPolicy::Block } else { PoisonPolicy::Advance };
        Self {
            sky,
            chances: chances(sky, random),
            streams,
            storm_millis: if sky == Sky::Storm { random.between(1_500_000, 5_000_000) } else { 3_600_000 },
            lag_millis,
            overlap: Duration::from_secs(overlap),
            policy,
            call_interval: Duration::from_millis(if sky == Sky::Fair {
                2_000
            } else {
                random.one_of(&[2_000, 2_000, 1_000])
            }),
            poll_interval: Duration::from_secs(poll_interval),
            visibility: Duration::from_secs(random.one_of(&[90, 90, 240, 720])),
            chunk_ids: if hides { 12 } else { random.one_of(&[4, 4, 4, 1]) },
            // A stream without stamps shows nothing of a wrong zone.
            zone: wrong_zone.filter(|_| all_stamped),
            delays: pick(random, &[vec![0], vec![0, 5_000, 60_000], vec![0, 5_000, 60_000, 400_000]]).clone(),
            wipes: sky == Sky::Storm && policy == PoisonPolicy::Block && random.chance(400_000),
            hides,
        }
    }

    /// How far the source reads the time zone wrong at first.
    pub(super) fn zone_shift(&self) -> i64 {
        self.zone.map_or(0, |zone| zone.first)
    }

    /// How long a fetcher may work: its invocations end well before their message comes back.
    pub(super) fn fetcher_span(&self) -> Duration {
        (self.visibility * 4 / 9).min(Duration::from_mins(2))
    }
}

/// Two shapes, at most one of them a feed: its records would have the other's names.
fn shapes(random: &SeededRandom) -> [ListShape; 2] {
    use ListShape::{Feed, Pages, Whole};
    *pick(
        random,
        &[[Whole, Pages], [Whole, Feed], [Pages, Feed], [Whole, Whole], [Pages, Pages], [Feed, Whole], [Pages, Whole]],
    )
}

/// A time zone that is read wrong, in a third of the histories.
fn wrong_zone(sky: Sky, random: &SeededRandom) -> Option<WrongZone> {
    const HOUR: i64 = 3_600_000;
    let is_wrong = sky != Sky::Fair && random.chance(350_000);
    let (first, later) = *pick(random, &[(0, HOUR), (0, -HOUR), (-HOUR, 0), (HOUR, 0), (HOUR, HOUR)]);
    let changed_at = random.between(300_000, 2_000_000);
    // Some operators accept at once, while looks from before are still under way.
    let accepted_at = changed_at + random.between(10_000, random.one_of(&[60_000, 900_000]));
    is_wrong.then_some(WrongZone { first, later, changed_at, accepted_at })
}

/// How far the vendor's clock is off, and its step: together less than what is assumed without a Date. The step often comes
/// when it is worst: soon before or after new settings are accepted.
fn clocks(sky: Sky, random: &SeededRandom, zone: Option<&WrongZone>) -> (i64, Option<Step<LocalMillis>>) {
    let offset = random.between(-20_000, 20_000);
    let near = zone.filter(|_| random.chance(500_000)).map(|zone| zone.accepted_at + random.between(-500_000, 400_000));
    let sometime = random.between(60_000, 3_300_000);
    let at = START.shifted(near.unwrap_or(sometime));
    let by = random.between(200_000, 300_000);
    let step = match sky {
        Sky::Fair => None,
        Sky::Clocky => Some(Step { at, by: if random.chance(500_000) { by } else { -by } }),
        Sky::Storm => random.chance(600_000).then(|| Step { at, by: random.between(-300_000, 300_000) }),
    };
    (offset, step)
}

fn stream(
    sky: Sky,
    random: &SeededRandom,
    name: StreamName,
    shape: ListShape,
    base: impl Fn(VendorSettings) -> VendorSettings,
) -> StreamWeather {
    let is_first = name == NAMES[0];
    let mut vendor = base(VendorSettings::new(shape));
    vendor.stream.name = name;
    vendor.inclusive = random.chance(500_000);
    vendor.page_rows = random.one_of(&[7, 12, 50]);
    vendor.order = *pick(random, &[Order::Oldest, Order::Newest, Order::Id]);
    vendor.tells_total = random.chance(500_000);
    // Some vendors send no stamps, some lists of rows take no lower bound.
    vendor.stream.stamped = sky == Sky::Clocky || random.chance(850_000);
    vendor.stream.filtered = shape != ListShape::Pages || random.chance(850_000);
    vendor.token_life = Duration::from_secs(random.one_of(&[1_200, 7 * 24 * 3_600, 7 * 24 * 3_600]));
    vendor.seed = vendor.seed.wrapping_mul(2).wrapping_add(u64::from(is_first));
    let record_count = match sky {
        Sky::Fair if is_first => 300,
        Sky::Fair => random.one_of(&[20, 300]),
        Sky::Clocky | Sky::Storm => random.one_of(&[10, 20, 30, 60, 60, 120]),
    };
    let edit_millis = match sky {
        Sky::Fair => vec![60_000],
        Sky::Clocky => vec![20_000],
        Sky::Storm => vec![20_000, 60_000, 60_000, 300_000],
    };
    StreamWeather { vendor, record_count, edit_millis }
}

fn chances(sky: Sky, random: &SeededRandom) -> Chances {
    let drawn = Chances {
        crash: random.one_of(&[0, 1_000, 4_000]),
        freeze: random.one_of(&[0, 1_000, 5_000, 20_000]),
        reject: random.one_of(&[0, 1_000, 10_000]),
        lose: random.one_of(&[0, 1_000, 10_000]),
        part: random.one_of(&[0, 20_000]),
        late_write: random.one_of(&[0, 20_000, 100_000]),
        duplicate: random.one_of(&[0, 50_000, 200_000]),
        message_loss: random.one_of(&[0, 20_000, 100_000]),
        late: random.one_of(&[0, 100_000, 400_000]),
        transient: random.one_of(&[0, 0, 20_000, 150_000, 500_000]),
        slow: random.one_of(&[0, 10_000, 50_000, 250_000]),
        slow_list: random.one_of(&[0, 30_000, 150_000]),
        stale: random.one_of(&[0, 100_000]),
        missed_tick: 30_000,
        double_tick: 100_000,
    };
    match sky {
        Sky::Fair => Chances::default(),
        Sky::Clocky => {
            Chances { crash: 0, freeze: 0, reject: 0, lose: 0, message_loss: 0, late: 0, slow_list: 330_000, ..drawn }
        }
        Sky::Storm => drawn,
    }
}

/// One of some things, of which there is at least one.
pub(super) fn pick<'a, T>(random: &SeededRandom, choices: &'a [T]) -> &'a T {
    let index = random.below(u64::try_from(choices.len()).unwrap_or(1));
    usize::try_from(index).ok().and_then(|index| choices.get(index)).unwrap_or_else(|| first(choices))
}

#[expect(clippy::panic, reason = "a caller that offers no choice is wrong")]
fn first<T>(choices: &[T]) -> &T {
    let [first, ..] = choices else { panic!("there is nothing to choose from") };
    first
}
