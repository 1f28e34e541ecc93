//! Parameters that do not fit each other, or the records that are stored already.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidemark_aws::rate::{Rate, SCAN_CRON_INTERVAL};
use tidemark_aws::sqs::VISIBILITY_TIMEOUTS;
use tidemark_engine::stream::{SourceKind, StreamKey};
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

/// What is read of a source's settings: the fields that it asks for, by stream.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    fields: BTreeMap<String, Vec<String>>,
}

/// Records that were fetched before their source was set to ask for more fields: they stay as they are until they change.
pub(super) async fn of_source(stack: &Stack, source: SourceKind) -> Vec<Checked> {
    let asked: Fields = serde_json::from_str(stack.settings(source)).unwrap_or_default();
    let mut checks = Vec::new();
    for (name, fields) in asked.fields {
        let Ok(stream) = stack.key(source, &name) else { continue };
        if let Some(checked) = older(stack, &stream, &fields).await {
            checks.push(checked.about(source).of_stream(&stream.name));
        }
    }
    checks
}

/// Looks at the first records of a stream.
async fn older(stack: &Stack, stream: &StreamKey, fields: &[String]) -> Option<Checked> {
    let (records, _) = match stack.copy.page(stream, None).await {
        Ok(page) => page,
        Err(failure) => return Some(Checked::unseen("fields", failure)),
    };
    let bodies = records.iter().filter(|record| record.deleted_because.is_none()).filter_map(|record| {
        serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(record.body.as_ref()?.text()).ok()
    });
    let lacks = |body: &BTreeMap<String, Box<RawValue>>| fields.iter().any(|field| !body.contains_key(field));
    let (mut seen_count, mut lacking_count) = (0_u32, 0_u32);
    for body in bodies {
        seen_count += 1;
        lacking_count += u32::from(lacks(&body));
    }
    (lacking_count > 0).then(|| {
        let what = format!(
            "{lacking_count} of {seen_count} records lack fields that the settings ask for: what was fetched before stays as it is"
        );
        let next = format!(
            "tidemark backfill {} {} --from 1970-01-01; a field that is missing after it, the vendor does not send",
            stream.source, stream.name
        );
        Checked::warning("fields", what, next)
    })
}
