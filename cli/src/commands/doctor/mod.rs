//! What is wrong with a deployment, and what to do about it: every check, whatever the others found.
//!
//! A check that may not be made, or cannot be, is reported as unseen with its reason; it stops no other. What needs the
//! vendor is asked of the source's own poller function.

mod settings;
mod stack;
mod vendor;

use comfy_table::{Attribute, Cell, Color};
use serde::Serialize;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_sources::probe::Verdict;

use crate::Ended;
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::{Deployment, Stack};
use crate::time;

/// What all checks found.
#[derive(Serialize)]
struct Report {
    stack: String,
    at: String,
    failure_count: usize,
    warning_count: usize,
    unseen_count: usize,
    checks: Vec<Checked>,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
struct Checked {
    source: Option<SourceKind>,
    stream: Option<StreamName>,
    check: &'static str,
    verdict: Verdict,
    what: String,
    next: Option<String>,
    /// Whether a call to AWS was refused or had no answer.
    #[serde(skip)]
    is_denied: bool,
}

impl Checked {
    fn of(check: &'static str, verdict: Verdict, what: impl Into<String>) -> Self {
        Self { source: None, stream: None, check, verdict, what: what.into(), next: None, is_denied: false }
    }

    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self::of(check, Verdict::Ok, what)
    }

    fn warning(check: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::of(check, Verdict::Warning, what) }
    }

    fn failure(check: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::of(check, Verdict::Failure, what) }
    }

    /// A check that could not be made.
    fn unseen(check: &'static str, failure: impl Into<Failure>) -> Self {
        let text = failure.into().to_string();
        let (what, next) = text.split_once("\nnext: ").map_or((text.as_str(), None), |(what, next)| (what, Some(next)));
        Self { next: next.map(str::to_owned), is_denied: true, ..Self::of(check, Verdict::Unseen, what) }
    }

    /// Whether there is nothing to say but that it is well.
    fn is_plainly_well(&self) -> bool {
        self.verdict == Verdict::Ok && self.next.is_none() && self.check != "import"
    }

    fn about(self, source: SourceKind) -> Self {
        Self { source: Some(source), ..self }
    }

    fn of_stream(self, stream: &StreamName) -> Self {
        Self { stream: Some(stream.clone()), ..self }
    }
}

pub(super) async fn run(context: &mut Context<'_>, source: Option<SourceKind>) -> Result<Ended, Failure> {
    let stack = match context.stack().await {
        Ok(stack) => stack,
        // No stack, or no way to it: that is what there is to say.
        Err(failure @ Failure::Unreachable(_)) => {
            let name = context.global.stack.clone();
            let report = Report::of(&name, context, vec![Checked::unseen("stack", failure)]);
            report.show(context)?;
            return Ok(Ended::NotSeen);
        }
        Err(failure) => return Err(failure),
    };
    if let Some(source) = source {
        stack.source(source)?;
    }
    let checks = check(context, &stack, source).await?;
    let report = Report::of(&stack.name, context, checks);
    report.show(context)?;
    Ok(report.ended())
}

/// Every check of the stack and of its sources, or of one of them.
async fn check(context: &mut Context<'_>, stack: &Stack, source: Option<SourceKind>) -> Result<Vec<Checked>, Failure> {
    let wanted = |deployment: &&Deployment| source.is_none_or(|source| source == deployment.source);
    let sources: Vec<&Deployment> = stack.sources.iter().filter(wanted).collect();
    let terminal = context.terminal;
    let sdk = context.sdk().await?;
    let mut checks = stack::of_stack(sdk, stack).await;
    checks.extend(settings::of_stack(stack));
    let schedules = stack::schedules(sdk, stack).await;
    for deployment in &sources {
        checks.extend(stack::of_source(sdk, stack, deployment, &schedules).await);
        checks.extend(settings::of_source(stack, deployment.source).await);
    }
    checks.extend(vendor::of_sources(sdk, stack, &sources, terminal).await);
    // The stack first, then each source with what belongs to it.
    checks.sort_by_key(|checked| checked.source);
    Ok(checks)
}

impl Report {
    fn of(stack: &str, context: &Context<'_>, checks: Vec<Checked>) -> Self {
        let count = |verdict| checks.iter().filter(|checked| checked.verdict == verdict).count();
        Self {
            stack: stack.to_owned(),
            at: time::rfc3339(context.now),
            failure_count: count(Verdict::Failure),
            warning_count: count(Verdict::Warning),
            unseen_count: checks.iter().filter(|checked| checked.is_denied).count(),
            checks,
        }
    }

    fn ended(&self) -> Ended {
        if self.failure_count + self.warning_count > 0 {
            Ended::WithAttention
        } else if self.unseen_count > 0 {
            Ended::NotSeen
        } else {
            Ended::Well
        }
    }

    fn show(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.show(self, |report, context| {
            let page = report.page(context);
            Ok(context.out.write_all(page.as_bytes())?)
        })
    }

    fn page(&self, context: &Context<'_>) -> String {
        let mut page = format!("{}  {}\n\n", self.stack, time::absolute(context.now));
        let mut table = page::table(context.terminal, ["", "CHECK", "FOUND"]);
        let of_place = |one: &Checked, other: &Checked| one.source == other.source && one.stream == other.stream;
        let mut source = None;
        for group in self.checks.chunk_by(of_place) {
            let place = group.first().and_then(|checked| checked.stream.as_ref());
            if let Some(checked) = group.first().filter(|checked| checked.source != source) {
                source = checked.source;
                table.add_row(vec![source.map_or("", SourceKind::as_str)]);
            }
            // What is well with a stream fits in one line.
            let (well, others): (Vec<_>, Vec<_>) =
                group.iter().partition(|checked| place.is_some() && checked.is_plainly_well());
            if let (Some(place), false) = (place, well.is_empty()) {
                let names: Vec<&str> = well.iter().map(|checked| checked.check).collect();
                table.add_row(vec![word(Verdict::Ok), Cell::new(place), Cell::new(names.join(", "))]);
            }
            for checked in others {
                let place = place.map_or_else(String::new, |stream| format!("{stream} "));
                let name = Cell::new(format!("{place}{}", checked.check));
                table.add_row(vec![word(checked.verdict), name, Cell::new(&checked.what)]);
                if let Some(next) = &checked.next {
                    table.add_row(vec![String::new(), String::new(), format!("next: {next}")]);
                }
            }
        }
        page.push_str(&page::lines(&table));
        let ok_count = self.checks.iter().filter(|checked| checked.verdict == Verdict::Ok).count();
        let mut counts = vec![page::plural(self.failure_count, "failure"), page::plural(self.warning_count, "warning")];
        counts.push(format!("{ok_count} ok"));
        if self.unseen_count > 0 {
            counts.push(format!("{} could not be looked at", self.unseen_count));
        }
        format!("{page}\n{}\n", counts.join(", "))
    }
}

/// A verdict, in the colour of how urgent it is.
fn word(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Ok => Cell::new("ok").fg(Color::Green),
        Verdict::Warning => Cell::new("warning").fg(Color::Yellow),
        Verdict::Failure => Cell::new("failure").fg(Color::Red).add_attribute(Attribute::Bold),
        Verdict::Unseen => Cell::new("-").fg(Color::DarkGrey),
    }
}
