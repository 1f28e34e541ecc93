//! Playing many seeds on all cores.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::history::{Outcome, run, run_mutant};
use super::mutant::Mutant;
use super::stats::Stats;

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Many {
    /// What happened in all of them.
    pub stats: Stats,
    /// Seeds with a violation, each with the invariant, in order.
    pub bad: Vec<(u64, &'static str)>,
    /// How many were played.
    pub played: u64,
}

/// Plays the histories of `seeds`, with a wrong variant if there is one, and after each one tells `progress` how many are
/// played and how many were bad.
pub fn run_many(seeds: Range<u64>, mutant: Option<Mutant>, progress: impl Fn(u64, usize) + Sync) -> Many {
    let next = AtomicU64::new(seeds.start);
    let many = Mutex::new(Many::default());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let (stats, bad) = judge(seed, mutant);
                    let mut many = many.lock().unwrap_or_else(PoisonError::into_inner);
                    many.stats += stats;
                    many.bad.extend(bad.map(|invariant| (seed, invariant)));
                    many.played += 1;
                    progress(many.played, many.bad.len());
                }
            });
        }
    });
    let mut many = many.into_inner().unwrap_or_else(PoisonError::into_inner);
    many.bad.sort_unstable();
    many
}

/// Plays one seed; a panic is a violation like any other.
fn judge(seed: u64, mutant: Option<Mutant>) -> (Stats, Option<&'static str>) {
    let play = || mutant.map_or_else(|| run(seed), |mutant| run_mutant(seed, mutant));
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok(Outcome { stats, violation, .. }) => (stats, violation.map(|violation| violation.invariant)),
        Err(_) => (Stats::default(), Some("no panic")),
    }
}

/// The invariant that a wrong variant violates in the history of `seed`, where the right protocol violates none.
pub fn kills(seed: u64, mutant: Mutant) -> Option<&'static str> {
    judge(seed, Some(mutant)).1.filter(|_| judge(seed, None).1.is_none())
}
