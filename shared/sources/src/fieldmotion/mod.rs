//! FieldMotion: signed form posts that list what changed, and one more for each record.
//!
//! Each object type is a stream. Most list all changed ids at once, without stamps and without a cursor; a detail answers
//! one row, which has its stamp. Some list whole rows, in one answer; where such a type has no detail, a single record is
//! looked up in the list of all. Stock containers have ids alone: their record is their id.
//!
//! Every error is an object with `error`, usually with status 200, so no answer is taken for data before it was looked at
//! for one (`call.rs`). A record that is gone is answered with no row, never with a status: the id is in the form, not in
//! the address, so a 404 speaks of the function.
//!
//! How one could get it wrong: reuse a signed form for a second attempt (it is valid for a short time only), take an
//! empty or unreadable answer for "no changes", compare ids as numbers, or turn naive stamps into UTC before they are
//! compared (see `zone.rs`).
//!
//! Source: FieldMotion's "Short Polling" guide and `docs.fieldmotion.com`; what they leave open is in
//! [`FieldMotionSettings`].

mod answer;
mod api_now;
mod call;
mod error_text;
mod settings;
mod signature;
pub(crate) mod streams;
mod vocabulary;
mod zone;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use self::answer::{Entries, Row};
use self::api_now::ApiNow;
use self::call::{Call, Judged, Outcome};
pub use self::settings::FieldMotionSettings;
pub(crate) use self::settings::FieldMotionSettings as Settings;
use self::settings::{FORM_ID, FieldsEncoding};
use self::signature::Parameters;
use self::streams::ObjectType;
use crate::account::Account;
use crate::credential::{self, Keeper};
use crate::http::{
    BaseUrl, DETAIL_BYTES_MAX, HttpClient, ID_LIST_BYTES_MAX, PAGE_BYTES_MAX, Purpose, RequestsPerSecond, Terms,
};
use crate::json::Malformed;
use crate::rows::{Honoured, Listed, Rows, tell_of_odd};

/// How far before the bound a listed row may have been edited without doubt in the bound: the vendor's stamps and clock
/// may differ by a zone.
const BOUND_TOLERANCE: Duration = Duration::from_hours(26);
/// What a person can do about a bound that is not applied.
const BOUND_STEP: &str = "set rows_parameter in FieldMotionSettings to the vendor's name of the lower bound; nothing is imported \
                          before";

/// What the names of its parameters and outputs begin with.
pub(crate) const PREFIX: &str = "FieldMotion";
/// What the secret holds.
pub(crate) const SECRET: [&str; 2] = ["api_id", "api_key"];

/// A FieldMotion account.
pub struct FieldMotion<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 2>,
    settings: FieldMotionSettings,
    streams: Vec<StreamTraits>,
    api_now: ApiNow,
    ignored_bound_is_told: AtomicBool,
    honoured: Honoured,
}

/// A key and its id.
type Credential = credential::Credential<2>;

impl<C, K> FieldMotion<C, K> {
    /// The form of the time that the vendor takes, where it is another one than the settings say.
    pub(crate) fn adopted(&self) -> Option<Value> {
        let used = self.api_now.format();
        (used != self.settings.api_now_format).then(|| json!({ "api_now_format": used.as_str() }))
    }
}

impl<C: Clock, K: Credentials> FieldMotion<C, K> {
    /// A source for the account at `base`: `https://cpXX.fieldmotion.com`, with or without the `/a` below which the
    /// functions are.
    pub fn new(
        base: BaseUrl,
        settings: FieldMotionSettings,
        rate: RequestsPerSecond,
        credentials: K,
        clock: C,
    ) -> Self {
        let http = HttpClient::new(base.or_path("/a"), rate, answer::is_own_error, clock);
        let (streams, api_now) = (streams::traits(&settings), ApiNow::new(settings.api_now_format));
        let credential = Keeper::new(SECRET, credentials);
        let ignored_bound_is_told = AtomicBool::new(false);
        Self { http, credential, settings, streams, api_now, ignored_bound_is_told, honoured: Honoured::default() }
    }
}

impl<C: Clock, K: Credentials> Source for FieldMotion<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FieldMotion
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let object_type = streams::known(stream)?;
        match (request, self.settings.row_list(object_type), object_type.ids) {
            (ListRequest::Changed(from), None, Some(function)) => {
                self.list_ids(&self.id_list(object_type, function, from)).await
            }
            (ListRequest::Page(from, 1), Some(function), _) => {
                let (rows, date) = self.list_rows(object_type, function, Some(from)).await?;
                self.check_bound(object_type, from, &rows);
                if from <= self.settings.first_checkpoint {
                    self.check_applied(object_type, function, &rows).await?;
                }
                Ok(Listed::Rows(rows, date).into_page())
            }
            (ListRequest::Page(..), Some(_), _) => Ok(Page { pages_total: Some(1), ..Page::default() }),
            _ => {
                let cause = format!("FieldMotion lists all of {stream} at once, and no events");
                Err(SourceFailure::new(FailureClass::Forbidden, cause))
            }
        }
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let object_type = streams::known(stream)?;
        let function = match (object_type.detail, object_type.rows) {
            (Some(function), _) => function,
            (None, Some(function)) => return self.looked_up(object_type, function, id).await,
            (None, None) => return Ok(Detail { found: id_alone(id), date: None }),
        };
        let call = self.detail_call(object_type, function, id);
        let Judged { outcome, date } = self.call(&call).await?;
        let row = match outcome {
            Outcome::Json(sent) => answer::row(sent.json(), id, self.settings.empty_object_is_empty),
            Outcome::Nothing => Ok(Row::Missing),
            Outcome::Gone => Ok(Row::Gone),
            Outcome::TimeRefused(_) => Err(Malformed::Shape("not a row")),
        };
        let found = match row.map_err(|malformed| call.malformed(malformed, &self.settings))? {
            Row::Found { id, body, last_edited } => {
                let stamp = last_edited.and_then(|text| self.settings.zone.stamp(&text));
                Found::Record { id, body, stamp }
            }
            Row::Gone => Found::Gone,
            Row::Missing => Found::Missing,
        };
        Ok(Detail { found, date })
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        let account = Account::of(self.kind(), self.http.base()).with("api_id", self.credential.key_id().await?);
        Ok(self.settings.tell_of_lists(account).mark())
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        self.settings.zone.reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        let object_type = streams::of_stream(stream)?;
        object_type.has_rows().then(|| self.settings.zone.stamp(text))?
    }
}

impl<C: Clock, K: Credentials> Shown for FieldMotion<C, K> {
    fn swept(&self, stream: &StreamName) -> Vec<(StreamName, Absence)> {
        let has_rows = streams::of_stream(stream).is_some_and(ObjectType::has_rows);
        vec![(stream.clone(), if has_rows { Absence::Fetched } else { Absence::Reported })]
    }
}

impl<C: Clock, K: Credentials> FieldMotion<C, K> {
    fn id_list(&self, object_type: &'static ObjectType, function: &'static str, from: StampMillis) -> Call<'static> {
        let parameters = Parameters::default().text(&self.settings.list_parameter, &zone::naive(from));
        let parameters = self.of_form(object_type, parameters);
        let terms = Terms { purpose: Purpose::List, bytes_max: ID_LIST_BYTES_MAX };
        Call { function, parameters, terms, is_of_ids: true }
    }

    /// A list of rows: those edited after `from`, or all. A bound leaves out what has no stamp, so a first import sends
    /// none.
    fn row_list(
        &self,
        object_type: &'static ObjectType,
        function: &'static str,
        from: Option<StampMillis>,
    ) -> Call<'static> {
        let from = from.filter(|from| *from > self.settings.first_checkpoint);
        let parameters = match from {
            Some(from) => Parameters::default().text(&self.settings.rows_parameter, &zone::naive(from)),
            None => Parameters::default(),
        };
        let parameters = self.with_fields(object_type, self.of_form(object_type, parameters));
        let terms = Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX };
        Call { function, parameters, terms, is_of_ids: false }
    }

    fn detail_call(&self, object_type: &'static ObjectType, function: &'static str, id: &RecordId) -> Call<'static> {
        let parameters = Parameters::default().text(&self.settings.id_parameter, id.as_str());
        let terms = Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX };
        Call { function, parameters: self.with_fields(object_type, parameters), terms, is_of_ids: false }
    }

    fn of_form(&self, object_type: &ObjectType, parameters: Parameters) -> Parameters {
        match self.settings.jobs_form_id.as_deref().filter(|_| object_type.stream.as_str() == "jobs") {
            Some(form_id) => parameters.text(FORM_ID, form_id),
            None => parameters,
        }
    }

    fn with_fields(&self, object_type: &ObjectType, parameters: Parameters) -> Parameters {
        let (name, fields) = (&self.settings.fields_parameter, self.settings.fields(object_type));
        if fields.is_empty() {
            return parameters;
        }
        match self.settings.fields_encoding {
            FieldsEncoding::Json => parameters.text(name, &Value::from(fields).to_string()),
            FieldsEncoding::List => parameters.list(name, &fields),
        }
    }

    async fn list_ids(&self, call: &Call<'_>) -> Result<Page, SourceFailure> {
        let Judged { outcome, date } = self.call(call).await?;
        let ids = match outcome {
            Outcome::Json(sent) => answer::ids(sent.json(), self.settings.empty_object_is_empty),
            Outcome::Nothing => Ok(Entries::default()),
            Outcome::Gone | Outcome::TimeRefused(_) => Err(Malformed::Shape("not a list of ids")),
        };
        let Entries { taken, unusable_count } = ids.map_err(|malformed| call.malformed(malformed, &self.settings))?;
        Ok(Page { changes: taken, unusable_count, date, ..Page::default() })
    }

    /// The rows edited after `from`, or all.
    async fn list_rows(
        &self,
        object_type: &'static ObjectType,
        function: &'static str,
        from: Option<StampMillis>,
    ) -> Result<(Rows, Option<VendorMillis>), SourceFailure> {
        let call = self.row_list(object_type, function, from);
        let Judged { outcome, date } = self.call(&call).await?;
        let stamp = |text: &str| self.settings.zone.stamp(text);
        let rows = match outcome {
            Outcome::Json(sent) => answer::rows(&sent, self.settings.empty_object_is_empty, &stamp),
            Outcome::Nothing => Ok(Rows { pages_total: Some(1), ..Rows::default() }),
            Outcome::Gone | Outcome::TimeRefused(_) => Err(Malformed::Shape("not a list of rows")),
        };
        let rows = rows.map_err(|malformed| call.malformed(malformed, &self.settings))?;
        tell_of_odd(&object_type.stream, 1, &rows);
        Ok((rows, date))
    }

    /// Says once that the vendor lists rows from before the bound.
    fn check_bound(&self, object_type: &ObjectType, from: StampMillis, rows: &Rows) {
        let row_count = rows.count_before(from.minus(BOUND_TOLERANCE));
        if row_count > 0 && !self.ignored_bound_is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                stream = %object_type.stream,
                row_count,
                "the list shows rows from before the time that was asked for: compare rows_parameter in \
                 FieldMotionSettings; every poll reads all rows until then"
            );
        }
    }

    /// On a first import: refuses a list whose bound is not applied.
    async fn check_applied(
        &self,
        object_type: &'static ObjectType,
        function: &'static str,
        rows: &Rows,
    ) -> Result<(), SourceFailure> {
        let bounded = async |from| Ok(self.list_rows(object_type, function, from).await?.0);
        if self.honoured.is_applied(&object_type.stream, None, rows, bounded).await? {
            return Ok(());
        }
        let cause = format!(
            "{function}: with {} the list does not show what it shows without, so that changes would never be seen",
            self.settings.rows_parameter
        );
        Err(SourceFailure::new(FailureClass::Forbidden, cause).with_next_step(BOUND_STEP))
    }

    /// A record of a type that has no detail, as the list of all shows it. One that is not there may be one that is not
    /// listed.
    async fn looked_up(
        &self,
        object_type: &'static ObjectType,
        function: &'static str,
        id: &RecordId,
    ) -> Result<Detail, SourceFailure> {
        let (rows, date) = self.list_rows(object_type, function, None).await?;
        let Some(change) = rows.changes.into_iter().find(|change| change.id == *id) else {
            return Ok(Detail { found: Found::Missing, date });
        };
        let stamp = change.stamp().cloned();
        let Some(body) = change.row().cloned() else {
            let cause = format!("{function}: the row of the record holds what JSON does not have");
            return Err(SourceFailure::new(FailureClass::Record, cause));
        };
        Ok(Detail { found: Found::Record { id: change.id, body, stamp }, date })
    }
}

/// The record of a type that has no detail: its id, listed as changed.
fn id_alone(id: &RecordId) -> Found {
    let body = json!({ "id": id.as_str() }).to_string();
    Found::Record { id: id.clone(), body: Body::new(body), stamp: None }
}
