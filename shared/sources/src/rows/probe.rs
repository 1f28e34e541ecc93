//! Whether a list's lower bound is applied.
//!
//! A filter that means "equal to", that has another name, or that filters by another time lists nothing and says so with
//! a status of success: the copy would stay as it is for ever. It shows when what an unfiltered page holds is asked for
//! with a bound below it. That is done once a stream and process, on a first import, when it costs one call.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tidemark_engine::change::Change;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamName;

use super::Rows;

/// How far below a row's stamp the bound lies: a distance that no two rows have by chance.
const BELOW: Duration = Duration::from_secs(3_607);

/// The streams whose bound was seen to be applied.
#[derive(Debug, Default)]
pub(crate) struct Honoured(Mutex<BTreeSet<StreamName>>);

impl Honoured {
    /// Whether, on a stream's first import, the bound of the lists to come is applied, as far as that shows. `rows` is the
    /// first page with the bound `bound`, or without any; `first_page` asks for the other one.
    ///
    /// # Errors
    /// Those of asking.
    pub(crate) async fn is_applied(
        &self,
        stream: &StreamName,
        bound: Option<StampMillis>,
        rows: &Rows,
        first_page: impl AsyncFn(Option<StampMillis>) -> Result<Rows, SourceFailure>,
    ) -> Result<bool, SourceFailure> {
        if self.is_known(stream) {
            return Ok(true);
        }
        let is_applied = match (bound, Probe::of(rows)) {
            (Some(_), Some(_)) => true,
            (None, Some(probe)) => probe.is_applied_by(&first_page(Some(probe.bound)).await?),
            // An empty list is no sign of either, unless there should be rows in it.
            (Some(bound), None) if rows.changes.is_empty() => {
                return Ok(!holds_later(&first_page(None).await?.changes, bound));
            }
            (_, None) => return Ok(true),
        };
        if is_applied {
            self.note(stream);
        }
        Ok(is_applied)
    }

    fn is_known(&self, stream: &StreamName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(stream)
    }

    fn note(&self, stream: &StreamName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.clone());
    }
}

/// What a list with a bound has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Probe {
    /// The bound.
    bound: StampMillis,
    /// A row above it.
    id: RecordId,
}

impl Probe {
    /// A probe made from an unfiltered page, from the middle one of its stamps: the newest row may not be in every index
    /// of the vendor's yet. None when no row has a stamp.
    fn of(rows: &Rows) -> Option<Self> {
        let mut stamped: Vec<(StampMillis, &RecordId)> =
            rows.changes.iter().filter_map(|change| Some((change.stamp()?.at, &change.id))).collect();
        // No bound lies below the times from which a row that was never edited is often dated.
        stamped.retain(|(at, _)| at.minus(BELOW) > StampMillis::new(0));
        stamped.sort_unstable();
        let (at, id) = stamped.get(stamped.len() / 2)?;
        Some(Self { bound: at.minus(BELOW), id: (*id).clone() })
    }

    /// Whether the first page of the list with the bound can be what the bound lets through.
    fn is_applied_by(&self, rows: &Rows) -> bool {
        let is_whole = rows.pages_total.is_some_and(|pages| pages <= 1);
        !rows.changes.is_empty() && (!is_whole || rows.changes.iter().any(|change| change.id == self.id))
    }
}

/// Whether an unfiltered page holds rows that a list with this bound, which was empty, should have shown.
fn holds_later(changes: &[Change], bound: StampMillis) -> bool {
    changes.iter().filter_map(Change::stamp).any(|stamp| stamp.at > bound)
}

#[cfg(test)]
mod tests {
    use tidemark_engine::change::Listed;
    use tidemark_engine::clock::{Stamp, VendorMillis};

    use super::*;

    fn rows(stamps: &[Option<i64>], pages_total: Option<u32>) -> Rows {
        let change = |(at, stamp): (usize, &Option<i64>)| {
            let stamp =
                stamp.map(|ms| Stamp { text: String::new(), at: StampMillis::new(ms), utc: VendorMillis::new(ms) });
            let listed = Listed { stamp, ..Listed::default() };
            Change { listed: Some(Box::new(listed)), ..Change::of(RecordId::parse(at.to_string()).unwrap()) }
        };
        Rows { changes: stamps.iter().enumerate().map(change).collect(), pages_total, ..Rows::default() }
    }

    #[test]
    fn the_middle_stamp_makes_the_probe() {
        let hour = 3_607_000;
        let probe = Probe::of(&rows(&[Some(9_000_000), None, Some(8_000_000), Some(7_000_000)], None)).unwrap();
        assert_eq!((probe.bound.get(), probe.id.as_str()), (8_000_000 - hour, "2"));
        assert_eq!(Probe::of(&rows(&[None, None], None)), None);
        assert_eq!(Probe::of(&rows(&[], None)), None);
    }

    #[test]
    fn nothing_or_all_but_the_row_is_no_lower_bound() {
        let probe = Probe { bound: StampMillis::new(0), id: RecordId::parse("1").unwrap() };
        let one = Some(1);
        for (stamps, pages_total, is_applied) in [
            (&[][..], None, false),
            (&[], Some(0), false),
            (&[one], Some(1), false),
            (&[one], Some(2), true),
            (&[one], None, true),
            (&[one, one], Some(1), true),
        ] {
            assert_eq!(probe.is_applied_by(&rows(stamps, pages_total)), is_applied, "{stamps:?} {pages_total:?}");
        }
    }

    #[test]
    fn what_an_empty_list_should_have_shown_is_later_than_its_bound() {
        let changes = rows(&[Some(5), None, Some(9)], None).changes;
        assert!(holds_later(&changes, StampMillis::new(8)));
        assert!(!holds_later(&changes, StampMillis::new(9)));
    }
}
