//! What a source shows of a stream's list and details under some settings.

use std::time::Duration;

use tidemark_engine::change::{Change, Found, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis, millis_of};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, StreamTraits};

use super::Check;

/// How far back a list reaches that shows whether the stream may be listed.
const RECENT: Duration = Duration::from_hours(24);
/// From when on nothing can have been edited, if stamps are read in the right time zone.
const AHEAD: Duration = Duration::from_mins(10);
/// From when on nothing can have been edited, whatever the zone.
const FAR_AHEAD: Duration = Duration::from_hours(48);
/// How far below a record's stamp a bound lies that has to let it through.
const BELOW: Duration = Duration::from_secs(3_607);

/// Why a look ends early.
pub(super) enum Halt<E> {
    /// The vendor's failure.
    Vendor(SourceFailure),
    /// No call may be made.
    NoTurn(E),
}

/// What came of asking for one record.
pub(super) enum Fetched {
    /// There is none to ask for.
    NoRecord,
    /// It is there; its stamp.
    There(Option<Stamp>),
    /// It is listed, and the detail does not show it.
    NotThere,
}

/// What the lists show of their lower bound.
pub(super) enum Filtered {
    /// It is applied.
    Applied,
    /// The list takes none.
    TakesNone,
    /// Nothing at all is listed.
    Nothing,
    /// It is applied, and so many records were edited in the future.
    Ahead(usize),
    /// It is not applied; what shows that.
    Ignored(String),
}

/// What a source shows of a stream.
pub(super) struct Facts {
    /// What changed lately.
    pub(super) recent: Page,
    /// What a first import lists, or its first page.
    pub(super) whole: Result<Page, SourceFailure>,
    pub(super) filtered: Result<Filtered, SourceFailure>,
    pub(super) fetched: Result<Fetched, SourceFailure>,
}

impl Facts {
    /// Whether a check is passed.
    pub(super) fn passes(&self, check: Check, traits: &StreamTraits) -> bool {
        match check {
            Check::Fetch => {
                matches!(&self.fetched, Ok(Fetched::There(stamp)) if stamp.is_some() || !traits.stamped)
            }
            Check::Filter => match &self.filtered {
                Ok(Filtered::Applied | Filtered::Ahead(_)) => true,
                Ok(Filtered::TakesNone) => self.whole.as_ref().is_ok_and(|whole| !whole.changes.is_empty()),
                Ok(Filtered::Nothing | Filtered::Ignored(_)) | Err(_) => false,
            },
            Check::Reach | Check::Credential | Check::List | Check::Clock | Check::Zone | Check::Settings => true,
        }
    }
}

/// A look at one stream of a source.
pub(super) struct Look<'a, S, C, T> {
    pub(super) source: &'a S,
    pub(super) clock: &'a C,
    pub(super) turn: &'a T,
    pub(super) traits: &'a StreamTraits,
}

impl<S: Source, C: Clock, E, T: AsyncFn() -> Result<(), E>> Look<'_, S, C, T> {
    /// Looks at everything that can be seen.
    ///
    /// # Errors
    /// [`Halt::Vendor`] when the stream cannot be listed at all.
    pub(super) async fn facts(&self) -> Result<Facts, Halt<E>> {
        let recent = self.list_from(self.at(-millis_of(RECENT))).await?;
        let first = self.traits.first.at().unwrap_or_default();
        let whole = vendors(self.list_from(first).await)?;
        let listed = whole.as_ref().map_or_else(|_| recent.changes.as_slice(), |whole| whole.changes.as_slice());
        let sample = recent.changes.iter().chain(listed).find(|change| !change.deleted);
        let fetched = vendors(self.fetch(sample).await)?;
        let filtered = match &whole {
            Ok(whole) => vendors(self.filtered(&recent, whole, sample, &fetched).await)?,
            Err(_) => Ok(Filtered::Nothing),
        };
        Ok(Facts { recent, whole, filtered, fetched })
    }

    async fn filtered(
        &self,
        recent: &Page,
        whole: &Page,
        sample: Option<&Change>,
        fetched: &Result<Fetched, SourceFailure>,
    ) -> Result<Filtered, Halt<E>> {
        if !self.traits.filtered {
            return Ok(Filtered::TakesNone);
        }
        if whole.changes.is_empty() && recent.changes.is_empty() {
            return Ok(Filtered::Nothing);
        }
        if is_more(recent, whole) {
            let shown = "the list shows more since yesterday than a first import does";
            return Ok(Filtered::Ignored(shown.to_owned()));
        }
        let ahead = self.list_from(self.at(millis_of(AHEAD))).await?;
        if !ahead.changes.is_empty() {
            let far_ahead = self.list_from(self.at(millis_of(FAR_AHEAD))).await?;
            let count = far_ahead.changes.len();
            if count > 0 {
                let shown = format!("the list shows {count} records that were edited after the day after tomorrow");
                return Ok(Filtered::Ignored(shown));
            }
            return Ok(Filtered::Ahead(ahead.changes.len()));
        }
        // Pages are compared with a bound below one of their rows by the source itself, at a first import.
        if let (ListShape::Whole, Some(sample), Ok(Fetched::There(Some(stamp)))) = (self.traits.shape, sample, fetched)
        {
            let above = self.list_from(stamp.at.minus(BELOW)).await?;
            if above.changes.iter().all(|change| change.id != sample.id) {
                let shown = "the list leaves out a record that was edited after the lower bound";
                return Ok(Filtered::Ignored(shown.to_owned()));
            }
        }
        Ok(Filtered::Applied)
    }

    /// Fetches a record that is listed.
    pub(super) async fn fetch(&self, sample: Option<&Change>) -> Result<Fetched, Halt<E>> {
        let Some(sample) = sample else { return Ok(Fetched::NoRecord) };
        (self.turn)().await.map_err(Halt::NoTurn)?;
        let detail = self.source.fetch(&self.traits.name, &sample.id).await.map_err(Halt::Vendor)?;
        Ok(match detail.found {
            Found::Record { id, stamp, .. } if is_of(&id, &sample.id) => Fetched::There(stamp),
            Found::Record { .. } | Found::Gone | Found::Missing => Fetched::NotThere,
        })
    }

    async fn list_from(&self, from: StampMillis) -> Result<Page, Halt<E>> {
        let request = match self.traits.shape {
            ListShape::Whole | ListShape::Feed => ListRequest::Changed(from),
            ListShape::Pages => ListRequest::Page(from, 1),
        };
        (self.turn)().await.map_err(Halt::NoTurn)?;
        self.source.list(&self.traits.name, request).await.map_err(Halt::Vendor)
    }

    /// An instant so far from now, as stamps show it.
    fn at(&self, millis: i64) -> StampMillis {
        self.source.reading(VendorMillis::new(self.clock.now().get()).shifted(millis))
    }
}

/// Whether a record that was answered is the one that was asked for: a feed's id is a locator, which ends in the record's.
fn is_of(answered: &RecordId, asked: &RecordId) -> bool {
    answered == asked || asked.as_str().ends_with(&format!("/{}", answered.as_str()))
}

/// Whether a list shows more than a first import does.
fn is_more(recent: &Page, whole: &Page) -> bool {
    match (recent.pages_total, whole.pages_total) {
        (Some(recent), Some(whole)) if recent > 1 || whole > 1 => recent > whole,
        _ => recent.changes.len() > whole.changes.len(),
    }
}

/// Sets a vendor's failure apart from what ends the probe.
pub(super) fn vendors<V, E>(outcome: Result<V, Halt<E>>) -> Result<Result<V, SourceFailure>, Halt<E>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Halt::Vendor(failure)) => Ok(Err(failure)),
        Err(halt @ Halt::NoTurn(_)) => Err(halt),
    }
}
