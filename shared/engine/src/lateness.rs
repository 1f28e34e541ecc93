//! How late changes show in the vendor's list, against the overlap that has to cover it.

use std::time::Duration;

/// How far a change's stamp lay below where its list would have started without the overlap: not at all, up to each of
/// these, or further.
const SECONDS: [u64; 6] = [5, 15, 30, 60, 120, 300];

/// Counts of changes, the least late first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness(pub [u64; SECONDS.len() + 2]);

impl Lateness {
    /// Counts one change, if it is known how late it showed.
    pub fn note(&mut self, late_ms: Option<i64>) {
        let Some(late_ms) = late_ms else { return };
        let over = |bound: &u64| bound * 1_000 < late_ms.unsigned_abs();
        let bin = if late_ms <= 0 { 0 } else { 1 + SECONDS.partition_point(over) };
        self.0.iter_mut().skip(bin).take(1).for_each(|count| *count += 1);
    }

    /// Within how much time 99 of 100 changes showed: the longest there is where that is not known, none without changes.
    pub fn p99(&self) -> Option<Duration> {
        let sum: u64 = self.0.iter().sum();
        let (wanted, mut seen) = (sum - sum / 100, 0);
        let bin = self.0.iter().filter(|_| sum > 0).position(|count| {
            seen += count;
            seen >= wanted
        })?;
        let bounds = [Duration::ZERO].into_iter().chain(SECONDS.map(Duration::from_secs));
        bounds.chain([Duration::MAX]).nth(bin)
    }
}
