//! What a vendor in memory answers.

use tidemark_engine::change::{Change, Found, ListRequest, Listed, Page};
use tidemark_engine::clock::{LocalMillis, StampMillis, VendorMillis, millis_of};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::StreamName;

use super::settings::{DateHeader, Order, whole_seconds};
use super::vendor::{Vendor, Version};

/// The records of a feed belong to this stream.
pub(super) const FEED_RECORDS: StreamName = StreamName::known("widgets");

/// A feed's token behind so many events.
fn token(sequence: usize) -> String {
    format!("t{sequence}")
}

/// The locator under which a feed lists a record.
fn locator(id: &RecordId) -> Option<RecordId> {
    RecordId::parse(format!("{FEED_RECORDS}/{}", id.as_str())).ok()
}

impl Vendor {
    /// The `Date` of an answer given at `at`.
    pub(super) fn date(&mut self, at: LocalMillis) -> Option<VendorMillis> {
        let skew = match self.settings.date {
            DateHeader::True => 0,
            DateHeader::Skewed(by) => by,
            DateHeader::Absent => return None,
            DateHeader::Sometimes { missing_per_million } => {
                if self.draw(1_000_000) < u64::from(missing_per_million) {
                    return None;
                }
                0
            }
        };
        Some(VendorMillis::new(whole_seconds(self.clock(at).shifted(skew).get())))
    }

    /// The answer to a list call, without its `Date`.
    pub(super) fn list(
        &mut self,
        request: ListRequest<'_>,
        now: LocalMillis,
        zone_shift: i64,
    ) -> Result<Page, SourceFailure> {
        let mut page = match request {
            ListRequest::Changed(from) => self.changed(from, now),
            ListRequest::Page(_, page) if self.page_max.is_some_and(|max| page > max) => {
                Page { is_refused: true, ..Page::default() }
            }
            ListRequest::Page(from, page) => self.page(from, page, now, zone_shift),
            ListRequest::Events(token) => self.told(token, now, zone_shift)?,
            ListRequest::NewestToken => Page { next: Some(token(self.told_count(now))), ..Page::default() },
            ListRequest::Snapshot(cursor) => self.snapshot(cursor, now),
        };
        page.unusable_count = self.unusable_count;
        page.later.clone_from(&self.later);
        if self.repeats {
            page.changes.extend(page.changes.clone());
        }
        Ok(page)
    }

    fn changed(&self, from: StampMillis, now: LocalMillis) -> Page {
        let mut changes: Vec<Change> = self
            .listed(now)
            .filter(|(_, version)| self.lists(version, from))
            .map(|(id, _)| Change::of(id.clone()))
            .collect();
        // No order is promised, so none is kept.
        if !changes.is_empty() {
            let by = usize::try_from(now.get().div_euclid(7).rem_euclid(1 << 20)).unwrap_or(0) % changes.len();
            changes.rotate_left(by);
        }
        Page { changes, ..Page::default() }
    }

    fn page(&self, from: StampMillis, page: u32, now: LocalMillis, zone_shift: i64) -> Page {
        let mut rows: Vec<_> = self.listed(now).filter(|(_, version)| self.lists(version, from)).collect();
        match self.settings.order {
            Order::Oldest => rows.sort_by_key(|(_, version)| (version.stamp, version.number)),
            Order::Newest => rows.sort_by_key(|(_, version)| std::cmp::Reverse((version.stamp, version.number))),
            Order::Id => {}
        }
        let size = self.settings.page_rows;
        let pages_total = u32::try_from(rows.len().div_ceil(size)).ok().filter(|_| self.settings.tells_total);
        let page = if self.settings.repeats_page { 1 } else { page };
        let skipped = usize::try_from(page.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(size);
        let changes = rows.into_iter().skip(skipped).take(size).map(|(id, version)| {
            let stamp = self.stamp(id, version, zone_shift);
            let listed = Listed { stamp, row: version.body.clone(), event: None };
            Change { listed: Some(Box::new(listed)), ..Change::of(id.clone()) }
        });
        Page { changes: changes.collect(), pages_total, ..Page::default() }
    }

    fn told(&self, after: &str, now: LocalMillis, zone_shift: i64) -> Result<Page, SourceFailure> {
        let rejected = || SourceFailure::new(FailureClass::TokenRejected, "the token is unknown or expired");
        let sequence: usize = after.strip_prefix('t').and_then(|text| text.parse().ok()).ok_or_else(rejected)?;
        let told = self.events().get(..self.told_count(now)).unwrap_or_default();
        let expires = now.shifted(-millis_of(self.settings.token_life));
        if self.rejects_tokens
            || sequence > told.len()
            || told.get(sequence).is_some_and(|event| event.visible_at < expires)
        {
            return Err(rejected());
        }
        let end = sequence.saturating_add(self.settings.page_rows).min(told.len());
        // Some feeds tell the last event before the token once more.
        let first = if self.settings.inclusive { sequence.saturating_sub(1) } else { sequence };
        let events = told.get(first..end).unwrap_or_default();
        let changes = events.iter().filter_map(|event| {
            let status = if event.deletes { "DELETED" } else { "UPDATED" };
            let text = format!("{{\"version\":{},\"status\":\"{status}\"}}", event.number);
            let stamp = Some(self.settings.read(event.stamp, zone_shift));
            let listed = Some(Box::new(Listed { stamp, row: None, event: Some(Body::new(text)) }));
            Some(Change { id: locator(&event.id)?, deleted: event.deletes, listed })
        });
        let changes: Vec<Change> = changes.collect();
        let is_end = changes.is_empty() || end == sequence;
        Ok(Page { changes, next: Some(token(end)), is_end, ..Page::default() })
    }

    fn snapshot(&self, cursor: Option<&str>, now: LocalMillis) -> Page {
        let size = self.settings.page_rows;
        let behind = |(id, _): &(&RecordId, &Version)| cursor.is_none_or(|cursor| id.as_str() > cursor);
        let page: Vec<_> = self.listed(now).filter(behind).take(size).collect();
        let next = page.last().filter(|_| page.len() == size).map(|(id, _)| id.as_str().to_owned());
        let changes = page.iter().filter_map(|(id, _)| Some(Change::of(locator(id)?)));
        Page { changes: changes.collect(), next, ..Page::default() }
    }

    /// The answer to a detail call.
    pub(super) fn detail(&mut self, id: &RecordId, now: LocalMillis, zone_shift: i64) -> Result<Found, SourceFailure> {
        let id = self.answers_with.get(id).unwrap_or(id).clone();
        if let Some(class) = self.failure_of(&id, now) {
            return Err(SourceFailure::new(class, "the vendor fails for this record"));
        }
        let shown_at = self.replica_at(now);
        let shown = self.seen(&id, shown_at).filter(|_| !self.hidden.contains(&id));
        let Some((version, body)) = shown.and_then(|version| Some((version, version.body.as_ref()?))) else {
            return Ok(if self.is_vague { Found::Missing } else { Found::Gone });
        };
        Ok(Found::Record { body: body.clone(), stamp: self.stamp(&id, version, zone_shift), id })
    }
}
