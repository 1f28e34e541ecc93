//! Approving what a sweep withheld.

use serde_json::json;
use tidemark_sweep::ports::Sweeps;

use crate::Ended;
use crate::args::Sweep;
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;

pub(super) async fn run(context: &mut Context<'_>, act: Sweep) -> Result<Ended, Failure> {
    let Sweep::Approve { of, consent } = act;
    let stack = context.stack().await?;
    let key = stack.key(of.source, &of.stream)?;
    let place = format!("{}/{}", key.source, key.name);
    let last = stack.ledger.load_sweep(&key).await?.and_then(|state| state.last);
    let Some(last) = last.filter(|last| last.withheld > 0) else {
        return Err(Failure::NotDone(format!(
            "{place}: the last sweep withheld nothing\nnext: tidemark verify {} {} says what it found",
            key.source, key.name
        )));
    };
    let plan = Plan {
        command: "sweep approve",
        subject: place,
        what: format!("fetch {} records that are stored and not listed", last.withheld),
        effects: vec![
            format!("of {} stored records the vendor listed {}", last.stored, last.listed),
            "each one that the vendor says is gone becomes a tombstone; one that is there is stored".to_owned(),
        ],
    };
    if agree(context, &stack, &plan, &consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let said =
        super::account::ask_poller(context, &stack, &key, &json!({ "stream": key.name, "sweep": "approve" })).await?;
    let words = match said.outcome {
        "done" => "done; the next polls go on with it",
        _ => "there is nothing to do now: a sweep or a backfill is under way, and compares again",
    };
    finish(context, &plan, said.outcome, words)
}
