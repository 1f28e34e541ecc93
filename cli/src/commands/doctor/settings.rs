//! Parameters that do not fit each other.

use std::time::Duration;

use tidemark_aws::rate::{Rate, SCAN_CRON_INTERVAL};
use tidemark_aws::sqs::VISIBILITY_TIMEOUTS;
use tidemark_watch::POLLS_TO_STALE;

use super::Checked;
use crate::stack::Stack;
use crate::time;

/// The parameters of a stack against each other.
pub(super) fn of_stack(stack: &Stack) -> Vec<Checked> {
    [stale_after(stack), visibility(stack)].into_iter().flatten().collect()
}

fn stale_after(stack: &Stack) -> Option<Checked> {
    let rate = Rate::parse(stack.parameter("PollRate")?).ok()?;
    // A cron's times may be any.
    if rate == Rate::Cron {
        return None;
    }
    let interval = rate.interval_or(SCAN_CRON_INTERVAL);
    let (least, found) = (interval.saturating_mul(POLLS_TO_STALE), stack.stale_after);
    if found >= least {
        return Some(Checked::ok("settings", "StaleAfterSeconds is at least twice PollRate"));
    }
    let what = format!(
        "StaleAfterSeconds is {}, less than twice PollRate ({}): the stale alarm rings although all is well",
        found.as_secs(),
        time::span(interval)
    );
    Some(Checked::failure("settings", what, format!("deploy with StaleAfterSeconds={} or more", least.as_secs())))
}

fn visibility(stack: &Stack) -> Option<Checked> {
    let seconds = |name| stack.parameter(name)?.parse().ok().map(Duration::from_secs);
    let (timeout, visible) = (seconds("FetcherTimeoutSeconds")?, seconds("VisibilityTimeoutSeconds")?);
    let least = timeout.saturating_mul(VISIBILITY_TIMEOUTS);
    (visible < least).then(|| {
        let what = "VisibilityTimeoutSeconds is less than six times FetcherTimeoutSeconds: the pollers refuse to start";
        let next = format!("deploy with VisibilityTimeoutSeconds={} or more", least.as_secs());
        Checked::failure("settings", what, next)
    })
}
