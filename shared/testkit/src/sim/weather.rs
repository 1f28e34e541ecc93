//! What a seed's history is like: which faults happen how often, how the vendor behaves, how the engine is set.

use std::time::Duration;

use tidemark_engine::ports::Random;
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::stream::ListShape;

use crate::memory::{DateHeader, Order, SeededRandom, VendorSettings};

/// The time between two ticks.
pub(super) const TICK_MILLIS: i64 = 120_000;
/// How long a received message stays invisible.
pub(super) const VISIBILITY: Duration = Duration::from_secs(90);
/// How many ids a chunk holds: few, so that a run has many chunks.
pub(super) const CHUNK_IDS: u32 = 5;
/// How long a fetcher may work.
pub(super) const FETCHER_MILLIS: i64 = 60_000;
/// The overlap of lists.
pub(super) const OVERLAP: Duration = Duration::from_mins(2);
/// The longest until an edit shows in lists.
pub(super) const LAG_MILLIS_MAX: i64 = 60_000;
/// The longest that a process is frozen.
pub(super) const FREEZE_MILLIS_MAX: i64 = 600_000;
/// How often a message is received before it is a dead letter.
pub(super) const RECEIVES_MAX: u32 = 8;

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
    /// A read lags behind.
    pub stale: u32,
}

/// The history that a seed stands for, apart from its single events.
#[derive(Clone, Debug)]
pub struct Weather {
    /// What goes wrong while it storms.
    pub chances: Chances,
    /// How the vendor behaves.
    pub vendor: VendorSettings,
    /// How many records there are at first.
    pub record_count: u32,
    /// How long the storm lasts.
    pub storm_millis: i64,
    /// The mean time between two edits.
    pub edit_millis: u64,
    /// Local less vendor's time.
    pub skew_millis: i64,
    /// What a quarantined id does to the checkpoint.
    pub policy: PoisonPolicy,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
    /// How many records are poisoned for a while.
    pub poison_count: u32,
    /// How often the vendor is unwell.
    pub outage_count: u32,
    /// Whether ledger and queue are lost once.
    pub wipes: bool,
}

impl Weather {
    /// Draws a history.
    pub fn draw(random: &SeededRandom, shape: ListShape) -> Self {
        let chances = Chances {
            crash: random.one_of(&[0, 2_000, 10_000]),
            freeze: random.one_of(&[0, 500, 3_000]),
            reject: random.one_of(&[0, 2_000, 20_000]),
            lose: random.one_of(&[0, 2_000, 20_000]),
            part: random.one_of(&[0, 20_000]),
            duplicate: random.one_of(&[0, 50_000, 200_000]),
            message_loss: random.one_of(&[0, 0, 20_000, 100_000]),
            late: random.one_of(&[0, 100_000, 400_000]),
            transient: random.one_of(&[0, 20_000, 200_000]),
            slow: random.one_of(&[0, 10_000, 50_000]),
            stale: random.one_of(&[0, 100_000]),
        };
        let mut vendor = VendorSettings::new(shape);
        vendor.inclusive = random.chance(500_000);
        vendor.page_rows = random.one_of(&[7, 12, 50]);
        vendor.order = *pick(random, &[Order::Oldest, Order::Newest, Order::Id]);
        vendor.tells_total = random.chance(500_000);
        // Of the vendors that tell ids some bear no stamps, of those that tell rows some take no lower bound.
        vendor.stream.stamped = shape != ListShape::Whole || random.chance(850_000);
        vendor.stream.filtered = shape != ListShape::Pages || random.chance(850_000);
        vendor.token_life = Duration::from_secs(random.one_of(&[900, 3_600, 7 * 24 * 3_600]));
        vendor.date = match random.below(10) {
            0 => DateHeader::Absent,
            1 => DateHeader::Skewed(random.between(-15_000, 15_000)),
            2 => DateHeader::Skewed(random.one_of(&[-86_400_000, -400_000, 400_000, 86_400_000])),
            _ => DateHeader::True,
        };
        // Only an honest Date makes up for a local clock that is far off.
        let skews: &[i64] =
            if vendor.date == DateHeader::True { &[20_000, 20_000, 20_000, 900_000] } else { &[15_000] };
        let skew = random.one_of(skews);
        // A stream without stamps shows nothing of a wrong zone.
        if vendor.stream.stamped && random.chance(60_000) {
            vendor.zone_shift = random.one_of(&[-5, -1, 1, 5]) * 3_600_000;
        }
        Self {
            chances,
            vendor,
            record_count: random.one_of(&[5, 12, 25, 40]),
            storm_millis: random.between(8, 25).saturating_mul(TICK_MILLIS),
            edit_millis: random.one_of(&[20_000, 60_000, 200_000]),
            skew_millis: random.between(-skew, skew),
            policy: if random.chance(700_000) { PoisonPolicy::Block } else { PoisonPolicy::Advance },
            call_interval: Duration::from_millis(random.one_of(&[50, 200, 1_000, 5_000])),
            poison_count: random.one_of(&[0, 0, 1, 3]),
            outage_count: random.one_of(&[0, 0, 1, 2]),
            wipes: random.chance(100_000),
        }
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
