//! A walk over numbered pages: where it stands, and what it has met.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use super::{Evidence, Reading};
use crate::{Change, LocalMillis, Page, PageWalk, StampMillis};

impl PageWalk {
    pub(super) fn is_forward(self) -> bool {
        self.pass.is_multiple_of(2)
    }

    pub(super) fn page(self) -> u32 {
        if self.is_forward() { self.step + 1 } else { self.pages.saturating_sub(self.step).max(1) }
    }

    /// Notes an answer; whether the pass is over. Only a forward pass learns how many pages there are.
    pub(super) fn step(&mut self, told: Option<u32>, is_empty: bool) -> bool {
        self.step += 1;
        if !self.is_forward() {
            return self.step >= self.pages;
        }
        self.pages = match told {
            Some(total) => total.max(1),
            None if is_empty => (self.step - 1).max(1),
            None => self.step,
        };
        if told.is_some() { self.step >= self.pages } else { is_empty }
    }

    pub(super) fn next_pass(self) -> Self {
        let barren = if self.added { 0 } else { self.barren + 1 };
        Self { pass: self.pass + 1, step: 0, added: false, barren, ..self }
    }

    /// Notes whether the rows of the first pass come in the order of their stamps. Rows without a stamp may come first.
    fn note_order(&mut self, page: &Page) {
        let begins = self.step == 0;
        if self.pass > 0 || page.changes.is_empty() {
            return;
        }
        let mut is_ordered = begins || self.newest.is_some();
        for change in &page.changes {
            match change.stamp().map(|stamp| stamp.at) {
                Some(at) => {
                    is_ordered &= self.newest.is_none_or(|newest| newest <= at);
                    self.newest = Some(at);
                }
                None => is_ordered &= begins && self.newest.is_none(),
            }
        }
        self.newest = self.newest.filter(|_| is_ordered);
    }
}

/// A walk under way within one tick.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) from: StampMillis,
    pub(super) place: PageWalk,
    /// When the listing began, in an earlier tick: rows stamped later than that need not be met.
    pub(super) begun_at: Option<LocalMillis>,
    /// Rows met in this tick, as digests of id and stamp.
    pub(super) met: HashSet<u64>,
    /// Digests of the pages as the pass before showed them, and as this one does.
    shown_before: HashMap<u32, u64>,
    shown: HashMap<u32, u64>,
    pub(super) rows_max: usize,
    /// How many pages the vendor named last.
    told: Option<u32>,
    pub(super) first: Option<Reading>,
    pub(super) evidence: Vec<Evidence>,
}

impl Walk {
    pub(super) fn new(from: StampMillis, place: PageWalk, begun_at: Option<LocalMillis>) -> Self {
        // A forward pass that is under way has learnt of more pages from the vendor alone.
        let told = Some(place.pages).filter(|pages| place.is_forward() && place.step > 0 && *pages > place.step);
        Self { from, place, begun_at, told, ..Self::default() }
    }

    /// A page that the vendor had named and now refuses: the list has become shorter, and is walked from its
    /// beginning. Whether that is so, and was not tried before.
    pub(super) fn begin_again(&mut self) -> bool {
        let is_known = self.place.is_capped || self.place.refused == Some(self.place.page());
        let is_news = self.is_capped() && !is_known;
        if is_news {
            let refused = Some(self.place.page());
            self.place = PageWalk { pass: self.place.pass, refused, ..PageWalk::default() };
            self.place.pass -= self.place.pass % 2;
            self.shown.clear();
            self.told = None;
        }
        is_news
    }

    /// Whether the vendor reports a page that it refuses: a cap on deep paging.
    pub(super) fn is_capped(&self) -> bool {
        self.told.is_some_and(|told| told >= self.place.page())
    }

    /// Notes a page; returns whether it is the same as the one read just before it in this pass.
    pub(super) fn note(&mut self, page: &Page) -> bool {
        let digest = digest(page.changes.iter().map(version_of).collect::<Vec<_>>());
        self.told = page.pages_total.or(self.told);
        let number = self.place.page();
        let before = if self.place.is_forward() { number.wrapping_sub(1) } else { number + 1 };
        let is_again = !page.changes.is_empty() && self.shown.get(&before) == Some(&digest);
        self.shown.insert(number, digest);
        self.place.note_order(page);
        is_again
    }

    /// Whether the pass that ends showed every page as the one before did.
    pub(super) fn end_pass(&mut self) -> bool {
        // Behind the end there may be an empty page that only forward passes meet.
        let is_same = self.shown.iter().all(|(page, digest)| self.shown_before.get(page) == Some(digest));
        self.shown_before = std::mem::take(&mut self.shown);
        is_same
    }
}

fn digest(what: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(what)
}

/// What tells one version of a row from another: its id and stamp.
pub(super) fn version_of(change: &Change) -> u64 {
    digest((&change.id, change.stamp().map(|stamp| stamp.at)))
}
