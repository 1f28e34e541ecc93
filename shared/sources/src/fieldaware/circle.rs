//! Notices a feed that goes in circles.
//!
//! Tokens have no order that is documented, and a vendor may begin its count again, so one that is smaller than the one
//! before says nothing. One that was met before in the same walk does: followed, the pages between would be read for
//! ever, and what happens behind them would never be told.

use std::sync::{Mutex, PoisonError};

/// The walk through a feed since its beginning, its last end, or the last place that does not follow from the one before.
///
/// One token of it is remembered, and replaced by a later one each time twice as many pages were read (Brent's way): any
/// circle is noticed within three times its length, and memory does not grow.
#[derive(Debug, Default)]
pub(super) struct Circle(Mutex<Walk>);

#[derive(Debug, Default)]
struct Walk {
    /// Where the last page led.
    next: String,
    remembered: String,
    /// How many pages were read since.
    pages: u64,
    /// After how many pages another token is remembered.
    pages_max: u64,
}

impl Circle {
    /// Takes in that the page of one token leads to another; returns whether that was met before. A page that leads to
    /// itself is the end.
    pub(super) fn closes(&self, token: &str, next: &str) -> bool {
        let mut walk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if token == next {
            *walk = Walk::default();
            return false;
        }
        if walk.next != token {
            // A page that failed, or whose events were not stored, is asked for again.
            *walk = Walk { next: token.to_owned(), remembered: token.to_owned(), pages: 0, pages_max: 1 };
        }
        if next == walk.remembered {
            return true;
        }
        next.clone_into(&mut walk.next);
        walk.pages += 1;
        if walk.pages >= walk.pages_max {
            let pages_max = walk.pages_max.saturating_mul(2);
            *walk = Walk { next: next.to_owned(), remembered: next.to_owned(), pages: 0, pages_max };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pages are read until a circle is noticed, which has a way of so many pages before it.
    fn pages_until_noticed(way: u32, length: u32) -> u32 {
        let (circle, mut token) = (Circle::default(), 0);
        for pages in 1..10_000 {
            let next = if token + 1 == way + length { way } else { token + 1 };
            if circle.closes(&format!("t{token}"), &format!("t{next}")) {
                // Asked for again, it says so again.
                assert!(circle.closes(&format!("t{token}"), &format!("t{next}")));
                return pages;
            }
            token = next;
        }
        panic!("a circle of {length} pages behind {way} others is not noticed");
    }

    #[test]
    fn every_circle_is_noticed() {
        for length in [2, 3, 7, 100, 1000] {
            for way in [0, 1, 5, 40] {
                let pages = pages_until_noticed(way, length);
                assert!(pages > length && pages <= 3 * (way + length) + 1, "{way} {length}: {pages}");
            }
        }
    }

    #[test]
    fn a_way_on_is_no_circle_however_its_tokens_are_written() {
        let circle = Circle::default();
        let closes = |token: &str, next: &str| circle.closes(token, next);
        // On, back to a smaller number, to an end and behind it.
        let way = ["63", "9", "10", "dcae", "abcd", "abcd", "63", "9"];
        for pair in way.windows(2) {
            assert!(!closes(pair[0], pair[1]), "{pair:?}");
        }
        // Pages that are asked for again lead where they led before.
        for (token, next) in [("a", "b"), ("b", "c"), ("a", "b"), ("b", "c"), ("b", "c"), ("c", "d")] {
            assert!(!closes(token, next), "{token} {next}");
        }
    }
}
