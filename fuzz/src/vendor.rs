//! A vendor that answers as the input says, and a real source that asks it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_sources::fuzzing::{self, Asked, Reply};
use tidemark_sources::registry::{self, AnySource, SourceConfig};

use crate::world::{Keys, Time, finished, secret};
use crate::{laws, log, memory};

/// Where the vendor usually is.
pub(crate) const BASE_URL: &str = "https://vendor.example/base";
/// After so many calls the vendor is down, so that a list without an end ends.
const CALLS_MAX: usize = 40;

/// A source before it asks.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The vendor.
    pub kind: SourceKind,
    /// Its settings.
    pub settings: &'a str,
    /// Where it is.
    pub base_url: &'a str,
    /// Its secret; none for one that is good.
    pub secret: Option<&'a str>,
}

/// What a source came to.
#[derive(Debug)]
pub enum Outcome {
    /// It listed a page.
    Page(Page),
    /// It fetched a record.
    Detail(Detail),
    /// It failed.
    Failed(SourceFailure),
}

/// All that came of a call.
#[derive(Debug)]
pub struct Played {
    /// What was answered to the caller.
    pub outcome: Outcome,
    /// What was asked of the vendor.
    pub asked: Vec<Asked>,
    /// What was logged.
    pub lines: Vec<String>,
    /// How long was slept.
    pub slept: Duration,
}

impl Setup<'_> {
    /// Such a vendor with its usual settings, address and secret.
    pub const fn of(kind: SourceKind) -> Self {
        Self { kind, settings: "{}", base_url: BASE_URL, secret: None }
    }

    /// The source; none where the settings or the address are refused.
    pub fn build(&self, time: Time) -> Option<AnySource<Time, Keys>> {
        let secret = self.secret.map_or_else(|| secret(self.kind).0, str::to_owned);
        let Self { kind, base_url, settings, .. } = *self;
        let config = SourceConfig { kind, base_url, settings, requests_per_second: "100000" };
        registry::build(config, Keys(secret), time).ok()
    }
}

/// What a source asks for.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A page of a list.
    List(&'a StreamName, ListRequest<'a>),
    /// A record.
    Fetch(&'a StreamName, &'a RecordId),
}

/// Plays these answers to a call, the last one again and again, and holds what comes of it to the laws of all calls.
pub fn play(setup: Setup<'_>, replies: &[Reply], call: Call<'_>) -> Option<Played> {
    let time = Time::default();
    let source = setup.build(time.clone())?;
    let asked = Rc::new(RefCell::new(Vec::new()));
    let given = replies.to_vec();
    let seen = Rc::clone(&asked);
    fuzzing::play(move |request| {
        let mut seen = seen.borrow_mut();
        let reply = given.get(seen.len()).or(given.last()).filter(|_| seen.len() < CALLS_MAX);
        seen.push(request);
        reply.cloned().unwrap_or_else(down)
    });
    let ((outcome, lines), peak) = memory::peak_of(|| {
        log::of(|| match call {
            Call::List(stream, request) => {
                finished(source.list(stream, request)).map_or_else(Outcome::Failed, Outcome::Page)
            }
            Call::Fetch(stream, id) => finished(source.fetch(stream, id)).map_or_else(Outcome::Failed, Outcome::Detail),
        })
    });
    let asked = asked.take();
    let played = Played { outcome, asked, lines, slept: time.slept() };
    laws::hold(&setup, &source, replies, call, &played, peak);
    Some(played)
}

fn down() -> Reply {
    let mut reply = Response::new(Vec::new());
    *reply.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    reply
}

/// A page whose rows are answered once more is the same page, but for what the answer says beside its rows. Pages with rows
/// that have only their ids left are passed over.
pub fn again(setup: Setup<'_>, before: &[Reply], around: [&str; 2], call: Call<'_>, page: &Page) {
    let rows: Option<Vec<&str>> = page.changes.iter().map(|change| Some(change.row()?.text())).collect();
    let Some(rows) = rows.filter(|rows| !rows.is_empty()) else { return };
    let [open, close] = around;
    let mut replies = before.to_vec();
    replies.push(Response::new(format!("{open}{}{close}", rows.join(",")).into_bytes()));
    match play(setup, &replies, call).expect("it was built before").outcome {
        Outcome::Page(again) => assert_eq!(again.changes, page.changes, "another page by the same rows"),
        outcome => panic!("no page by the same rows: {outcome:?}"),
    }
}
