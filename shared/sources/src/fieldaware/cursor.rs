//! Where the walk through the lists stands, as text for the checkpoint.

use std::fmt;
use std::str::FromStr;

use super::path::is_segment;
use super::streams::{self, Class};

/// Beyond so many pages a list is taken for one without an end.
const PAGES_MAX: u32 = 100_000;

/// In which direction a list is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Forward,
    Backward,
}

/// A place in one list. Shown as `<page>/<pass>/<collected>/<count>/<last>`, the last two as `-` where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// Which page, counted from 0.
    pub(super) page: u32,
    /// In which direction.
    pub(super) pass: Pass,
    /// How many rows the forward pass has met on the pages before.
    pub(super) collected: u64,
    /// How many rows there are in all, by the page before.
    pub(super) count: Option<u64>,
    /// The digest of the page before, in the forward pass.
    pub(super) last: Option<u64>,
}

/// What one page of a list says of where the list ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// How many rows there are on the page.
    pub(super) rows: u64,
    /// How many there are in all, when the page says so.
    pub(super) count: Option<u64>,
    /// Whether the page names a next one; none when it names no page at all.
    pub(super) has_next: Option<bool>,
    /// The digest of its rows.
    pub(super) digest: u64,
    /// How many rows make a page, when that is known.
    pub(super) size: Option<u64>,
}

/// A list that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endless;

impl Walk {
    /// The beginning of a list.
    pub(super) const START: Self = Self { page: 0, pass: Pass::Forward, collected: 0, count: None, last: None };

    /// Whether a page shows what the one before it showed: then pages are not turned, and more of them tell nothing.
    pub(super) fn is_again(self, extent: Extent) -> bool {
        extent.rows > 0 && self.last == Some(extent.digest)
    }

    /// Whether rows were counted that no page before this one has shown.
    pub(super) fn misses_rows(self) -> bool {
        self.pass == Pass::Forward && self.count.is_some_and(|count| self.collected < count)
    }

    /// Whether a list ends without rows although some were counted.
    pub(super) fn shows_none(self, extent: Extent) -> bool {
        let is_counted = self.count.max(extent.count) > Some(0);
        self.pass == Pass::Forward && self.collected + extent.rows == 0 && is_counted && self.is_last(extent)
    }

    /// Whether no page follows: there is no row, or nothing is named and nothing counted behind it. A next page that is
    /// named is read whatever is counted, a counted row is looked for whatever is named, and a count below what was met is
    /// none. Of two counts the larger one is believed; one that is no more than a full first page may be of that page alone.
    /// The address of the last page is no sign: it may lie one past the end.
    fn is_last(self, extent: Extent) -> bool {
        let Extent { rows, has_next, size, .. } = extent;
        let (collected, count) = (self.collected.saturating_add(rows), self.count.max(extent.count));
        if rows == 0 {
            let begins_next = |size: u64| size.saturating_mul(u64::from(self.page) + 1);
            return size.zip(count).is_none_or(|(size, count)| begins_next(size) >= count);
        }
        let may_be_of_page = self.page == 0 && size.is_some_and(|size| rows >= size);
        match (has_next, count) {
            (Some(true), _) | (None, None) => false,
            (Some(false), count) => count.is_none_or(|count| collected >= count),
            (None, Some(count)) => collected == count && !may_be_of_page,
        }
    }

    /// The place after a page; none behind the last one.
    ///
    /// A list of one page cannot have moved while it was read. One of several is walked backward, too: a row that moved
    /// up to a page already read, because one before it was deleted, is met on the way back.
    pub(super) fn after(self, extent: Extent) -> Result<Option<Self>, Endless> {
        let collected = self.collected.saturating_add(extent.rows);
        match self.pass {
            Pass::Backward => Ok(self.page.checked_sub(1).map(|page| Self { page, ..self })),
            Pass::Forward if !self.is_last(extent) => match self.page.saturating_add(1) {
                page if page >= PAGES_MAX => Err(Endless),
                page => Ok(Some(Self { page, collected, count: extent.count, last: Some(extent.digest), ..self })),
            },
            Pass::Forward if self.page == 0 => Ok(None),
            Pass::Forward => {
                let page = if extent.rows == 0 { self.page - 1 } else { self.page };
                Ok(Some(Self { page, pass: Pass::Backward, collected, count: None, last: None }))
            }
        }
    }
}

/// The users whose own lists are still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    /// Their uuids; the first one's list is under way.
    pub(super) users: Vec<String>,
    /// Where in it.
    pub(super) walk: Walk,
}

/// Where to go on: `customers/3/forward/300/-/-`, or, for lists below users,
/// `unavailable_times/1/forward/200/-/-;<uuid>,<uuid>;0/forward/0/-/-`, with `end` for a list of users that was read to its
/// end. A `!` before it says that nothing but this class is listed, a `+` before the class that its archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Whose list.
    pub(super) class: &'static Class,
    /// Whether it is the list of what is archived.
    pub(super) is_archive: bool,
    /// Whether no other list follows.
    pub(super) is_alone: bool,
    /// Where in the list, for lists below users in the list of users; none behind its end.
    pub(super) walk: Option<Walk>,
    /// The users, for lists below them.
    pub(super) queue: Option<Queue>,
}

impl Cursor {
    /// The beginning of a class's list.
    pub(super) fn start(class: &'static Class) -> Self {
        Self { class, is_archive: false, is_alone: false, walk: Some(Walk::START), queue: None }
    }

    /// Reads a cursor; none when it is foreign.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_alone, text) = text.strip_prefix('!').map_or((false, text), |text| (true, text));
        let (is_archive, text) = text.strip_prefix('+').map_or((false, text), |text| (true, text));
        let mut parts = text.split(';');
        let (records, walk) = parts.next()?.split_once('/')?;
        let class = streams::of_records(records)?;
        let walk = if walk == "end" { None } else { Some(walk.parse().ok()?) };
        let queue = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => None,
            (Some(users), Some(place), None) => {
                let users: Vec<String> = users.split(',').map(str::to_owned).collect();
                if !users.iter().all(|user| is_segment(user)) {
                    return None;
                }
                Some(Queue { users, walk: place.parse().ok()? })
            }
            _ => return None,
        };
        Some(Self { class, is_archive, is_alone, walk, queue })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alone, archive) = (if self.is_alone { "!" } else { "" }, if self.is_archive { "+" } else { "" });
        write!(f, "{alone}{archive}{}/", self.class.records)?;
        match self.walk {
            Some(walk) => walk.fmt(f)?,
            None => f.write_str("end")?,
        }
        match &self.queue {
            Some(queue) => write!(f, ";{};{}", queue.users.join(","), queue.walk),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pass = match self.pass {
            Pass::Forward => "forward",
            Pass::Backward => "backward",
        };
        write!(f, "{}/{pass}/{}", self.page, self.collected)?;
        for number in [self.count, self.last] {
            match number {
                Some(number) => write!(f, "/{number}")?,
                None => f.write_str("/-")?,
            }
        }
        Ok(())
    }
}

/// A text that is no place in a list.
#[derive(Debug)]
pub(super) struct BadWalk;

impl FromStr for Walk {
    type Err = BadWalk;

    fn from_str(text: &str) -> Result<Self, BadWalk> {
        let parts: Vec<&str> = text.split('/').collect();
        let [page, pass, collected, count, last] = parts[..] else { return Err(BadWalk) };
        let or_none = |text: &str| if text == "-" { Ok(None) } else { text.parse().map(Some).map_err(|_| BadWalk) };
        let pass = match pass {
            "forward" => Pass::Forward,
            "backward" => Pass::Backward,
            _ => return Err(BadWalk),
        };
        let page = page.parse().map_err(|_| BadWalk)?;
        let collected = collected.parse().map_err(|_| BadWalk)?;
        Ok(Self { page, pass, collected, count: or_none(count)?, last: or_none(last)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages that are asked for, given what each page says.
    fn walked(pages: &[Extent]) -> Vec<u32> {
        let mut asked = Vec::new();
        let mut walk = Some(Walk::START);
        while let Some(place) = walk {
            asked.push(place.page);
            let page = usize::try_from(place.page).unwrap();
            walk = place.after(pages.get(page).copied().unwrap_or_default()).unwrap();
        }
        asked
    }

    fn extent(rows: u64, count: Option<u64>, has_next: Option<bool>) -> Extent {
        Extent { rows, count, has_next, digest: 0, size: None }
    }

    #[test]
    fn a_list_of_one_page_is_read_once() {
        for only in [
            extent(2, Some(2), None),
            extent(2, None, Some(false)),
            extent(0, None, None),
            extent(0, Some(9), Some(true)),
        ] {
            assert_eq!(walked(&[only]), [0], "{only:?}");
        }
    }

    #[test]
    fn a_list_of_several_pages_is_walked_forward_and_backward() {
        let by_link = [extent(2, None, Some(true)), extent(2, None, Some(true)), extent(1, None, Some(false))];
        assert_eq!(walked(&by_link), [0, 1, 2, 2, 1, 0]);
        let by_count = [extent(2, Some(5), None), extent(2, Some(5), None), extent(1, Some(5), None)];
        assert_eq!(walked(&by_count), [0, 1, 2, 2, 1, 0]);
        // The answer says neither: the first empty page is the end.
        assert_eq!(walked(&[extent(2, None, None), extent(2, None, None)]), [0, 1, 2, 1, 0]);
    }

    /// A page that is named is there, whatever is counted; behind the end it is empty.
    #[test]
    fn a_named_next_page_wins_over_a_count() {
        for count in [1, 2, 4] {
            let page = |rows, next| extent(rows, Some(count), Some(next));
            assert_eq!(walked(&[page(2, true), page(2, true), page(1, false)]), [0, 1, 2, 2, 1, 0], "{count}");
            assert_eq!(walked(&[page(2, true), page(2, true), page(0, false)]), [0, 1, 2, 1, 0], "{count}");
        }
    }

    #[test]
    fn a_count_that_the_rows_contradict_is_no_end() {
        assert_eq!(walked(&[extent(2, Some(1), None), extent(2, Some(1), None)]), [0, 1, 2, 1, 0]);
        let more = [extent(2, Some(5), Some(false)), extent(2, Some(5), Some(false)), extent(1, Some(5), Some(false))];
        assert_eq!(walked(&more), [0, 1, 2, 2, 1, 0]);
    }

    /// 25 rows, ten a page: a count of each page alone, a page without rows among others, and a count that was once less.
    #[test]
    fn a_count_is_an_end_only_where_no_page_speaks_against_it() {
        let page = |rows, count| Extent { size: Some(10), ..extent(rows, Some(count), None) };
        for (pages, expected) in [
            (&[page(10, 10), page(10, 10), page(5, 5)][..], &[0, 1, 2, 3, 2, 1, 0][..]),
            (&[page(10, 25), page(0, 25), page(10, 25), page(5, 25)], &[0, 1, 2, 3, 3, 2, 1, 0]),
            (&[page(0, 25), page(10, 25), page(15, 25)], &[0, 1, 2, 2, 1, 0]),
            (&[page(10, 25), page(10, 20), page(5, 25)], &[0, 1, 2, 2, 1, 0]),
            (&[page(10, 20), page(9, 19)], &[0, 1, 2, 1, 0]),
            (&[page(5, 5)], &[0]),
        ] {
            assert_eq!(walked(pages), expected, "{pages:?}");
        }
    }

    #[test]
    fn a_list_that_counts_rows_and_shows_none_is_told_from_an_empty_one() {
        let page = |count| Extent { size: Some(10), ..extent(0, count, None) };
        let second = Walk { page: 1, count: Some(15), ..Walk::START };
        assert!(second.shows_none(page(Some(15))) && second.shows_none(page(None)));
        assert!(!Walk::START.shows_none(page(Some(15))), "the second page may show them");
        assert!(!Walk::START.shows_none(page(Some(0))) && !Walk::START.shows_none(page(None)));
        assert!(!Walk { collected: 10, ..second }.shows_none(page(Some(15))));
    }

    #[test]
    fn a_page_shorter_than_asked_for_is_not_the_end() {
        let pages =
            [extent(20, Some(45), Some(true)), extent(3, Some(45), Some(true)), extent(20, Some(45), Some(false))];
        assert_eq!(walked(&pages), [0, 1, 2, 3, 2, 1, 0], "two rows more are counted, so an empty page is the end");
    }

    #[test]
    fn a_second_page_that_emptied_meanwhile_sends_the_walk_back() {
        assert_eq!(walked(&[extent(2, Some(3), Some(true)), extent(0, Some(2), Some(false))]), [0, 1, 0]);
    }

    #[test]
    fn a_list_without_an_end_is_a_failure() {
        let last = Walk { page: PAGES_MAX - 1, ..Walk::START };
        assert_eq!(last.after(extent(1, None, None)), Err(Endless));
        let stored: Walk = format!("{}/forward/0/-/-", u32::MAX).parse().unwrap();
        assert_eq!(stored.after(extent(1, None, None)), Err(Endless));
    }

    #[test]
    fn a_cursor_survives_its_text() {
        for text in [
            "customers/3/forward/300/-/-",
            "customers/3/forward/300/187/18446744073709551615",
            "!customers/0/forward/0/-/-",
            "+users/0/backward/1/-/-",
            "!+users/0/backward/1/-/-",
            "unavailable_times/1/forward/200/-/-;7cc5,53b6;0/backward/20/-/-",
            "working_hours_exceptions/end;7cc5;2/forward/40/-/-",
            "working_hours_exceptions/end",
        ] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "nonsense",
            "ships/0/forward/0/-/-",
            "jobs/0/forward/0",
            "jobs/0/sideways/0/-/-",
            "jobs/-1/forward/0/-/-",
            "+!jobs/0/forward/0/-/-",
            "users/end;../x;0/forward/0/-/-",
            "users/end;a",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
