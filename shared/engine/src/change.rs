//! Changes: what a list call tells, and how one page of it is asked for.

use crate::{Body, RecordId, Stamp, StampMillis, StreamName, VendorMillis};

/// Notice that a record was created, updated or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which record. For a feed the locator `<record stream>/<path>`.
    pub id: RecordId,
    /// Whether the vendor announces that it was deleted. Only a feed does; what a list leaves out proves nothing.
    pub deleted: bool,
    /// What else the list told; boxed, because most lists tell only ids, a million at a time.
    pub listed: Option<Box<Listed>>,
}

/// What a list may say about a change besides its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The vendor's last-edited value.
    pub stamp: Option<Stamp>,
    /// The whole row.
    pub row: Option<Body>,
    /// The event, for feeds.
    pub event: Option<Body>,
}

impl Change {
    /// A change of which only the id is known.
    pub fn of(id: RecordId) -> Self {
        Self { id, deleted: false, listed: None }
    }

    /// The stamp the list gave, if any.
    pub fn stamp(&self) -> Option<&Stamp> {
        self.listed.as_ref()?.stamp.as_ref()
    }

    /// The row the list gave, if any.
    pub fn row(&self) -> Option<&Body> {
        self.listed.as_ref()?.row.as_ref()
    }

    /// The event the feed gave, if any.
    pub fn event(&self) -> Option<&Body> {
        self.listed.as_ref()?.event.as_ref()
    }
}

/// What the poller asks a source to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRequest<'a> {
    /// All changes after a stamp (or at it: the overlap covers both), for [`crate::stream::ListShape::Whole`].
    Changed(StampMillis),
    /// A page, counted from 1, of the rows changed after a stamp, for [`crate::stream::ListShape::Pages`].
    Page(StampMillis, u32),
    /// The events behind a token, for [`crate::stream::ListShape::Feed`].
    Events(&'a str),
    /// The feed's newest token, without events.
    NewestToken,
    /// One page of everything there is, for a feed's first import; goes on at the cursor that the page before gave.
    Snapshot(Option<&'a str>),
}

/// One answer of a list call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The changes, in the vendor's order.
    pub changes: Vec<Change>,
    /// How many pages there are, when the vendor says so.
    pub pages_total: Option<u32>,
    /// Where to go on: a feed's next token, or a snapshot's cursor, which is none at the end.
    pub next: Option<String>,
    /// Whether the vendor refused this page, not the first, as one that is not there: the end, or a cap on deep paging.
    pub is_refused: bool,
    /// Whether a feed has shown all there is by now. A page without a known change is not the end of it.
    pub is_end: bool,
    /// The vendor's `Date` header: when it answered, on its clock.
    pub date: Option<VendorMillis>,
    /// Entries that have no usable id and can therefore be neither fetched nor stored.
    pub unusable_count: usize,
    /// The part that this page leaves out, or of a snapshot ends with, and that is listed again later.
    pub later: Option<Later>,
}

/// A part of a list that is listed again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// The record stream.
    pub stream: StreamName,
    /// Of a snapshot: where a listing of this part alone begins. None where the stream's next list holds it.
    pub cursor: Option<String>,
    /// Why.
    pub why: WhyLater,
}

/// Why a part of a list is listed again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyLater {
    /// The vendor refuses its list, or the rest of it, or keeps failing at it. The others go on without.
    Refused,
    /// A page of it repeats another one. The others go on without.
    Moving,
    /// It was read whole, but the feed tells nothing of what changes in it.
    Untold,
}

/// One answer of a detail call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// What was found.
    pub found: Found,
    /// The vendor's `Date` header: when it answered, on its clock.
    pub date: Option<VendorMillis>,
}

/// Whether the record is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is.
    Record {
        /// The id that the answer has; another one than asked for is a record error.
        id: RecordId,
        /// Its JSON, exactly as received.
        body: Body,
        /// Its stamp; none when missing, empty or unreadable.
        stamp: Option<Stamp>,
    },
    /// It is not: the vendor says so in its own words.
    Gone,
    /// The answer is empty, or a "not found" that may be somebody else's. It is believed once it has lasted.
    Missing,
}
