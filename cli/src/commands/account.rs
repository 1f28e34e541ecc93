//! Deciding about a changed account, and what the poller says to an act.

use serde_json::{Value, json};
use tidemark_aws::lambda::{Answer, invoke};
use tidemark_engine::stream::StreamKey;

use crate::Ended;
use crate::args::{Account, Consent, SourceAndStream};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::stack::Stack;

/// What a poller did.
pub(super) struct Done {
    pub(super) outcome: &'static str,
    pub(super) words: String,
}

pub(super) async fn run(context: &mut Context<'_>, act: Account) -> Result<Ended, Failure> {
    match act {
        Account::Keep { of, consent } => {
            let effects = [
                "the copy stays, and everything that changed is listed",
                "the next list starts a day earlier than usual, because stamps may be read in another way now",
            ];
            decide(
                context,
                &of,
                &consent,
                "keep",
                "account keep",
                "accept the account and the settings as they are now",
                &effects,
            )
            .await
        }
        Account::StartAgain { of, consent } => {
            let effects = [
                "everything is imported from the beginning: one call a record where the list has no rows",
                "records of the old account stay in the table until you delete them",
            ];
            let what = "accept the account as another one, and import everything";
            decide(context, &of, &consent, "start_again", "account start-again", what, &effects).await
        }
    }
}

async fn decide(
    context: &mut Context<'_>,
    of: &SourceAndStream,
    consent: &Consent,
    decision: &str,
    command: &'static str,
    what: &str,
    effects: &[&str],
) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let name = of.stream.as_ref().map(|stream| stack.polled(of.source, stream)).transpose()?;
    let keys = stack.source(of.source)?.keys(name.as_ref())?;
    let streams: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let mut all = vec![format!("streams: {}", streams.join(", "))];
    all.extend(effects.iter().map(|effect| (*effect).to_owned()));
    let subject = name.map_or_else(|| of.source.to_string(), |name| format!("{}/{name}", of.source));
    let plan = Plan { command, subject, what: what.to_owned(), effects: all };
    if agree(context, &stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let mut done = Vec::new();
    let mut failed = None;
    for key in &keys {
        let event = json!({ "stream": key.name, "account": decision });
        match ask_poller(context, &stack, key, &event).await {
            Ok(said) => done.push(format!("{}: {}", key.name, said.words)),
            // The others are decided nevertheless; what is left is named.
            Err(failure) => failed = Some(failure),
        }
    }
    for line in &done {
        writeln!(context.notes, "{line}")?;
    }
    match failed {
        None => finish(context, &plan, "done", &format!("done for {}", crate::page::plural(done.len(), "stream"))),
        Some(failure) => Err(failure),
    }
}

/// Asks the source's poller for an act, and says what became of it.
pub(super) async fn ask_poller(
    context: &mut Context<'_>,
    stack: &Stack,
    key: &StreamKey,
    event: &Value,
) -> Result<Done, Failure> {
    let poller = &stack.source(key.source)?.poller;
    let place = format!("{}/{}", key.source, key.name);
    let answer = match invoke(context.sdk().await?, poller, event).await? {
        Answer::Returned(answer) => answer,
        Answer::Failed { kind, message } => {
            return Err(Failure::NotDone(format!("{place}: the poller failed ({kind}): {message}")));
        }
    };
    let log = stack.log(key.source, "poller");
    let not_done = |what: &str, next: &str| Err(Failure::NotDone(format!("{place}: {what}\nnext: {next}")));
    match answer.get("outcome").and_then(Value::as_str) {
        Some("done" | "asked") => {
            Ok(Done { outcome: "done", words: "done; the next poll goes on from there".to_owned() })
        }
        Some("nothing_to_do") => Ok(Done {
            outcome: "nothing_to_do",
            words: "there is nothing to do: it lists from there already".to_owned(),
        }),
        Some("missing") => not_done("it was never polled", "wait for its first poll, which imports it"),
        Some("busy") => not_done("a poller is at work on it", "do it again in a minute"),
        Some("source_failed") => not_done("the source's credential could not be read", &log),
        Some(other) => not_done(&format!("the poller answered {other:?}"), &log),
        None => not_done("the poller's answer names no outcome", "deploy poller and command of the same version"),
    }
}
