//! What the pages of a list have told so far.
//!
//! One answer may be stale, from a cache or a copy of the vendor's tables that lags, or say nothing of pages, as a 204
//! does. So a page is the end only if the pages before it do not speak against it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use tidemark_engine::clock::StampMillis;
use tidemark_engine::stream::StreamName;

use super::Rows;
use crate::json::Malformed;

/// What the list of each stream that is being read, or was read last, has told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<BTreeMap<StreamName, Walked>>);

/// What was reported of one list.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    from: StampMillis,
    /// The last page.
    page: u32,
    /// The largest count of pages.
    pages: u32,
    has_rows: bool,
    /// The digest of its ids; none of a page without rows.
    last: Option<u64>,
}

impl Told {
    /// Takes in a page, and corrects what it says of the list's end; returns whether it shows what the page before it
    /// showed. A list with a bound may be counted without it: there, two empty pages in a row are the end.
    ///
    /// # Errors
    /// When a list without a bound ends without rows although some were counted.
    pub(crate) fn correct(
        &self,
        stream: &StreamName,
        from: StampMillis,
        page: u32,
        is_bounded: bool,
        rows: &mut Rows,
    ) -> Result<bool, Malformed> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lists.get(stream).filter(|known| page > 1 && known.from == from);
        let before = known.copied().unwrap_or(Walked { has_rows: page > 1, ..Walked::default() });
        let is_next = page > 1 && before.page + 1 == page;
        let pages = rows.pages_total.unwrap_or(0).max(before.pages);
        let has_rows = before.has_rows || !rows.changes.is_empty();
        let here = Walked { from, page, pages, has_rows, last: digest(rows) };
        if here.last.is_some() {
            // Fewer pages than before: the list has become shorter, or the answer is an old one. The next page shows it.
            if rows.pages_total == Some(page) && before.pages > page {
                rows.pages_total = None;
            }
            if is_next && before.last == here.last {
                return Ok(true);
            }
        } else {
            let is_second = is_next && before.last.is_none();
            if is_bounded && is_second {
                rows.pages_total = None;
            } else if rows.pages_total.is_none_or(|pages| pages > page) && pages > page {
                rows.pages_total = Some(pages);
            } else if rows.speaks_of_more && rows.pages_total.is_none() && !is_second {
                rows.pages_total = page.checked_add(1);
            }
            let is_over = rows.pages_total.is_none_or(|pages| pages <= page);
            if is_over && !is_bounded && !has_rows && (rows.speaks_of_more || pages > 1) {
                return Err(Malformed::Shape("a list that counts rows and shows none"));
            }
        }
        // A page that is asked for again is compared with what was before it.
        lists.insert(stream.clone(), here);
        Ok(false)
    }
}

fn digest(rows: &Rows) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    rows.changes.iter().for_each(|change| change.id.hash(&mut hasher));
    (!rows.changes.is_empty()).then(|| hasher.finish())
}

#[cfg(test)]
mod tests {
    use tidemark_engine::change::Change;
    use tidemark_engine::record::RecordId;

    use super::*;

    /// How many rows a page has, how many pages it counts, and whether it speaks of more rows.
    type Shown = (usize, Option<u32>, bool);

    const NONE_SHOWN: Malformed = Malformed::Shape("a list that counts rows and shows none");

    /// The count of pages that is believed of each page in turn.
    fn believed(is_bounded: bool, pages: &[Shown]) -> Vec<Result<Option<u32>, Malformed>> {
        let (told, stream) = (Told::default(), StreamName::known("jobs"));
        let page = |(at, shown): (usize, &Shown)| {
            let changes = (0..shown.0).map(|row| Change::of(RecordId::parse(format!("{at}-{row}")).unwrap())).collect();
            let mut rows = Rows { changes, pages_total: shown.1, speaks_of_more: shown.2, ..Rows::default() };
            let number = u32::try_from(at + 1).unwrap();
            let is_read = told.correct(&stream, StampMillis::new(7), number, is_bounded, &mut rows);
            is_read.map(|_| rows.pages_total)
        };
        pages.iter().enumerate().map(page).collect()
    }

    #[test]
    fn fewer_pages_than_before_are_no_end_unless_the_next_page_is_empty() {
        let old = believed(false, &[(2, Some(3), true), (2, Some(2), false), (1, Some(3), false)]);
        assert_eq!(old, [Ok(Some(3)), Ok(None), Ok(Some(3))]);
        let shorter = believed(false, &[(2, Some(3), true), (2, Some(2), false), (0, Some(2), false)]);
        assert_eq!(shorter, [Ok(Some(3)), Ok(None), Ok(Some(2))]);
    }

    #[test]
    fn an_empty_page_is_no_end_where_more_were_counted() {
        for is_bounded in [false, true] {
            let hole = believed(is_bounded, &[(2, Some(3), true), (0, None, false), (2, Some(3), false)]);
            assert_eq!(hole, [Ok(Some(3)), Ok(Some(3)), Ok(Some(3))], "{is_bounded}");
            let named = believed(is_bounded, &[(2, None, true), (0, None, true), (0, None, true)]);
            assert_eq!(named, [Ok(None), Ok(Some(3)), Ok(None)], "{is_bounded}");
        }
    }

    #[test]
    fn a_list_that_counts_rows_and_shows_none_is_not_empty() {
        let pages = [(0, Some(2), true), (0, Some(2), true)];
        assert_eq!(believed(false, &pages), [Ok(Some(2)), Err(NONE_SHOWN)]);
        // With a bound the count may be one of all rows.
        assert_eq!(believed(true, &pages), [Ok(Some(2)), Ok(None)]);
        assert_eq!(believed(false, &[(0, Some(1), true)]), [Err(NONE_SHOWN)]);
        assert_eq!(believed(false, &[(0, Some(1), false)]), [Ok(Some(1))]);
        assert_eq!(believed(false, &[(0, None, false)]), [Ok(None)]);
    }
}
