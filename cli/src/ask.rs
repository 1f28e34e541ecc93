//! Plans: what an act will do, the question whether it shall, and the entry that it leaves.

use serde::Serialize;
use serde_json::{Value, json};
use tidemark_aws::dynamodb::AuditEntry;
use tidemark_aws::identity;

use crate::Ended;
use crate::args::Consent;
use crate::context::Context;
use crate::failure::Failure;
use crate::stack::Stack;

/// What an act will do.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    /// The command, such as `checkpoint rewind`.
    pub(crate) command: &'static str,
    /// What it is about, such as `fieldmotion/jobs`.
    pub(crate) subject: String,
    /// What it will do, in a sentence.
    pub(crate) what: String,
    /// What follows from it, each in a sentence.
    pub(crate) effects: Vec<String>,
}

/// An act that was agreed to: who does it.
pub(crate) struct Agreed {
    pub(crate) by: String,
}

/// Shows the plan, asks, and writes the audit entry. Nothing when it is only to be shown.
pub(crate) async fn agree(
    context: &mut Context<'_>,
    stack: &Stack,
    plan: &Plan,
    consent: &Consent,
) -> Result<Option<Agreed>, Failure> {
    agree_to(context, Some(stack), plan, consent).await
}

/// The same where there may be no stack yet, and so nowhere to write an audit entry.
pub(crate) async fn agree_to(
    context: &mut Context<'_>,
    stack: Option<&Stack>,
    plan: &Plan,
    consent: &Consent,
) -> Result<Option<Agreed>, Failure> {
    let on_out = !context.global.json;
    let shown = plan.shown();
    if on_out {
        context.out.write_all(shown.as_bytes())?;
        context.out.flush()?;
    } else {
        context.notes.write_all(shown.as_bytes())?;
    }
    if consent.dry_run {
        return finish(context, plan, "planned", "nothing was done (--dry-run)").map(|_| None);
    }
    if !consent.yes {
        ask(context)?;
    }
    let by = identity::caller(context.sdk().await?).await?;
    let act = AuditEntry {
        at: context.now,
        by: by.clone(),
        command: plan.command.to_owned(),
        subject: plan.subject.clone(),
        what: plan.what.clone(),
        why: consent.why.clone(),
    };
    // Before the act: none happens that is not written down.
    if let Some(stack) = stack {
        stack.ledger.note_act(&act).await?;
    }
    Ok(Some(Agreed { by }))
}

fn ask(context: &mut Context<'_>) -> Result<(), Failure> {
    if !context.terminal.can_ask {
        let what = "nothing was done: there is no terminal to ask on";
        return Err(Failure::Usage(format!("{what}\nnext: say --yes, or --dry-run to see the plan alone")));
    }
    write!(context.notes, "Go on? [y/N] ")?;
    context.notes.flush()?;
    let mut answer = String::new();
    context.answers.read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::NotDone("nothing was done".to_owned()))
}

/// Reports what became of an act.
pub(crate) fn finish(context: &mut Context<'_>, plan: &Plan, outcome: &str, words: &str) -> Result<Ended, Failure> {
    let result: Value = json!({ "plan": plan, "outcome": outcome, "message": words });
    context.show(&result, |_, context| Ok(writeln!(context.out, "{words}")?))?;
    Ok(Ended::Well)
}

impl Plan {
    fn shown(&self) -> String {
        let mut lines = vec![format!("{} {}: {}", self.command, self.subject, self.what)];
        lines.extend(self.effects.iter().map(|effect| format!("  - {effect}")));
        lines.join("\n") + "\n"
    }
}
