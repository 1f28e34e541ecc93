//! How often a schedule runs, as EventBridge Scheduler reads it.
//!
//! Source: EventBridge Scheduler User Guide, "Schedule types".

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// What the time between two scans is taken for when a `cron(..)` sets it: long, because its times may be any.
pub const SCAN_CRON_INTERVAL: Duration = DAY;

/// A schedule expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// `rate(..)`: once in this time.
    Every(Duration),
    /// `cron(..)`: at times that are not read here.
    Cron,
}

impl Rate {
    /// Reads `rate(<number> <minutes, hours or days>)` or `cron(..)`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("cron(") && text.ends_with(')') {
            return Ok(Self::Cron);
        }
        let inner = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
        let interval = inner.and_then(interval).ok_or("it is neither rate(..) nor cron(..)")?;
        if interval.is_zero() { Err("a rate is once in a minute or less often") } else { Ok(Self::Every(interval)) }
    }

    /// The time between two runs; `cron` where it is not known.
    pub fn interval_or(self, cron: Duration) -> Duration {
        match self {
            Self::Every(interval) => interval,
            Self::Cron => cron,
        }
    }
}

fn interval(inner: &str) -> Option<Duration> {
    let (count, unit) = inner.trim().split_once(' ')?;
    let unit = match unit.trim().trim_end_matches('s') {
        "minute" => Duration::from_mins(1),
        "hour" => Duration::from_hours(1),
        "day" => DAY,
        _ => return None,
    };
    Some(unit.saturating_mul(count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_the_scheduler_reads_it() {
        let every = |seconds| Some(Rate::Every(Duration::from_secs(seconds)));
        for (text, rate) in [
            ("rate(1 hour)", every(3_600)),
            ("rate(5 minutes)", every(300)),
            ("rate(2 days)", every(172_800)),
            ("cron(0 6 * * ? *)", Some(Rate::Cron)),
            ("cron(0 6", None),
            ("1 hour", None),
            ("rate(hour)", None),
            ("rate(0 minutes)", None),
            ("rate(-1 minutes)", None),
            ("rate(1 fortnight)", None),
        ] {
            assert_eq!(Rate::parse(text).ok(), rate, "{text}");
        }
    }

    #[test]
    fn only_a_cron_needs_a_guess() {
        let guess = Duration::from_mins(7);
        assert_eq!(Rate::Every(DAY).interval_or(guess), DAY);
        assert_eq!(Rate::Cron.interval_or(guess), guess);
    }
}
