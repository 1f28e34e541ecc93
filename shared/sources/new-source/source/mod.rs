//! Acme: numbered pages of whole rows, behind an API key.
//!
//! How one could get it wrong: not written yet, see docs/add-a-source.md, section 1.
//!
//! Source: not written yet, see docs/add-a-source.md, section 1. What it leaves open is in [`AcmeSettings`].

mod answer;
mod call;
mod settings;
pub(crate) mod streams;

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;

use self::call::{Call, Judged, Outcome};
pub use self::settings::AcmeSettings;
pub(crate) use self::settings::AcmeSettings as Settings;
use self::streams::ObjectType;
use crate::account::Account;
use crate::credential::Keeper;
use crate::http::{BaseUrl, DETAIL_BYTES_MAX, HttpClient, PAGE_BYTES_MAX, Purpose, RequestsPerSecond, Terms};
use crate::rows::{Honoured, Listed, Rows, Told, tell_of_odd};
use crate::time;

/// What a person can do about a bound that is not applied.
const BOUND_STEP: &str = "report it to the maintainers: the list does not apply its lower bound; nothing is imported before";

/// What the names of its parameters and outputs begin with.
pub(crate) const PREFIX: &str = "Acme";
/// What the secret holds.
pub(crate) const SECRET: [&str; 1] = ["api_key"];

/// An Acme account.
pub struct Acme<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 1>,
    settings: AcmeSettings,
    streams: Vec<StreamTraits>,
    honoured: Honoured,
    told: Told,
}

impl<C: Clock, K: Credentials> Acme<C, K> {
    /// A source for the account at `base`.
    pub fn new(base: BaseUrl, settings: AcmeSettings, rate: RequestsPerSecond, credentials: K, clock: C) -> Self {
        let http = HttpClient::new(base, rate, answer::is_own_error, clock);
        let streams = streams::traits(&settings);
        let credential = Keeper::new(SECRET, credentials);
        let (honoured, told) = (Honoured::default(), Told::default());
        Self { http, credential, settings, streams, honoured, told }
    }
}

impl<C: Clock, K: Credentials> Source for Acme<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::Acme
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let object_type = streams::known(stream)?;
        let ListRequest::Page(from, page) = request else {
            let cause = format!("GET /{}: Acme lists pages, no ids alone and no events", object_type.path);
            return Err(SourceFailure::new(FailureClass::Forbidden, cause));
        };
        // A bound leaves out what has no stamp, so a first import sends none.
        let is_first_import = from <= self.settings.first_checkpoint;
        let bound = Some(from).filter(|_| !is_first_import);
        let mut listed = self.rows(object_type, page, bound).await?;
        if let Listed::Rows(rows, _) = &mut listed {
            let corrected = self.told.correct(stream, from, page, bound.is_some(), rows);
            let call = || format!("GET /{}?page={page}", object_type.path);
            corrected.map_err(|malformed| malformed.into_failure(&call(), Purpose::List))?;
            if is_first_import && page == 1 {
                self.check_applied(object_type, rows).await?;
            }
        }
        Ok(listed.into_page())
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let object_type = streams::known(stream)?;
        let call = Call {
            name: format!("GET /{}/..", object_type.path),
            segments: vec![object_type.path, id.as_str()],
            query: Vec::new(),
            terms: Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX },
            page: None,
        };
        let Judged { outcome, date } = self.call(&call).await?;
        let found = match outcome {
            Outcome::Json(sent) => answer::record(sent.json())
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
        time::reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        streams::known(stream).is_ok().then(|| answer::stamp(text))?
    }
}

impl<C, K> Shown for Acme<C, K> {}

impl<C: Clock, K: Credentials> Acme<C, K> {
    /// One page of a list, of what changed after `bound` if there is one.
    async fn rows(
        &self,
        object_type: &ObjectType,
        page: u32,
        bound: Option<StampMillis>,
    ) -> Result<Listed, SourceFailure> {
        let (page_text, per_page) = (page.to_string(), self.settings.per_page.to_string());
        let bound = bound.map(|from| time::bound(from).strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let mut query = vec![("page", page_text.as_str()), ("per_page", per_page.as_str())];
        query.extend(bound.as_deref().map(|bound| ("updated_since", bound)));
        let call = Call {
            name: format!("GET /{}?page={page}", object_type.path),
            segments: vec![object_type.path],
            query,
            terms: Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX },
            page: Some(page),
        };
        let mut judged = self.call(&call).await?;
        if matches!(judged.outcome, Outcome::PageRefused) {
            // It may be the end, so it is asked once more: one refusal may be a slip.
            judged = self.call(&call).await?;
        }
        let rows = match judged.outcome {
            Outcome::Json(sent) => {
                answer::page(&sent, page).map_err(|malformed| malformed.into_failure(&call.name, Purpose::List))?
            }
            Outcome::PageRefused => return Ok(Listed::Refused(judged.date)),
            Outcome::Nothing | Outcome::Gone | Outcome::Missing => Rows::default(),
        };
        tell_of_odd(&object_type.stream, page, &rows);
        Ok(Listed::Rows(rows, judged.date))
    }

    /// On a first import: refuses a list whose bound is not applied.
    async fn check_applied(&self, object_type: &ObjectType, rows: &Rows) -> Result<(), SourceFailure> {
        let first_page = async |bound| Ok(self.rows(object_type, 1, bound).await?.into_rows());
        if self.honoured.is_applied(&object_type.stream, None, rows, first_page).await? {
            return Ok(());
        }
        let cause = format!(
            "GET /{}: with updated_since the list does not show what it shows without, so that changes would never be seen",
            object_type.path
        );
        Err(SourceFailure::new(FailureClass::Forbidden, cause).with_next_step(BOUND_STEP))
    }
}
