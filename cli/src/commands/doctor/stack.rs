//! The AWS side: what is deployed, what starts it, and who hears of it.

use tidemark_aws::Sdk;
use tidemark_aws::cloudwatch;
use tidemark_aws::lambda;
use tidemark_aws::scheduler::{self, Schedule};
use tidemark_aws::sns;
use tidemark_aws::sqs::DeadLetters;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Ledger};
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::SourceKind;

use super::Checked;
use crate::page::plural;
use crate::stack::{Deployment, Stack};

/// What the template has for `MaxConcurrency` unless a deployment says otherwise.
const MAX_CONCURRENCY: u64 = 2;

/// What holds for the whole stack.
pub(super) async fn of_stack(sdk: &Sdk, stack: &Stack) -> Vec<Checked> {
    let (subscribers, alarms, concurrency) =
        futures_util::join!(subscribers(sdk, stack), alarms(sdk, stack), concurrency(sdk, stack));
    let mut checks = vec![deployment(stack)];
    checks.extend(sources(stack));
    checks.extend(subscribers);
    checks.extend([alarms, concurrency]);
    checks
}

/// What holds for one source; `schedules` are those of the whole stack, or why they are not known.
pub(super) async fn of_source(
    sdk: &Sdk,
    stack: &Stack,
    deployment: &Deployment,
    schedules: &Result<Vec<Schedule>, Checked>,
) -> Vec<Checked> {
    let (tables, mapping, letters) =
        futures_util::join!(tables(stack, deployment), mapping(sdk, deployment), dead_letters(sdk, deployment));
    let schedules = schedules.as_ref().map_or_else(Checked::clone, |found| scheduled(found, deployment));
    let checks = [Some(tables), Some(schedules), mapping, Some(letters)];
    checks.into_iter().flatten().map(|checked| checked.about(deployment.source)).collect()
}

fn deployment(stack: &Stack) -> Checked {
    let status = &stack.deployed.status;
    if status.ends_with("_COMPLETE") && !status.contains("ROLLBACK") {
        return Checked::ok("stack", format!("it is deployed ({status})"));
    }
    let next = "look at the stack's events in CloudFormation; what is deployed may be older than your settings";
    Checked::warning("stack", format!("its status is {status}"), next)
}

fn sources(stack: &Stack) -> Option<Checked> {
    let next = "turn one on: `tidemark init SOURCE` keeps its credential and says how";
    stack.sources.is_empty().then(|| Checked::warning("sources", "no source is on", next))
}

async fn subscribers(sdk: &Sdk, stack: &Stack) -> Option<Checked> {
    let topic = stack.deployed.outputs.get("AlarmTopicArn")?;
    Some(match sns::subscribers(sdk, topic).await {
        Ok(found) if found.confirmed_count > 0 => {
            Checked::ok("subscribers", format!("{} of the alarms", plural(found.confirmed_count, "subscriber")))
        }
        Ok(found) if found.pending_count > 0 => {
            let next = "open the mail \"AWS Notification - Subscription Confirmation\" and follow its link";
            Checked::warning("subscribers", "nobody hears of alarms: the subscription is not confirmed", next)
        }
        Ok(_) => {
            let next = "deploy with AlarmEmail, or subscribe to the topic AlarmTopicArn, an output of the stack";
            Checked::warning("subscribers", "nobody hears of alarms: nobody is subscribed", next)
        }
        Err(failure) => Checked::unseen("subscribers", failure),
    })
}

async fn alarms(sdk: &Sdk, stack: &Stack) -> Checked {
    let found: Vec<_> = match cloudwatch::alarms(sdk, &format!("{}-", stack.name)).await {
        Ok(found) => found.into_iter().filter(|alarm| is_of(&stack.name, &alarm.name)).collect(),
        Err(failure) => return Checked::unseen("alarms", failure),
    };
    let ringing: Vec<&str> = found.iter().filter(|alarm| alarm.is_ringing).map(|alarm| alarm.name.as_str()).collect();
    let silent_count = found.iter().filter(|alarm| !alarm.is_on).count();
    if !ringing.is_empty() {
        return Checked::warning("alarms", format!("ringing: {}", ringing.join(", ")), "tidemark status");
    }
    if found.is_empty() {
        return Checked::warning("alarms", "there are none", "deploy the stack again: they are a part of it");
    }
    if silent_count > 0 {
        let next = "deploy with ScheduleState=ENABLED, or turn their actions on in CloudWatch";
        return Checked::warning("alarms", format!("{} tell nobody", plural(silent_count, "alarm")), next);
    }
    Checked::ok("alarms", format!("none of {} rings", found.len()))
}

/// Whether it is an alarm of this stack, not of one whose name goes on: `tidemark-north` beside `tidemark`.
fn is_of(stack: &str, alarm: &str) -> bool {
    let Some(rest) = alarm.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-')) else { return false };
    let whose = SourceKind::ALL.iter().map(|source| source.as_str()).chain(["watcher"]);
    rest == "heartbeat" || whose.into_iter().any(|who| rest.strip_prefix(who).is_some_and(|rest| rest.starts_with('-')))
}

#[test]
fn alarms_of_a_stack_whose_name_goes_on_are_anothers() {
    let ours = ["t-heartbeat", "t-watcher-errors", "t-fieldmotion-stale"];
    let others = ["t-north-heartbeat", "t-north-fieldmotion-stale", "tx-heartbeat", "t", "t-heartbeats"];
    assert!(ours.iter().all(|name| is_of("t", name)) && !others.iter().any(|name| is_of("t", name)));
}

async fn concurrency(sdk: &Sdk, stack: &Stack) -> Checked {
    let found = match lambda::concurrency(sdk).await {
        Ok(Some(found)) => found,
        Ok(None) => return Checked::of("concurrency", super::Verdict::Unseen, "Lambda does not say it"),
        Err(failure) => return Checked::unseen("concurrency", failure),
    };
    let fetchers = stack.parameter("MaxConcurrency").and_then(|text| text.parse().ok()).unwrap_or(MAX_CONCURRENCY);
    let of_source = |source: &Deployment| fetchers + u64::try_from(source.streams.len()).unwrap_or(u64::MAX);
    // A poller for each stream, the fetchers of each source, and the watcher.
    let wanted = stack.sources.iter().map(of_source).fold(1, u64::saturating_add);
    if found >= wanted {
        return Checked::ok(
            "concurrency",
            format!("{found} functions may run at once; this stack uses up to {wanted}"),
        );
    }
    let what = format!("{found} functions of the account may run at once, and this stack uses up to {wanted}");
    let next = "ask for more concurrent executions of Lambda in Service Quotas, or lower MaxConcurrency; until then calls are \
                throttled and tried again";
    Checked::warning("concurrency", what, next)
}

/// Each table by the smallest read there is.
async fn tables(stack: &Stack, deployment: &Deployment) -> Checked {
    let reads = async {
        let Some(key) = deployment.keys(None).ok().and_then(|keys| keys.into_iter().next()) else { return Ok(()) };
        stack.checkpoints.load(&key).await?;
        stack.ledger.source_state(key.source).await?;
        if let Ok(id) = RecordId::parse("0") {
            let record = RecordKey { source: key.source, stream: key.name, id };
            stack.copy.get(&record).await?;
        }
        Ok::<(), StoreFailure>(())
    };
    match reads.await {
        Ok(()) => Checked::ok("tables", "checkpoints, ledger and records can be read"),
        Err(failure) => Checked::unseen("tables", failure),
    }
}

/// The schedules of all sources.
pub(super) async fn schedules(sdk: &Sdk, stack: &Stack) -> Result<Vec<Schedule>, Checked> {
    let found = scheduler::schedules(sdk, &format!("{}-", stack.name)).await;
    found.map_err(|failure| Checked::unseen("schedules", failure))
}

fn scheduled(found: &[Schedule], deployment: &Deployment) -> Checked {
    let function = deployment.poller.rsplit(':').next().unwrap_or_default();
    let starts = |schedule: &&Schedule| schedule.target.rsplit(':').next() == Some(function);
    let (enabled, disabled): (Vec<_>, Vec<_>) = found.iter().filter(starts).partition(|schedule| schedule.is_enabled);
    match (enabled.len(), disabled.len()) {
        (0, 0) => Checked::failure("schedules", "nothing polls it: it has no schedule", "deploy the stack again"),
        (count, 0) => Checked::ok("schedules", format!("{} enabled", plural(count, "schedule"))),
        (_, count) => {
            let what = format!("{} disabled: their streams are not polled", plural(count, "schedule"));
            let next = "deploy with ScheduleState=ENABLED, or enable them in EventBridge Scheduler";
            Checked::failure("schedules", what, next)
        }
    }
}

async fn mapping(sdk: &Sdk, deployment: &Deployment) -> Option<Checked> {
    let states = match lambda::mapping_states(sdk, deployment.fetcher.as_ref()?).await {
        Ok(states) => states,
        Err(failure) => return Some(Checked::unseen("queue", failure)),
    };
    let is_on = |state: &String| matches!(state.as_str(), "Enabled" | "Enabling" | "Creating" | "Updating");
    Some(if states.iter().any(is_on) {
        Checked::ok("queue", "messages reach the fetcher")
    } else {
        let next = "enable the fetcher's event source mapping in Lambda, or deploy the stack again";
        Checked::failure("queue", "no message reaches the fetcher: its queue mapping is off", next)
    })
}

async fn dead_letters(sdk: &Sdk, deployment: &Deployment) -> Checked {
    match DeadLetters::new(sdk, deployment.dead_letters_url.as_str()).depth().await {
        Ok(0) => Checked::ok("dead letters", "there are none"),
        Ok(depth) => {
            let count = usize::try_from(depth).unwrap_or(usize::MAX);
            let what = format!("{} in the dead-letter queue", plural(count, "message"));
            Checked::warning("dead letters", what, format!("tidemark dead-letters list {}", deployment.source))
        }
        Err(failure) => Checked::unseen("dead letters", failure),
    }
}
