//! What the suite has to know of a vendor.

use std::ops::Deref;

use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass::{self, Forbidden, Record};
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, SourceKind};
use tidemark_fakes::{Fake, TruthRecord};

use crate::support::{SharedKeys, VendorTime};
use crate::world::AnySource;

/// Before everything.
const BEGINNING: StampMillis = StampMillis::new(946_684_800_000);

/// A vendor's fake, and how to say in its terms what the suite expects. Implemented for the running fake itself.
pub(crate) trait Vendor: Deref<Target = Fake> + Sized {
    /// Which source reads it.
    const KIND: SourceKind;
    /// The stream that is polled; its records have stamps and can be fetched.
    const STREAM: &'static str;
    /// The fake's stream that the records are in: another one only for a feed, whose records have streams of their own.
    const RECORDS: &'static str = Self::STREAM;
    /// A text field of these records that holds personal data.
    const PERSONAL_FIELD: &'static str;
    /// The source's settings; they make its pages small.
    const SETTINGS: &'static str;
    /// How many rows make a page under these settings; any small number where there are no pages.
    const PAGE_ROWS: usize;

    /// Starts the fake, with no records, with the credential that is made of `text` accepted, and in the order of rows in
    /// which an edit between two pages makes a single walk miss one.
    async fn start(text: &str) -> Self;

    /// Its address.
    fn url(&self) -> &str;

    /// The source's secret, JSON, for the credential that is made of `text`: every value in it contains `text`.
    fn secret(text: &str) -> String;

    /// Accepts this credential, and no other any more.
    fn rotate(&self, text: &str);

    /// A list answer in the vendor's shape with these entries: an id, or an entry without one.
    fn list_answer(entries: &[Option<&str>]) -> String;

    /// The id under which a list names a record: itself, but for a feed.
    fn listed_id(record: &str) -> RecordId {
        RecordId::parse(record).unwrap()
    }

    /// The id under which a record is stored: its own, but where it is kept under its parent's.
    fn stored_id(record: &str) -> RecordId {
        RecordId::parse(record).unwrap()
    }

    /// What is stored of a record: its JSON, byte for byte.
    fn stored_body(record: &TruthRecord) -> &str {
        &record.body
    }

    /// The stamp that a fetched record has; none where records have none.
    fn stamp_of(record: &TruthRecord) -> Option<StampMillis> {
        Some(StampMillis::new(record.last_edited_ms))
    }

    /// The body of an error in the vendor's own shape, which says nothing that is known.
    fn own_error() -> &'static str;

    /// How often more than once a source calls that is rejected from the start.
    const FURTHER_TRIES: usize = 0;

    /// What a 401 in the vendor's own words leads to, when the secret has not changed.
    const REJECTED: FailureClass = FailureClass::Unauthorized;

    /// What a refusal (400, 403, 422) in the vendor's own words of a list and of a record leads to; none where it is news
    /// and no failure.
    fn refused(status: u16) -> [Option<FailureClass>; 2] {
        [Some(Forbidden), Some(if status == 403 { Forbidden } else { Record })]
    }

    /// A list call, the plainest there is.
    fn request(source: &AnySource<VendorTime, SharedKeys>) -> ListRequest<'static> {
        match shape_of(source, Self::STREAM) {
            ListShape::Whole => ListRequest::Changed(BEGINNING),
            ListShape::Pages => ListRequest::Page(BEGINNING, 1),
            ListShape::Feed => ListRequest::Snapshot(None),
        }
    }
}

fn shape_of(source: &impl Source, stream: &str) -> ListShape {
    source.streams().iter().find(|traits| traits.name.as_str() == stream).unwrap().shape
}
