//! FSM Navigator: numbered pages of whole rows, behind an API key.
//!
//! Each object type is a stream. A list answers pages of whole rows, so a record needs no call of its own; one is fetched
//! by its id only to try a quarantined one again, when its row is too long for a message, or when its row is no JSON.
//! Lists of jobs take a lower bound; the others are listed whole, and the engine leaves out what is stored already. What
//! belongs to a parent is listed by one call a parent (`children.rs`).
//!
//! The vendor describes its answers in two ways that contradict each other (`answer.rs`); both are read. A status 200
//! may have `"success":false`, and a refusal may be somebody else's, so no answer is believed before it was looked at for
//! that (`call.rs`). Every answer says how many calls are left: they slow the calls down before the vendor refuses them.
//!
//! **A first import** sends no bound, so that rows without a stamp are imported, too; then it compares once what a bound
//! shows (`rows/probe.rs`). **A bound that is ignored** later shows in rows that are older than it. They are kept and a
//! warning is logged once: the engine compares every row with what is stored, so they cost time and nothing else. Leaving
//! them out here could hide a change that became visible late.
//!
//! How one could get it wrong: believe a status, take a short page for the last one, log a message of the vendor (it may
//! name a customer), or try a refused request again: the guide forbids it for every status from 400 on but 429 and 5xx.
//!
//! Source: the vendor's best-practices guide and the reference pages below `fsmnavigator.com/docs/api`; what they leave
//! open is in [`FsmNavigatorSettings`].

mod answer;
mod call;
mod children;
mod error_codes;
mod settings;
pub(crate) mod streams;
mod time;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;

use self::answer::Reader;
use self::call::{Call, Judged, Outcome};
use self::children::Failing;
use self::settings::DetailStyle;
pub use self::settings::FsmNavigatorSettings;
pub(crate) use self::settings::FsmNavigatorSettings as Settings;
use self::streams::ObjectType;
use crate::account::Account;
use crate::credential::{self, Keeper};
use crate::http::{BaseUrl, DETAIL_BYTES_MAX, HttpClient, PAGE_BYTES_MAX, Purpose, RequestsPerSecond, Terms};
use crate::rows::{Honoured, Listed, Rows, Told, tell_of_odd};
use crate::time::reading;

/// Where the functions are below the vendor's host.
const BASE_PATH: &str = "/api/v1";
/// How far a row's stamp may lie below the bound before the bound counts as ignored: a second, and another because the
/// bound is sent cut to the second.
const BOUND_TOLERANCE: Duration = Duration::from_secs(2);
/// What a person can do about a bound that is not applied.
const BOUND_STEP: &str = "set filter_parameter to the vendor's name of the lower bound, or incremental of this stream to client_scan \
                          (the list is then read whole each time); nothing is imported before";

/// What the names of its parameters and outputs begin with.
pub(crate) const PREFIX: &str = "FsmNavigator";
/// What the secret holds.
pub(crate) const SECRET: [&str; 1] = ["api_key"];

/// An FSM Navigator account.
pub struct FsmNavigator<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 1>,
    settings: FsmNavigatorSettings,
    streams: Vec<StreamTraits>,
    ignored_bound_is_told: AtomicBool,
    honoured: Honoured,
    told: Told,
    failing: Failing,
}

/// A key.
type Credential = credential::Credential<1>;

impl<C: Clock, K: Credentials> FsmNavigator<C, K> {
    /// A source for the account at `base`: `https://fsmnavigator.com`, with or without the `/api/v1` below which the
    /// addresses are.
    pub fn new(
        base: BaseUrl,
        settings: FsmNavigatorSettings,
        rate: RequestsPerSecond,
        credentials: K,
        clock: C,
    ) -> Self {
        let http = HttpClient::new(base.or_path(BASE_PATH), rate, error_codes::is_own_error, clock).reading_throttled();
        let streams = streams::traits(&settings);
        let credential = Keeper::new(SECRET, credentials);
        let ignored_bound_is_told = AtomicBool::new(false);
        let (honoured, told, failing) = (Honoured::default(), Told::default(), Failing::default());
        Self { http, credential, settings, streams, ignored_bound_is_told, honoured, told, failing }
    }
}

impl<C: Clock, K: Credentials> Source for FsmNavigator<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FsmNavigator
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let object_type = streams::known(stream)?;
        let ListRequest::Page(from, page) = request else {
            let cause = format!("GET /{}: FSM Navigator lists pages, no ids alone and no events", object_type.resource);
            return Err(SourceFailure::new(FailureClass::Forbidden, cause));
        };
        if let Some(parent) = &object_type.parent {
            return self.children_of_page(object_type, parent, page).await;
        }
        let is_filtered = self.settings.is_filtered(object_type);
        let is_first_import = from <= self.settings.first_checkpoint;
        let bound = Some(from).filter(|_| is_filtered && !(is_first_import && self.settings.imports_all()));
        let mut listed = self.rows(object_type, page, bound).await?;
        if let Listed::Rows(rows, _) = &mut listed {
            let corrected = self.told.correct(stream, from, page, bound.is_some(), rows);
            let call = || format!("GET /{}?page={page}", object_type.resource);
            corrected.map_err(|malformed| malformed.into_failure(&call(), Purpose::List))?;
            if let Some(bound) = bound {
                self.check_bound(object_type, bound, rows);
            }
            if is_filtered && is_first_import && page == 1 {
                self.check_applied(object_type, bound, rows).await?;
            }
        }
        Ok(listed.into_page())
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let object_type = streams::known(stream)?;
        if let Some(parent) = &object_type.parent {
            return self.child(object_type, parent, id).await;
        }
        let call = self.detail_call(object_type, id.as_str());
        let Judged { outcome, date } = self.call(&call).await?;
        let found = match outcome {
            Outcome::Json(sent) => self
                .reader(object_type)
                .record(sent.json())
                .map_err(|malformed| malformed.into_failure(&call.name, Purpose::Detail))?,
            Outcome::Gone => Found::Gone,
            Outcome::Missing | Outcome::Nothing | Outcome::PageRefused => Found::Missing,
        };
        Ok(Detail { found, date })
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        Ok(self.settings.tell_of_lists(Account::of(self.kind(), self.http.base())).mark())
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        let is_stamped = streams::of_stream(stream).is_some_and(|known| self.settings.is_stamped(known));
        is_stamped.then(|| time::stamp(text))?
    }
}

impl<C, K> Shown for FsmNavigator<C, K> {}

impl<C: Clock, K: Credentials> FsmNavigator<C, K> {
    fn reader(&self, object_type: &'static ObjectType) -> Reader<'_> {
        Reader { object_type, settings: &self.settings }
    }

    /// One page of a list, of what changed after `bound` if there is one.
    async fn rows(
        &self,
        object_type: &'static ObjectType,
        page: u32,
        bound: Option<StampMillis>,
    ) -> Result<Listed, SourceFailure> {
        let (page_text, per_page) = (page.to_string(), self.settings.per_page.to_string());
        let bound_text = bound.map(time::written);
        let mut query = vec![("page", page_text.as_str()), ("per_page", per_page.as_str())];
        query.extend(bound_text.as_deref().map(|bound| (self.settings.filter_parameter.as_str(), bound)));
        query.extend(self.settings.query(object_type));
        let call = Call {
            object_type,
            name: format!("GET /{}?page={page}", object_type.resource),
            segments: vec![object_type.resource],
            query,
            terms: Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX },
            page: Some(page),
        };
        let Judged { outcome, date } = self.page_call(&call).await?;
        let rows = match outcome {
            Outcome::Json(sent) => self
                .reader(object_type)
                .page(&sent, page)
                .map_err(|malformed| malformed.into_failure(&call.name, Purpose::List))?,
            Outcome::Nothing => Rows::default(),
            Outcome::PageRefused => return Ok(Listed::Refused(date)),
            Outcome::Gone | Outcome::Missing => {
                let cause = format!("{}: the vendor says that there is no such list", call.name);
                return Err(SourceFailure::new(FailureClass::Transient, cause));
            }
        };
        tell_of_odd(&object_type.stream, page, &rows);
        Ok(Listed::Rows(rows, date))
    }

    /// Says once that the vendor lists rows from before the bound.
    fn check_bound(&self, object_type: &ObjectType, from: StampMillis, rows: &Rows) {
        let row_count = rows.count_before(from.minus(BOUND_TOLERANCE));
        if row_count > 0 && !self.ignored_bound_is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                stream = %object_type.stream,
                row_count,
                "the list shows rows from before the time that was asked for; if it always does, set this stream to client_scan"
            );
        }
    }

    /// On a first import: refuses a list whose bound is not applied.
    async fn check_applied(
        &self,
        object_type: &'static ObjectType,
        bound: Option<StampMillis>,
        rows: &Rows,
    ) -> Result<(), SourceFailure> {
        let first_page = async |bound| Ok(self.rows(object_type, 1, bound).await?.into_rows());
        if self.honoured.is_applied(&object_type.stream, bound, rows, first_page).await? {
            return Ok(());
        }
        let cause = format!(
            "GET /{}: with {} the list does not show what it shows without, so that changes would never be seen",
            object_type.resource, self.settings.filter_parameter
        );
        Err(SourceFailure::new(FailureClass::Forbidden, cause).with_next_step(BOUND_STEP))
    }

    /// The call that fetches one record.
    fn detail_call<'a>(&self, object_type: &'static ObjectType, id: &'a str) -> Call<'a> {
        let resource = object_type.resource;
        let terms = Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX };
        let (name, segments, query) = match self.settings.detail_style {
            DetailStyle::Query => (format!("GET /{resource}?id=.."), vec![resource], vec![("id", id)]),
            DetailStyle::Path => (format!("GET /{resource}/{{id}}"), vec![resource, id], Vec::new()),
        };
        Call { object_type, name, segments, query, terms, page: None }
    }
}
