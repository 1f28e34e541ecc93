//! What an answer says about the list that it is a page of.

use reqwest::StatusCode;

use crate::http::Words;
use crate::json::{Malformed, Object};

/// Members that name a next page, whichever framework writes them, in small letters without `_`.
const NEXT: [&str; 18] = [
    "next",
    "nextpage",
    "nextpageurl",
    "nexturl",
    "nextlink",
    "@odata.nextlink",
    "nextcursor",
    "nexttoken",
    "nextpagetoken",
    "nextoffset",
    "continuationtoken",
    "hasnext",
    "hasnextpage",
    "hasmore",
    "hasmorepages",
    "more",
    "truncated",
    "istruncated",
];
/// Members that say whether this is the last page.
const LAST: [&str; 3] = ["last", "islast", "islastpage"];
/// Members that hold such members.
const PAGING: [&str; 6] = ["links", "_links", "paging", "page_info", "pageInfo", "cursors"];

/// Whether an object names a next page, itself or in what it says of its pages. What a missing or null one means is not
/// documented by any vendor that is read so, so it proves nothing.
pub(crate) fn names_next(object: &Object<'_>) -> bool {
    let named = |object: &Object<'_>| {
        let is_there = |value: &str| !matches!(value, "null" | "false" | "\"\"" | "0" | "{}" | "[]");
        object.members().any(|(name, value)| {
            let name = name.replace('_', "").to_ascii_lowercase();
            (NEXT.contains(&name.as_str()) && is_there(value)) || (LAST.contains(&name.as_str()) && value == "false")
        })
    };
    named(object) || PAGING.iter().any(|paging| object.object(paging).is_some_and(|paging| named(&paging)))
}

/// What frameworks say of a page behind the end, in lower case.
const NO_SUCH_PAGE: [&str; 5] =
    ["invalid page", "page out of range", "expected :page", "no such page", "page does not exist"];

/// Whether an error refuses a page after the first as one that is not there: by its status, in the vendor's own words, or
/// in so many words, which may come with a status of success, too.
pub(crate) fn is_beyond_the_end(
    page: Option<u32>,
    status: StatusCode,
    words: Words,
    error: Option<&Object<'_>>,
) -> bool {
    let is_status = refuses_page(status);
    let says_so = error.is_some_and(says_beyond_the_end) && (is_status || status.is_success());
    page.is_some_and(|page| page > 1) && (says_so || (is_status && words == Words::Vendors))
}

/// Whether a page that is not there may be refused with this status.
pub(crate) fn refuses_page(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::BAD_REQUEST
            | StatusCode::RANGE_NOT_SATISFIABLE
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// Whether an error refuses the page that was asked for: by the words that frameworks have for it, whatever the shape of
/// the vendor's own errors.
fn says_beyond_the_end(error: &Object<'_>) -> bool {
    let says_so = |name: &str| {
        let text = error.text(name).unwrap_or_default().to_lowercase().replace('_', " ");
        NO_SUCH_PAGE.iter().any(|phrase| text.contains(phrase))
    };
    ["detail", "error", "message"].into_iter().any(says_so)
        || error.object("errors").is_some_and(|errors| errors.get("page").is_some())
}

/// What a vendor counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Which page this is.
    pub(crate) page: Option<u64>,
    /// How many rows make a page.
    pub(crate) per_page: Option<u64>,
    /// How many pages there are.
    pub(crate) pages: Option<u64>,
    /// How many rows there are on all pages together.
    pub(crate) total: Option<u64>,
    /// Whether the answer names a next page.
    pub(crate) names_next: bool,
}

impl Counts {
    /// Whether rows or pages are counted.
    pub(crate) fn are_there(self) -> bool {
        self.total.or(self.pages).is_some()
    }

    /// Whether it is counted that there is nothing at all.
    pub(crate) fn is_nothing(self) -> bool {
        self.total == Some(0) || (self.total.is_none() && self.pages == Some(0))
    }

    /// Whether more rows are named or counted than the page `asked` shows.
    pub(crate) fn speak_of_more(self, asked: u32, row_count: usize) -> bool {
        let is_more = |total: u64| total > u64::try_from(row_count).unwrap_or(u64::MAX);
        self.names_next || self.total.map_or(self.pages.is_some_and(|pages| pages > u64::from(asked)), is_more)
    }

    /// How many pages there are, by the answer for page `asked` with so many rows; none when that is not proved, and the
    /// list ends with its first empty page.
    ///
    /// # Errors
    /// When the answer says that it is another page than the one asked for: the rest would never be seen.
    pub(crate) fn pages_total(self, asked: u32, row_count: usize) -> Result<Option<u32>, Malformed> {
        let rows = u64::try_from(row_count).unwrap_or(u64::MAX);
        let asked = u64::from(asked);
        let pages = self.believed(asked, rows);
        if let Some(page) = self.page.filter(|page| *page != asked) {
            // Behind the end, which may have moved since, some show the last page again. Where no end is counted the engine
            // sees by the rows whether it is that.
            let is_behind_end = self.pages.or(pages).map_or(page + 1 == asked, |pages| asked > pages);
            if !is_behind_end {
                return Err(Malformed::Shape("another page than the one asked for"));
            }
        }
        let is_another = self.page.is_some_and(|page| page != asked);
        let pages = pages.filter(|pages| {
            // A page that is named is there, whatever is counted, and so is one that has rows, if they are its own.
            let is_behind_end = if rows > 0 { *pages < asked } else { pages + 1 < asked };
            (!self.names_next || rows == 0 || *pages > asked) && (!is_behind_end || is_another)
        });
        Ok(pages.and_then(|pages| u32::try_from(pages).ok()))
    }

    /// The number of pages, unless the rows contradict it.
    fn believed(self, asked: u64, rows: u64) -> Option<u64> {
        let is_contradicted = self.total.is_some_and(|total| total < rows);
        let by_pages = self.pages.filter(|pages| !is_contradicted && (*pages > 0 || rows == 0));
        let total = self.total.filter(|_| !is_contradicted);
        let per_page = self.per_page.filter(|per_page| *per_page > 0);
        let by_total = match (total, per_page) {
            (Some(0), _) => Some(0),
            (Some(total), Some(per_page)) => Some(total.div_ceil(per_page)),
            (Some(_), None) | (None, _) => None,
        };
        // Other rows than the counts leave for this page: pages are not as long as they are said to be. Behind the counted
        // end that may be the last page, shown again. A page without rows is one all the same.
        if let (Some(total), Some(per_page)) = (total, per_page) {
            let before = (asked - 1).saturating_mul(per_page);
            let left = total.saturating_sub(before).min(per_page);
            if rows > 0 && (rows < left || (rows > left && left > 0)) {
                return None;
            }
        }
        // More rows are counted than the only page has: one of the counts is of something else.
        if per_page.is_none() && asked == 1 && rows > 0 && total.is_some_and(|total| total > rows) {
            return by_pages.filter(|pages| *pages > 1);
        }
        // Some count the rows of each page alone: then the first one seems to be all, but it is full.
        let is_full = per_page.is_some_and(|per_page| rows >= per_page) || self.pages.is_none();
        let is_of_page = asked == 1 && rows > 0 && is_full && self.total.is_none_or(|total| total == rows);
        by_pages.max(by_total).filter(|pages| *pages > 1 || !is_of_page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(page: Option<u64>, per_page: Option<u64>, pages: Option<u64>, total: Option<u64>) -> Counts {
        Counts { page, per_page, pages, total, names_next: false }
    }

    #[test]
    fn only_the_vendors_own_count_is_an_end() {
        for (counts, asked, rows, expected) in [
            (counts(None, None, None, None), 1, 2, None),
            (counts(None, Some(50), None, None), 3, 2, None),
            (counts(None, Some(50), None, None), 3, 0, None),
            (counts(Some(1), Some(50), Some(5), Some(237)), 1, 50, Some(5)),
            (counts(Some(5), Some(50), Some(5), Some(237)), 5, 37, Some(5)),
            (counts(None, None, Some(5), None), 3, 2, Some(5)),
            (counts(None, None, Some(0), None), 1, 0, Some(0)),
            (counts(None, Some(50), None, Some(237)), 1, 50, Some(5)),
            (counts(None, None, None, Some(3)), 1, 2, None),
            (counts(None, None, None, Some(2)), 2, 2, None),
            (counts(None, None, None, Some(0)), 1, 0, Some(0)),
            // Of two counts the larger one.
            (counts(None, Some(50), Some(1), Some(100)), 1, 50, Some(2)),
            (counts(None, Some(50), Some(4), Some(100)), 1, 50, Some(4)),
            (counts(None, Some(50), Some(1), Some(2)), 1, 2, Some(1)),
            (counts(None, None, Some(1), Some(2)), 1, 2, Some(1)),
            // An empty page is no end where more are counted, and the end behind them.
            (counts(None, Some(50), Some(5), Some(237)), 2, 0, Some(5)),
            (counts(None, Some(50), None, Some(237)), 1, 0, Some(5)),
            (counts(None, None, Some(2), None), 3, 0, Some(2)),
        ] {
            assert_eq!(counts.pages_total(asked, rows), Ok(expected), "{counts:?} page {asked}, {rows} rows");
        }
    }

    #[test]
    fn what_the_rows_contradict_is_not_believed() {
        for (counts, asked, rows) in [
            (counts(None, None, Some(0), None), 1, 2),
            (counts(None, None, None, Some(0)), 1, 2),
            (counts(None, None, None, Some(1)), 1, 2),
            (counts(None, None, Some(1), Some(1)), 1, 2),
            (counts(None, None, Some(1), Some(5)), 1, 2),
            (counts(None, None, Some(5_000_000_000), None), 1, 2),
            // Ten rows a page, whatever is said.
            (counts(Some(1), Some(100), Some(1), Some(25)), 1, 10),
            (counts(Some(1), Some(100), None, Some(25)), 1, 10),
            (counts(Some(3), Some(100), Some(3), Some(237)), 3, 10),
            // Rows behind the counted end, and an empty page too far behind it.
            (counts(None, None, Some(2), None), 3, 2),
            (counts(None, None, Some(2), None), 4, 0),
            // Counts of this page alone.
            (counts(None, None, None, Some(2)), 1, 2),
            (counts(None, Some(2), None, Some(2)), 1, 2),
            (counts(None, Some(50), None, Some(2)), 1, 2),
            (counts(None, Some(2), Some(1), Some(2)), 1, 2),
            (counts(None, Some(2), Some(1), None), 1, 2),
            (counts(None, Some(2), None, Some(2)), 2, 2),
        ] {
            assert_eq!(counts.pages_total(asked, rows), Ok(None), "{counts:?} page {asked}, {rows} rows");
        }
    }

    #[test]
    fn another_page_is_refused_unless_it_can_be_the_last_one_again() {
        for (counts, asked, expected) in [
            (counts(Some(1), None, Some(5), None), 3, None),
            (counts(Some(4), None, Some(5), None), 3, None),
            (counts(Some(1), Some(50), Some(5), Some(237)), 2, None),
            (counts(Some(1), None, None, None), 3, None),
            (counts(Some(2), None, Some(2), None), 3, Some(Some(2))),
            (counts(Some(2), None, None, None), 3, Some(None)),
        ] {
            assert_eq!(counts.pages_total(asked, 2).ok(), expected, "{counts:?} page {asked}");
        }
    }

    #[test]
    fn a_named_next_page_wins_over_a_count() {
        let counts = Counts { names_next: true, ..counts(None, None, Some(2), None) };
        for (asked, rows, expected) in [(1, 2, Some(2)), (2, 2, None), (3, 2, None), (3, 0, Some(2)), (4, 0, None)] {
            assert_eq!(counts.pages_total(asked, rows), Ok(expected), "page {asked}, {rows} rows");
        }
    }

    #[test]
    fn frameworks_refuse_a_page_in_words_of_their_own() {
        for (json, refuses) in [
            (r#"{"detail":"Invalid page."}"#, true),
            (r#"{"error":"expected :page in 1..2; got 3"}"#, true),
            (r#"{"success":false,"error":"not_found","message":"Invalid page"}"#, true),
            (r#"{"errors":{"page":["is invalid"]}}"#, true),
            (r#"{"success":false,"error":"page_out_of_range"}"#, true),
            (r#"{"message":"404 page not found"}"#, false),
            (r#"{"detail":"Not found."}"#, false),
            (r#"{"errors":{"updated_at":["is invalid"]}}"#, false),
            ("{}", false),
        ] {
            assert_eq!(says_beyond_the_end(&Object::of(json).unwrap()), refuses, "{json}");
        }
    }

    #[test]
    fn only_a_later_page_is_beyond_the_end() {
        let error = Object::of(r#"{"detail":"Invalid page."}"#).unwrap();
        for (page, status, words, expected) in [
            (Some(3), 404, Words::Vendors, true),
            (Some(3), 400, Words::Vendors, true),
            (Some(3), 404, Words::OtherJson, true),
            (Some(1), 404, Words::Vendors, false),
            (None, 404, Words::Vendors, false),
            (Some(3), 403, Words::Vendors, false),
            (Some(3), 500, Words::Vendors, false),
            (Some(3), 200, Words::OtherJson, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_beyond_the_end(page, status, words, Some(&error)), expected, "{page:?} {status} {words:?}");
        }
        assert!(!is_beyond_the_end(Some(3), StatusCode::NOT_FOUND, Words::Page, None));
    }

    #[test]
    fn next_pages_are_named_in_many_ways() {
        for (json, is_named) in [
            (r#"{"next":"https://x/?page=2"}"#, true),
            (r#"{"next_page":2}"#, true),
            (r#"{"has_more":true}"#, true),
            (r#"{"hasNextPage":true}"#, true),
            (r#"{"nextCursor":"b2Zmc2V0"}"#, true),
            (r#"{"next_service_at":"2026-01-01"}"#, false),
            (r#"{"links":{"next":"/x?page=2"}}"#, true),
            (r#"{"_links":{"next":{"href":"/x"}}}"#, true),
            (r#"{"nextPageToken":"b2Zm"}"#, true),
            (r#"{"next_token":"b2Zm"}"#, true),
            (r#"{"continuationToken":"b2Zm"}"#, true),
            (r#"{"@odata.nextLink":"https://x/jobs?$skip=50"}"#, true),
            (r#"{"next_offset":50}"#, true),
            (r#"{"hasMorePages":true}"#, true),
            (r#"{"more":true}"#, true),
            (r#"{"IsTruncated":true}"#, true),
            (r#"{"truncated":false}"#, false),
            (r#"{"paging":{"next":"https://x/?page=2"}}"#, true),
            (r#"{"page_info":{"has_next_page":true,"end_cursor":"Y3"}}"#, true),
            (r#"{"cursors":{"next":"Y3"}}"#, true),
            (r#"{"last":false,"number":0}"#, true),
            (r#"{"isLastPage":false}"#, true),
            (r#"{"last":true,"number":1}"#, false),
            (r#"{"last":"https://x/?page=9"}"#, false),
            (r#"{"nextPageToken":"","paging":{},"page_info":{"has_next_page":false}}"#, false),
            (r#"{"next":null,"has_more":false,"next_page":"","links":{"next":null}}"#, false),
            ("{}", false),
        ] {
            assert_eq!(names_next(&Object::of(json).unwrap()), is_named, "{json}");
        }
    }
}
