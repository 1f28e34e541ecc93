//! The probe of one stream: what is asked, and what is reported of the answers.

use serde_json::Value;
use tidemark_engine::change::{Change, ListRequest, Page, WhyLater};
use tidemark_engine::clock::{OFFSET_MAX, VendorMillis, millis_of};
use tidemark_engine::failure::{FailureClass, SourceFailure, causes};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::stream::{ListShape, StreamName, StreamTraits};

use super::facts::{Facts, Fetched, Filtered, Halt, Look, vendors};
use super::{Bench, Check, Finding, StreamProbe, Verdict, laid_over, next_step};
use crate::http::ALLOW_LIST_STEP;
use crate::registry::parameter_prefix;

/// How many pages of a part are read to find a record.
const PART_PAGES_MAX: u32 = 3;

/// A stream that is tried out.
pub(super) struct Trial<'a, B, C, T> {
    bench: &'a B,
    clock: &'a C,
    turn: T,
    name: &'a StreamName,
    found: StreamProbe,
}

impl<'a, B: Bench, C: Clock, E, T: AsyncFn() -> Result<(), E>> Trial<'a, B, C, T> {
    pub(super) fn new(bench: &'a B, clock: &'a C, turn: T, name: &'a StreamName) -> Self {
        Self { bench, clock, turn, name, found: StreamProbe::default() }
    }

    pub(super) async fn run(mut self) -> Result<StreamProbe, E> {
        let source = match self.bench.build(self.bench.settings()) {
            Ok(source) => source,
            Err(bad) => {
                let next = format!("correct {}", self.settings_name());
                self.note(Check::Settings, Verdict::Failure, bad.to_string(), Some(next));
                return Ok(self.found);
            }
        };
        let ended = match traits_of(&source, self.name) {
            Some(traits) if traits.shape == ListShape::Feed => self.try_feed(&source, &traits).await,
            Some(traits) => self.try_list(&source, &traits).await,
            None => Ok(()),
        };
        match ended {
            Ok(()) => Ok(self.found),
            Err(Halt::NoTurn(error)) => Err(error),
            Err(Halt::Vendor(failure)) => {
                self.note_unlisted(&failure, None);
                Ok(self.found)
            }
        }
    }

    async fn try_list(&mut self, source: &B::Source, traits: &StreamTraits) -> Result<(), Halt<E>> {
        let look = Look { source, clock: self.clock, turn: &self.turn, traits };
        let facts = match vendors(look.facts().await)? {
            Ok(facts) => facts,
            Err(failure) => {
                let better = match failure.class {
                    FailureClass::Forbidden => self.better(traits, Check::List).await?,
                    _ => None,
                };
                self.note_unlisted(&failure, better);
                return Ok(());
            }
        };
        self.note_reached(source, facts.recent.date);
        let (recent, whole) = (&facts.recent, facts.whole.as_ref().ok());
        let shown = format!("{} since yesterday", records(recent, traits));
        let all = whole.map_or_else(String::new, |whole| format!("; in all {}", records(whole, traits)));
        self.note(Check::List, Verdict::Ok, format!("it may be listed: {shown}{all}"), None);
        self.found.import_calls_count = whole.and_then(|whole| import_calls(whole, traits));
        self.note_filter(traits, &facts).await?;
        self.note_fetch(traits, &facts.fetched).await
    }

    async fn note_filter(&mut self, traits: &StreamTraits, facts: &Facts) -> Result<(), Halt<E>> {
        let failed = match (&facts.whole, &facts.filtered) {
            (Err(failure), _) | (Ok(_), Err(failure)) => {
                let verdict = if failure.class == FailureClass::Forbidden { Verdict::Failure } else { Verdict::Unseen };
                (verdict, causes(failure), next_step(failure))
            }
            (Ok(_), Ok(Filtered::Ignored(shown))) => {
                let next = format!(
                    "compare the name and the form of the lower bound in {} with the vendor's documentation; until then a poll \
                     reads everything, or misses changes",
                    self.settings_name()
                );
                (Verdict::Failure, format!("the vendor does not apply the lower bound: {shown}"), next)
            }
            (Ok(_), Ok(Filtered::Nothing)) => {
                let next = format!(
                    "nothing if the account has no such record; else compare the name of the lower bound in {} with the vendor's \
                     documentation",
                    self.settings_name()
                );
                (Verdict::Warning, "the list shows no record at all, not even to a first import".to_owned(), next)
            }
            (Ok(_), Ok(Filtered::TakesNone)) => {
                let what = "the list takes no lower bound: it is read whole each time, as often as ScanRate says";
                // That reads less is a hint, not a fault.
                let next = self.better(traits, Check::Filter).await?;
                self.note(Check::Filter, Verdict::Ok, what.to_owned(), next);
                return Ok(());
            }
            (Ok(_), Ok(Filtered::Applied)) => {
                self.note(Check::Filter, Verdict::Ok, "the lower bound is applied".to_owned(), None);
                self.note(Check::Zone, Verdict::Ok, "nothing was edited in the future".to_owned(), None);
                return Ok(());
            }
            (Ok(_), Ok(Filtered::Ahead(count))) => {
                self.note(Check::Filter, Verdict::Ok, "the lower bound is applied".to_owned(), None);
                let what = format!("{count} records seem to have been edited in the future");
                let next = format!(
                    "compare the time zone in {} with the vendor account's, which is further east; if they agree, the vendor's \
                     clock is wrong",
                    self.settings_name()
                );
                self.note(Check::Zone, Verdict::Failure, what, Some(next));
                return Ok(());
            }
        };
        let (verdict, what, next) = failed;
        let better = if verdict == Verdict::Unseen { None } else { self.better(traits, Check::Filter).await? };
        // An account without records is no reason to change a setting, unless that shows some.
        self.note(Check::Filter, verdict, what, better.or(Some(next)));
        Ok(())
    }

    async fn note_fetch(
        &mut self,
        traits: &StreamTraits,
        fetched: &Result<Fetched, SourceFailure>,
    ) -> Result<(), Halt<E>> {
        let (verdict, what, next) = match fetched {
            Ok(Fetched::NoRecord) => {
                self.note(Check::Fetch, Verdict::Unseen, "there is no record to fetch".to_owned(), None);
                return Ok(());
            }
            Ok(Fetched::There(stamp)) if stamp.is_some() || !traits.stamped => {
                self.note(Check::Fetch, Verdict::Ok, "a record may be fetched".to_owned(), None);
                return Ok(());
            }
            Ok(Fetched::There(_)) => (
                Verdict::Warning,
                "a record may be fetched, and has no stamp that can be read".to_owned(),
                format!("compare the stamp field in {} with the fields that the vendor sends", self.settings_name()),
            ),
            Ok(Fetched::NotThere) => (
                Verdict::Failure,
                "a record that is listed is not there when it is asked for by its id".to_owned(),
                format!(
                    "compare how a record is asked for in {} with the vendor's documentation",
                    self.settings_name()
                ),
            ),
            Err(failure) => (Verdict::Failure, causes(failure), next_step(failure)),
        };
        let is_worth_it = match fetched {
            Err(failure) => matches!(failure.class, FailureClass::Forbidden | FailureClass::Record),
            Ok(_) => true,
        };
        let better = if is_worth_it { self.better(traits, Check::Fetch).await? } else { None };
        self.note(Check::Fetch, verdict, what, better.or(Some(next)));
        Ok(())
    }

    /// The first of the source's other settings with which a check is passed, as a next step.
    async fn better(&self, traits: &StreamTraits, check: Check) -> Result<Option<String>, Halt<E>> {
        for other in self.bench.alternatives(&traits.name, check) {
            let Ok(source) = self.bench.build(&laid_over(self.bench.settings(), &other)) else { continue };
            let Some(traits) = traits_of(&source, self.name) else { continue };
            let look = Look { source: &source, clock: self.clock, turn: &self.turn, traits: &traits };
            if vendors(look.facts().await)?.is_ok_and(|facts| facts.passes(check, &traits)) {
                return Ok(Some(self.set(&other)));
            }
        }
        Ok(None)
    }

    async fn try_feed(&mut self, source: &B::Source, traits: &StreamTraits) -> Result<(), Halt<E>> {
        let newest = self.list(source, ListRequest::NewestToken).await?;
        self.note_reached(source, newest.date);
        if let Some(token) = &newest.next {
            self.list(source, ListRequest::Events(token)).await?;
        }
        self.note(Check::List, Verdict::Ok, "the feed may be read".to_owned(), None);
        for (part, cursor) in self.bench.parts() {
            self.try_part(source, traits, &part, cursor).await?;
        }
        Ok(())
    }

    /// Lists the beginning of a part of a feed's first import, and fetches a record of it.
    async fn try_part(
        &mut self,
        source: &B::Source,
        traits: &StreamTraits,
        part: &StreamName,
        cursor: String,
    ) -> Result<(), Halt<E>> {
        let mut cursor = Some(cursor);
        let mut sample: Option<Change> = None;
        for _ in 0..PART_PAGES_MAX {
            let Some(here) = cursor.take() else { break };
            let page = match vendors(self.list(source, ListRequest::Snapshot(Some(&here))).await)? {
                Ok(page) => page,
                Err(failure) => {
                    self.note_of(part, Check::List, Verdict::Failure, causes(&failure), Some(next_step(&failure)));
                    return Ok(());
                }
            };
            if page.later.is_some_and(|later| later.why == WhyLater::Refused) {
                let next = format!(
                    "give the key's user the right to read this class, turn the vendor's feature on, or leave the class out in {}",
                    self.settings_name()
                );
                self.note_of(part, Check::List, Verdict::Failure, "the vendor refuses its list".to_owned(), Some(next));
                return Ok(());
            }
            sample = page.changes.into_iter().next();
            if sample.is_some() {
                break;
            }
            cursor = page.next;
        }
        self.note_of(part, Check::List, Verdict::Ok, "it may be listed".to_owned(), None);
        let look = Look { source, clock: self.clock, turn: &self.turn, traits };
        match vendors(look.fetch(sample.as_ref()).await)? {
            Ok(Fetched::NoRecord) => {
                self.note_of(part, Check::Fetch, Verdict::Unseen, "there is no record to fetch".to_owned(), None);
            }
            Ok(Fetched::There(_)) => {
                self.note_of(part, Check::Fetch, Verdict::Ok, "a record may be fetched".to_owned(), None);
            }
            Ok(Fetched::NotThere) => {
                let what = "a record that is listed is not there when it is asked for by its id".to_owned();
                let next = format!("compare detail_paths in {} with the vendor's documentation", self.settings_name());
                self.note_of(part, Check::Fetch, Verdict::Failure, what, Some(next));
            }
            Err(failure) => {
                self.note_of(part, Check::Fetch, Verdict::Failure, causes(&failure), Some(next_step(&failure)));
            }
        }
        Ok(())
    }

    async fn list(&self, source: &B::Source, request: ListRequest<'_>) -> Result<Page, Halt<E>> {
        (self.turn)().await.map_err(Halt::NoTurn)?;
        source.list(self.name, request).await.map_err(Halt::Vendor)
    }

    /// The vendor answered a list as one.
    fn note_reached(&mut self, source: &B::Source, date: Option<VendorMillis>) {
        self.note(Check::Reach, Verdict::Ok, "the vendor answers".to_owned(), None);
        self.note(Check::Credential, Verdict::Ok, "the vendor accepts the credential".to_owned(), None);
        if let Some(adopted) = self.bench.adopted(source) {
            let what = "the vendor rejects a setting as it is, and takes another value of it".to_owned();
            self.note(Check::Settings, Verdict::Warning, what, Some(self.set(&adopted)));
        }
        let Some(date) = date else {
            let what = "the answer has no Date header, so the vendor's clock is not known".to_owned();
            let next = "look for a proxy that removes the Date header".to_owned();
            return self.note(Check::Clock, Verdict::Warning, what, Some(next));
        };
        let ahead_ms = date.get().saturating_sub(self.clock.now().get());
        if ahead_ms.saturating_abs() <= millis_of(OFFSET_MAX) {
            return self.note(Check::Clock, Verdict::Ok, "the vendor's clock is right".to_owned(), None);
        }
        let (minutes, side) = (ahead_ms.unsigned_abs() / 60_000, if ahead_ms < 0 { "behind" } else { "ahead of" });
        let next = "compare the Date header of the vendor's answers with the true time; if the vendor is wrong, tell the vendor";
        let what = format!("the vendor's clock is {minutes} min {side} ours");
        self.note(Check::Clock, Verdict::Warning, what, Some(next.to_owned()));
    }

    /// The stream cannot be listed, for a reason that may be the source's.
    fn note_unlisted(&mut self, failure: &SourceFailure, better: Option<String>) {
        let check = match failure.class {
            _ if failure.next_step == Some(ALLOW_LIST_STEP) => Check::Reach,
            FailureClass::Unauthorized | FailureClass::SecretLocked => Check::Credential,
            FailureClass::Transient | FailureClass::Throttled { .. } => Check::Reach,
            FailureClass::Forbidden | FailureClass::Record | FailureClass::TokenRejected => Check::List,
        };
        self.note(check, Verdict::Failure, causes(failure), better.or_else(|| Some(next_step(failure))));
    }

    fn note(&mut self, check: Check, verdict: Verdict, what: String, next: Option<String>) {
        self.found.findings.push(Finding { check, verdict, what, next, part: None });
    }

    fn note_of(&mut self, part: &StreamName, check: Check, verdict: Verdict, what: String, next: Option<String>) {
        self.found.findings.push(Finding { check, verdict, what, next, part: Some(part.clone()) });
    }

    /// The next step to set something.
    fn set(&self, other: &Value) -> String {
        format!("put {other} into {}: it works with that", self.settings_name())
    }

    fn settings_name(&self) -> String {
        format!("{}Settings", parameter_prefix(self.bench.kind()))
    }
}

fn traits_of(source: &impl Source, name: &StreamName) -> Option<StreamTraits> {
    source.streams().iter().find(|traits| traits.name == *name).cloned()
}

/// How many records a list shows.
fn records(page: &Page, traits: &StreamTraits) -> String {
    let count = page.changes.len();
    match page.pages_total {
        Some(pages) if pages > 1 => format!("{pages} pages of {count} records"),
        None if traits.shape == ListShape::Pages && count > 0 => format!("{count} records on the first page"),
        _ if count == 1 => "1 record".to_owned(),
        _ => format!("{count} records"),
    }
}

/// How many calls a first import makes: one a page, or one a record where the list has no rows.
fn import_calls(whole: &Page, traits: &StreamTraits) -> Option<u64> {
    match traits.shape {
        ListShape::Pages => whole.pages_total.map(u64::from),
        ListShape::Whole if !traits.stamped => Some(1),
        ListShape::Whole => u64::try_from(whole.changes.len()).ok().map(|count| count + 1),
        ListShape::Feed => None,
    }
}
