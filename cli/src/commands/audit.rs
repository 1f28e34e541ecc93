//! What operators did.

use serde::Serialize;
use tidemark_aws::dynamodb::AuditEntry;

use crate::Ended;
use crate::context::Context;
use crate::failure::Failure;
use crate::time;

#[derive(Serialize)]
struct Entry {
    at: String,
    by: String,
    command: String,
    subject: String,
    what: String,
    why: Option<String>,
}

pub(super) async fn run(context: &mut Context<'_>, limit: usize) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let acts = stack.ledger.acts(limit).await?;
    let entries: Vec<Entry> = acts.iter().map(Entry::of).collect();
    context.show(&entries, |_, context| show(context, &acts, limit))?;
    Ok(Ended::Well)
}

impl Entry {
    fn of(act: &AuditEntry) -> Self {
        let AuditEntry { at, by, command, subject, what, why } = act.clone();
        Self { at: time::rfc3339(at), by, command, subject, what, why }
    }
}

fn show(context: &mut Context<'_>, acts: &[AuditEntry], limit: usize) -> Result<(), Failure> {
    if acts.is_empty() {
        return Ok(writeln!(context.out, "Nobody has changed anything with this command in the last year.")?);
    }
    for act in acts {
        writeln!(context.out, "{}  {}", time::shown(act.at, context.now), act.by)?;
        writeln!(context.out, "  {} {}: {}", act.command, act.subject, act.what)?;
        if let Some(why) = &act.why {
            writeln!(context.out, "  why: {why}")?;
        }
    }
    if acts.len() >= limit {
        writeln!(context.notes, "These are the newest {limit}; --limit shows more.")?;
    }
    Ok(())
}
