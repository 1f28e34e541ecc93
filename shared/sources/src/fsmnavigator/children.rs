//! What belongs to a parent: the locations of a customer, the service records of an asset.
//!
//! No list of all of them is documented, only one for each parent. So a page of such a stream is a page of a few parents,
//! and one call for each of them. Its records are kept under `<parent's id>/<own id>`: they cannot be fetched without
//! their parent, and a row need not say whose it is; one that says it is another's is not kept under this one.
//!
//! A parent that cannot be read stops no other. Its page is tried again first; then it is left out, with attention, until
//! the stream's next list, unless the vendor does not answer at all.
//!
//! How one could get it wrong: take a page of parents that have nothing for the end of the list, or an outage for what a
//! few parents have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tidemark_engine::change::{Change, Detail, Found, Later, Page, WhyLater};
use tidemark_engine::clock::{StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamName;

use super::FsmNavigator;
use super::call::{Call, Judged, Outcome};
use super::settings::DetailStyle;
use super::streams::{ObjectType, Parent, known};
use crate::http::{PAGE_BYTES_MAX, Purpose, Terms};
use crate::json::{Malformed, Object};
use crate::rows::{Listed, Rows, tell_of_odd};

/// How many parents make a page: so few that a page takes seconds, not minutes.
const PARENTS_A_PAGE: &str = "10";
/// A vendor that lists so many of one parent, and says nothing of pages, may have more: no page is shorter than this.
const PAGE_ROWS_MIN: usize = 10;
/// How many pages of one parent are read.
const PAGES_MAX: u32 = 200;
/// So many tries of a page fail before a parent that fails is left out: the engine makes one more in the same tick.
const TRIES_FAILED: u32 = 2;
/// After so many failing parents in a row the vendor is asked for something else, to tell them from an outage.
const FAILING_IN_A_ROW: usize = 3;
/// What would hide where a parent's id ends.
const SEPARATOR: &AsciiSet = &CONTROLS.add(b'/').add(b'%');

/// What a parent has.
enum Children {
    Rows(Rows, Option<VendorMillis>),
    /// The vendor has no such parent, as it says itself.
    Gone(Option<VendorMillis>),
    /// A "not found" that says no more than that.
    Missing(Option<VendorMillis>),
}

/// The page of each stream at which a parent failed last, and how many tries of it failed.
#[derive(Debug, Default)]
pub(super) struct Failing(Mutex<BTreeMap<StreamName, (u32, u32)>>);

impl Failing {
    /// Notes a failing parent of a page; whether the page was tried often enough, so that the others go on without.
    fn is_given_up(&self, stream: &StreamName, page: u32) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, failed) = places.entry(stream.clone()).or_default();
        if *at != page {
            (*at, *failed) = (page, 0);
        }
        let is_given_up = *failed >= TRIES_FAILED;
        *failed += u32::from(!is_given_up);
        is_given_up
    }

    fn forget(&self, stream: &StreamName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }
}

impl<C: Clock, K: Credentials> FsmNavigator<C, K> {
    /// What the parents of one page have.
    pub(super) async fn children_of_page(
        &self,
        object_type: &'static ObjectType,
        parent: &'static Parent,
        page: u32,
    ) -> Result<Page, SourceFailure> {
        let parent_type = known(&parent.stream)?;
        let (mut parents, date) = match self.parents(object_type, parent_type, page).await? {
            Listed::Rows(parents, date) => (parents, date),
            refused @ Listed::Refused(_) => return Ok(refused.into_page()),
        };
        let from = StampMillis::default();
        let corrected = self.told.correct(&object_type.stream, from, page, false, &mut parents);
        if corrected.map_err(|malformed| of_parents(object_type, page, malformed))? {
            return Err(of_parents(
                object_type,
                page,
                Malformed::Shape("a page of the same parents as the one before"),
            ));
        }
        let mut all = Rows { unusable_count: parents.unusable_count, ..Rows::default() };
        // Without a count there is another page behind every page of parents, whatever these have.
        all.pages_total = parents.pages_total.or(Some(match parents.changes.len() {
            0 => page.saturating_sub(1),
            _ => page.saturating_add(1),
        }));
        let (mut is_any_read, mut in_a_row) = (page > 1, 0);
        let (mut left_out_count, mut left_out) = (0_usize, None);
        let mut is_gone = false;
        for Change { id: parent_id, .. } in parents.changes {
            let failure = match self.children(object_type, parent, &parent_id).await {
                Ok(Children::Rows(rows, _)) => {
                    all.unusable_count += rows.unusable_count;
                    all.odd_count += rows.odd_count;
                    all.changes.extend(rows.changes);
                    (is_any_read, in_a_row) = (true, 0);
                    continue;
                }
                Ok(Children::Gone(_)) => {
                    (is_gone, in_a_row) = (true, 0);
                    continue;
                }
                Ok(Children::Missing(_)) => unclear(object_type),
                Err(failure) => failure,
            };
            // That one parent cannot be read says nothing about another.
            let waits = match failure.class {
                FailureClass::Record | FailureClass::Forbidden => true,
                FailureClass::Transient => self.failing.is_given_up(&object_type.stream, page),
                _ => false,
            };
            if !waits {
                return Err(failure);
            }
            in_a_row += 1;
            if in_a_row == FAILING_IN_A_ROW {
                self.parents(object_type, parent_type, page).await?;
                in_a_row = 0;
            }
            left_out_count += 1;
            left_out = Some(failure);
        }
        self.failing.forget(&object_type.stream);
        if is_gone && !is_any_read && left_out.is_none() {
            return Err(all_gone(object_type, page));
        }
        let mut later = None;
        if let Some(failure) = left_out {
            // None at all: then it is about how they are asked for.
            if !is_any_read {
                let is_refused = failure.class == FailureClass::Forbidden;
                let class = if is_refused { FailureClass::Forbidden } else { FailureClass::Transient };
                return Err(SourceFailure { class, ..failure });
            }
            let (stream, cause) = (object_type.stream.clone(), failure.cause);
            tracing::warn!(
                %stream,
                page,
                parent_count = left_out_count,
                cause,
                next_step = "nothing if it passes: the stream's next list tries again; else ask the vendor about these parents",
                "parents that cannot be read are passed by"
            );
            // The next list is of all parents again.
            later = Some(Later { stream, cursor: None, why: WhyLater::Refused });
        }
        tell_of_odd(&object_type.stream, page, &all);
        Ok(Page { later, ..Listed::Rows(all, date).into_page() })
    }

    /// One of the records that belong to a parent.
    pub(super) async fn child(
        &self,
        object_type: &'static ObjectType,
        parent: &'static Parent,
        id: &RecordId,
    ) -> Result<Detail, SourceFailure> {
        let Some(parent_id) = parent_of(id) else {
            let cause = format!("{}: an id that names no parent", object_type.stream);
            return Err(SourceFailure::new(FailureClass::Record, cause));
        };
        let (rows, date) = match self.children(object_type, parent, &parent_id).await? {
            Children::Rows(rows, date) => (rows, date),
            Children::Gone(date) => return Ok(Detail { found: Found::Gone, date }),
            Children::Missing(date) => return Ok(Detail { found: Found::Missing, date }),
        };
        let Some(change) = rows.changes.into_iter().find(|change| change.id == *id) else {
            // A list that leaves it out is less than the vendor's word that it is gone.
            return Ok(Detail { found: Found::Missing, date });
        };
        let stamp = change.stamp().cloned();
        let Some(body) = change.row().cloned() else {
            let cause = format!("{}: the record holds what JSON does not have", object_type.stream);
            return Err(SourceFailure::new(FailureClass::Record, cause));
        };
        Ok(Detail { found: Found::Record { id: change.id, body, stamp }, date })
    }

    /// A page of parents.
    async fn parents(
        &self,
        object_type: &'static ObjectType,
        parent_type: &'static ObjectType,
        page: u32,
    ) -> Result<Listed, SourceFailure> {
        let page_text = page.to_string();
        let mut query = vec![("page", page_text.as_str()), ("per_page", PARENTS_A_PAGE)];
        query.extend(self.settings.query(object_type));
        let call = Call {
            object_type,
            name: format!("GET /{}?page={page} for {}", parent_type.resource, object_type.stream),
            segments: vec![parent_type.resource],
            query,
            terms: Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX },
            page: Some(page),
        };
        let Judged { outcome, date } = self.page_call(&call).await?;
        match outcome {
            Outcome::Json(sent) => {
                let rows = self.reader(parent_type).page(&sent, page);
                let rows = rows.map_err(|malformed| malformed.into_failure(&call.name, Purpose::List))?;
                Ok(Listed::Rows(rows, date))
            }
            Outcome::PageRefused => Ok(Listed::Refused(date)),
            Outcome::Nothing => Ok(Listed::Rows(Rows::default(), date)),
            Outcome::Gone | Outcome::Missing => Err(unclear(object_type)),
        }
    }

    /// Everything that one parent has, under the ids that name it, too.
    async fn children(
        &self,
        object_type: &'static ObjectType,
        parent: &'static Parent,
        parent_id: &RecordId,
    ) -> Result<Children, SourceFailure> {
        let mut all = Rows::default();
        let mut met: BTreeSet<RecordId> = BTreeSet::new();
        let mut first_date = None;
        // Whether a page spoke of more rows than its counts could place: then an empty page is the end.
        let mut is_open = false;
        // How many pages were counted.
        let mut counted = 0;
        for page in 1..=PAGES_MAX {
            let page_text = page.to_string();
            let mut call = self.children_call(object_type, parent, parent_id.as_str())?;
            if page > 1 {
                call.query.push(("page", page_text.as_str()));
            }
            call.page = Some(page);
            let Judged { outcome, date } = self.page_call(&call).await?;
            first_date = first_date.or(date);
            let rows = match outcome {
                Outcome::Json(sent) => self
                    .reader(object_type)
                    .page(&sent, page)
                    .map_err(|malformed| malformed.into_failure(&call.name, Purpose::Detail))?,
                Outcome::Nothing | Outcome::PageRefused => Rows::default(),
                Outcome::Gone => return Ok(Children::Gone(date)),
                Outcome::Missing => return Ok(Children::Missing(date)),
            };
            if rows.changes.is_empty() && (page <= counted || (page == 1 && rows.speaks_of_more)) {
                let malformed = Malformed::Shape("a page without rows although some were counted");
                return Err(malformed.into_failure(&call.name, Purpose::Detail));
            }
            counted = counted.max(rows.pages_total.unwrap_or(0));
            is_open |= rows.pages_total.is_none() && rows.speaks_of_more;
            let is_over = match rows.pages_total.filter(|_| !is_open) {
                Some(total) => page >= total,
                None => rows.changes.len() < if is_open { 1 } else { PAGE_ROWS_MIN },
            };
            // Of a vendor that says nothing of pages the same page again is the end: it knows no pages.
            let is_to_go_on = !is_over && (is_open || rows.pages_total.is_some());
            let is_new = rows.changes.iter().any(|change| !met.contains(&change.id));
            met.extend(rows.changes.iter().map(|change| change.id.clone()));
            all.unusable_count += rows.unusable_count;
            all.odd_count += rows.odd_count;
            if is_new {
                all.changes.extend(rows.changes);
            }
            if (!is_new && is_to_go_on) || (page == PAGES_MAX && !is_over) {
                let malformed =
                    Malformed::Shape("a page that shows nothing else than those before, or one of too many");
                return Err(malformed.into_failure(&call.name, Purpose::Detail));
            }
            if is_over || !is_new {
                break;
            }
        }
        let parent_type = known(&parent.stream)?;
        let shown = std::mem::take(&mut all.changes);
        let shown_count = shown.len();
        all.changes = shown
            .into_iter()
            .filter(|change| !names_another(change, parent_type, parent_id))
            .filter_map(|change| Some(Change { id: joined(parent_id, &change.id)?, ..change }))
            .collect();
        all.unusable_count += shown_count - all.changes.len();
        Ok(Children::Rows(all, first_date))
    }

    fn children_call<'a>(
        &self,
        object_type: &'static ObjectType,
        parent: &'static Parent,
        parent_id: &'a str,
    ) -> Result<Call<'a>, SourceFailure> {
        let (of, resource) = (known(&parent.stream)?.resource, object_type.resource);
        // The row is one record's, but so many rows may come as in a list.
        let terms = Terms { purpose: Purpose::Detail, bytes_max: PAGE_BYTES_MAX };
        let (name, segments, query) = match self.settings.detail_style {
            DetailStyle::Query => {
                let (key, value) = parent.query;
                (format!("GET /{of}?id=..&{key}={value}"), vec![of], vec![("id", parent_id), (key, value)])
            }
            DetailStyle::Path => (format!("GET /{of}/{{id}}/{resource}"), vec![of, parent_id, resource], Vec::new()),
        };
        Ok(Call { object_type, name, segments, query, terms, page: None })
    }
}

/// A page of parents that cannot be one.
fn of_parents(object_type: &ObjectType, page: u32, malformed: Malformed) -> SourceFailure {
    malformed.into_failure(&format!("page {page} of the parents for {}", object_type.stream), Purpose::List)
}

/// Parents that are listed, each of which is said to be gone when it is asked for what it has: rather that address is wrong.
fn all_gone(object_type: &ObjectType, page: u32) -> SourceFailure {
    let cause = format!("page {page} of the parents for {}: all are listed, and none is there", object_type.stream);
    SourceFailure::new(FailureClass::Transient, cause).with_next_step(
        "nothing if it passes; else compare detail_style in FsmNavigatorSettings with the vendor's documentation",
    )
}

/// A "not found" of which nobody knows whose word it is.
fn unclear(object_type: &ObjectType) -> SourceFailure {
    let cause = format!("{}: a \"not found\" that is not in the vendor's own words", object_type.stream);
    SourceFailure::new(FailureClass::Transient, cause)
}

/// Whether a row says that it is another parent's, as where the vendor overlooks which one was asked for.
fn names_another(change: &Change, parent_type: &ObjectType, parent_id: &RecordId) -> bool {
    let named = change.row().and_then(|row| Object::of(row.text())?.id(parent_type.named_id));
    named.is_some_and(|named| named != *parent_id)
}

/// The id of a record below its parent's.
fn joined(parent: &RecordId, own: &RecordId) -> Option<RecordId> {
    let parent = utf8_percent_encode(parent.as_str(), SEPARATOR);
    RecordId::parse(format!("{parent}/{own}", own = own.as_str())).ok()
}

/// The parent that such an id names.
fn parent_of(id: &RecordId) -> Option<RecordId> {
    let (parent, _) = id.as_str().split_once('/')?;
    RecordId::parse(percent_decode_str(parent).decode_utf8().ok()?.into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_parent_whatever_both_look_like() {
        let id = |text: &str| RecordId::parse(text).unwrap();
        for (parent, own, expected) in
            [("123", "456", "123/456"), ("a/b", "c/d", "a%2Fb/c/d"), ("50%", "é", "50%25/é"), ("%2F", "1", "%252F/1")]
        {
            let joined = joined(&id(parent), &id(own)).unwrap();
            assert_eq!((joined.as_str(), parent_of(&joined)), (expected, Some(id(parent))));
        }
        assert_eq!(parent_of(&id("456")), None);
        assert_eq!(joined(&id(&"x".repeat(1000)), &id(&"y".repeat(100))), None);
    }
}
