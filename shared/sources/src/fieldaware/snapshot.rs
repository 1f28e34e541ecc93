//! Listing everything, for a first import: the lists of every kept class, one after another.
//!
//! The lists have pages with numbers and move while they are read: a deletion pulls every row behind it forward, over
//! the page boundary that was just passed. So a list of several pages is walked forward and then backward (see
//! [`Walk::after`]). That makes a row that nobody touched come twice, which costs nothing; that it comes not at all needs
//! a deletion before it on the way there *and* a new row before it on the way back. What is created or edited meanwhile
//! comes through the feed, whose token was taken before.
//!
//! A class whose list is refused in the vendor's own words (403: the feature is off, or the user has no right; 404: no such
//! list; 422: not with these parameters) is left out, with a warning, and listed again later: the others are still worth having. So is one that shows the
//! same page twice in a row. A later page that is refused is one behind the end, unless more rows were counted; then the class is
//! listed again later. Any other failure ends the call; the list waits behind the others, and is tried again at every tick.
//!
//! Declarations of custom fields have no events: their list is read again once a day.

use reqwest::StatusCode;
use tidemark_engine::change::{Later, Page, WhyLater};
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};
use tidemark_engine::stream::StreamName;

use super::FieldAware;
use super::answer::{self, Rows};
use super::call::{Call, Got, Outcome};
use super::cursor::{Cursor, Endless, Extent, Queue, Walk};
use super::settings::{FieldAwareSettings, Window};
use super::streams::List as Place;
use crate::http::{PAGE_BYTES_MAX, Purpose, Terms, Words};
use crate::json::Malformed;
use crate::rows::refuses_page;

/// How much of a page of users is kept in the checkpoint.
const QUEUE_BYTES_MAX: usize = 32 << 10;

/// A list that is asked for.
struct List<'a> {
    /// Names it in logs.
    pattern: &'a str,
    path: &'a str,
    window: Option<Window>,
    is_archive: bool,
}

/// A page of a list, or why there is none.
enum Read {
    Page {
        rows: Rows,
        next: Option<Walk>,
        date: Option<VendorMillis>,
    },
    /// The same page as the one before.
    Again {
        date: Option<VendorMillis>,
    },
    /// A later page is refused, or all are empty, though rows were counted.
    Capped {
        date: Option<VendorMillis>,
    },
    Refused {
        status: StatusCode,
        /// Whether the refusal speaks of how the vendor was called.
        is_of_call: bool,
        date: Option<VendorMillis>,
    },
}

/// Where the list of each class begins that a first import reads, by itself.
pub(crate) fn parts(settings: &FieldAwareSettings) -> Vec<(StreamName, String)> {
    let classes = std::iter::successors(settings.listed_after(None), |class| settings.listed_after(Some(class)));
    let alone = |class| Cursor { is_alone: true, ..Cursor::start(class) };
    classes.map(|class| (class.records.clone(), alone(class).to_string())).collect()
}

impl<C: Clock, K: Credentials> FieldAware<C, K> {
    /// One page of everything there is.
    pub(super) async fn snapshot(&self, cursor: Option<&str>) -> Result<Page, SourceFailure> {
        let Some(here) = self.place(cursor) else { return Ok(Page::default()) };
        match here.class.list {
            Place::At { .. } => self.list_class(here).await,
            Place::BelowUsers { segment, .. } => match here.queue.clone() {
                Some(queue) => self.list_below_user(here, segment, queue).await,
                None => self.list_users(here).await,
            },
        }
    }

    /// The place that a cursor names. A foreign one starts from the beginning.
    fn place(&self, cursor: Option<&str>) -> Option<Cursor> {
        let here = cursor.and_then(Cursor::parse).filter(|cursor| self.settings.keeps(cursor.class));
        here.or_else(|| self.settings.listed_after(None).map(Cursor::start))
    }

    /// The list at a cursor by itself, and what follows it: of lists below users that of the next user.
    pub(super) fn snapshot_apart(&self, cursor: Option<&str>) -> Option<(Later, Option<String>)> {
        let here = self.place(cursor)?;
        let (alone, within) = match &here.queue {
            Some(queue) => {
                let alone = Queue { users: queue.users.iter().take(1).cloned().collect(), walk: queue.walk };
                (Cursor { walk: None, queue: Some(alone), ..here.clone() }, behind_user(&here, queue))
            }
            None => (here.clone(), None),
        };
        let others = self.page(&here, within, Page::default()).next;
        let cursor = Some(Cursor { is_alone: true, ..alone }.to_string());
        Some((Later { stream: here.class.records.clone(), cursor, why: WhyLater::Refused }, others))
    }

    async fn list_class(&self, here: Cursor) -> Result<Page, SourceFailure> {
        let class = here.class;
        let (Some(walk), Some(path)) = (here.walk, self.settings.list_path(class)) else {
            return Ok(self.page(&here, None, Page::default()));
        };
        let list = List { pattern: path, path, window: self.settings.window(class), is_archive: here.is_archive };
        match self.read(&list, walk).await? {
            Read::Page { rows, next, date } => {
                let changes = rows.changes(class, None, &self.settings);
                let (changes, unusable_count) = changes.map_err(|malformed| no_list(path, malformed))?;
                let page = Page { changes, unusable_count, date, ..Page::default() };
                let within = next.map(|walk| Cursor { walk: Some(walk), ..here.clone() });
                let is_read = within.is_none() && !class.is_told;
                let page = self.page(&here, within, page);
                Ok(if is_read { Page { later: Some(later(&here, WhyLater::Untold)), ..page } } else { page })
            }
            Read::Again { date } => Ok(self.left_out_moving(&here, date)),
            Read::Capped { date } => Ok(self.left_out_capped(&here, date)),
            Read::Refused { status, date, .. } => Ok(self.left_out(&here, status, date)),
        }
    }

    /// Reads a page of the list of users, whose own lists come next.
    async fn list_users(&self, here: Cursor) -> Result<Page, SourceFailure> {
        let Some(walk) = here.walk else { return Ok(self.page(&here, None, Page::default())) };
        let path = self.settings.users_path();
        match self.read(&List { pattern: path, path, window: None, is_archive: false }, walk).await? {
            Read::Page { rows, next, date } => {
                let (users, unusable_count) = rows.uuids().map_err(|malformed| no_list(path, malformed))?;
                if users.iter().map(|user| user.len() + 1).sum::<usize>() > QUEUE_BYTES_MAX {
                    let next_step =
                        "set list_page_size to a smaller number; if the vendor ignores it, leave the class out";
                    let class = here.class.entity;
                    tracing::warn!(class, next_step, "a page of users is too long to be kept in the checkpoint");
                    return Ok(self.without(&here, WhyLater::Refused, date));
                }
                let queue = (!users.is_empty()).then_some(Queue { users, walk: Walk::START });
                let is_over = queue.is_none() && next.is_none();
                let next = (!is_over).then_some(Cursor { walk: next, queue, ..here.clone() });
                Ok(self.page(&here, next, Page { unusable_count, date, ..Page::default() }))
            }
            Read::Again { date } => Ok(self.left_out_moving(&here, date)),
            Read::Capped { date } => Ok(self.left_out_capped(&here, date)),
            Read::Refused { status, date, .. } => Ok(self.left_out(&here, status, date)),
        }
    }

    async fn list_below_user(&self, here: Cursor, segment: &str, queue: Queue) -> Result<Page, SourceFailure> {
        let class = here.class;
        let Some(user) = queue.users.first().cloned() else {
            let next = Cursor { queue: None, ..here.clone() };
            return Ok(self.page(&here, Some(next), Page::default()));
        };
        let pattern = format!("/user/{{uuid}}/{segment}");
        let path = format!("/user/{user}/{segment}");
        let list = List { pattern: &pattern, path: &path, window: self.settings.window(class), is_archive: false };
        let (page, walk) = match self.read(&list, queue.walk).await? {
            Read::Page { rows, next, date } => {
                let changes = rows.changes(class, Some((&user, segment)), &self.settings);
                let (changes, unusable_count) = changes.map_err(|malformed| no_list(&pattern, malformed))?;
                (Page { changes, unusable_count, date, ..Page::default() }, next)
            }
            Read::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, is_of_call: false, date } => {
                tracing::info!(call = pattern, "a user without such a list is skipped");
                (Page { date, ..Page::default() }, None)
            }
            // What one user has says nothing of another's.
            Read::Again { date } => (Page { next: None, ..self.left_out_moving(&here, date) }, None),
            Read::Capped { date } => (Page { next: None, ..self.left_out_capped(&here, date) }, None),
            Read::Refused { status, date, .. } => (Page { next: None, ..self.left_out(&here, status, date) }, None),
        };
        let next = match walk {
            Some(walk) => Some(Cursor { queue: Some(Queue { walk, ..queue }), ..here.clone() }),
            None => behind_user(&here, &queue),
        };
        Ok(self.page(&here, next, page))
    }

    /// One page of one list.
    async fn read(&self, list: &List<'_>, walk: Walk) -> Result<Read, SourceFailure> {
        let List { pattern, path, window, is_archive } = list;
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (page, size) = (walk.page.to_string(), self.settings.list_page_size.to_string());
        let mut query = vec![("page", page.as_str()), ("pageSize", size.as_str())];
        if let Some(window) = window {
            query.extend([("start", window.start.as_str()), ("end", window.end.as_str())]);
        }
        query.extend(is_archive.then_some(("archived", "true")));
        let terms = Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX };
        let call = Call { pattern, segments: &segments, query: &query, terms };
        let is_behind_end = |outcome: &Outcome| {
            let Outcome::Refused { status, words: Words::Vendors, .. } = outcome else { return false };
            walk.page > 0 && refuses_page(*status)
        };
        let mut outcome = self.get(&call).await?;
        if is_behind_end(&outcome) {
            // It may be the end, so it is asked once more: one refusal may be a slip.
            outcome = self.get(&call).await?;
        }
        let is_behind_end = is_behind_end(&outcome);
        match outcome {
            Outcome::Got(Got { json, date, has_next }) => {
                let read = json.map_or_else(|| Ok(Default::default()), |json| answer::page(&json, has_next));
                let (rows, extent): (Rows, Extent) = read.map_err(|malformed| call.malformed(malformed))?;
                let extent = Extent { size: extent.size.or(Some(self.settings.list_page_size)), ..extent };
                if walk.shows_none(extent) {
                    return Ok(Read::Capped { date });
                }
                if walk.is_again(extent) {
                    return Ok(Read::Again { date });
                }
                Ok(Read::Page { rows, next: after(walk, extent, pattern)?, date })
            }
            Outcome::Refused { words, failure, .. } if words != Words::Vendors => Err(failure),
            Outcome::Refused { status, date, .. } if is_behind_end => {
                if walk.misses_rows() {
                    return Ok(Read::Capped { date });
                }
                let (call, page, status) = (pattern, walk.page, status.as_u16());
                tracing::warn!(call, page, status, "a later page of a list was refused; taken for one behind its end");
                Ok(Read::Page { rows: Rows::default(), next: after(walk, Extent::default(), pattern)?, date })
            }
            Outcome::Refused { status, is_of_call, date, failure, .. } if failure.class == FailureClass::Forbidden => {
                Ok(Read::Refused { status, is_of_call, date })
            }
            Outcome::Refused { failure, .. } => Err(failure),
        }
    }

    /// A page and where to go on: within the list, else with the class's archive, else with the next class.
    fn page(&self, here: &Cursor, within: Option<Cursor>, page: Page) -> Page {
        let class = here.class;
        let archive = || {
            let is_next = self.settings.lists_archive(class) && !here.is_archive;
            is_next.then(|| Cursor { is_archive: true, is_alone: here.is_alone, ..Cursor::start(class) })
        };
        let behind = || self.settings.listed_after(Some(class)).filter(|_| !here.is_alone).map(Cursor::start);
        let next = within.or_else(archive).or_else(behind);
        Page { next: next.map(|cursor| cursor.to_string()), ..page }
    }

    /// Goes on without a list that is refused.
    fn left_out(&self, here: &Cursor, status: StatusCode, date: Option<VendorMillis>) -> Page {
        let next_step = match status {
            StatusCode::FORBIDDEN => {
                "give the key's user the right to read this class, or turn the vendor's feature on, or leave the class out in \
                 the setting record_streams"
            }
            StatusCode::PAYMENT_REQUIRED => {
                "the vendor asks to be paid: renew the account's plan, or leave the class out in the setting record_streams"
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                "compare the setting list_paths with the vendor's documentation"
            }
            _ => "compare list_windows, list_page_size and archived in the settings with the vendor's documentation",
        };
        tracing::warn!(
            class = here.class.entity,
            status = status.as_u16(),
            next_step,
            "a list was refused; it is asked for again in an hour, until then records of this class are imported only once \
             they change"
        );
        self.without(here, WhyLater::Refused, date)
    }

    /// Goes on without the rest of a list of which the vendor counts more rows than it shows pages for.
    fn left_out_capped(&self, here: &Cursor, date: Option<VendorMillis>) -> Page {
        tracing::warn!(
            class = here.class.entity,
            next_step = "raise the setting list_page_size, so that the list has fewer pages; if none shows a row, ask the vendor",
            "the vendor counts more rows than it shows pages for; the list is read again in an hour"
        );
        self.without(here, WhyLater::Refused, date)
    }

    /// Goes on without the rest of a list whose pages repeat.
    fn left_out_moving(&self, here: &Cursor, date: Option<VendorMillis>) -> Page {
        tracing::warn!(
            class = here.class.entity,
            next_step = "nothing if it is rare; else raise the setting list_page_size, so that the list has one page",
            "a page of a list showed the same rows as the page before; the list is read again in an hour"
        );
        self.without(here, WhyLater::Moving, date)
    }

    fn without(&self, here: &Cursor, why: WhyLater, date: Option<VendorMillis>) -> Page {
        self.page(here, None, Page { later: Some(later(here, why)), date, ..Page::default() })
    }
}

/// The place behind the list of the first user of a queue; none behind the last user of all.
fn behind_user(here: &Cursor, queue: &Queue) -> Option<Cursor> {
    let users: Vec<String> = queue.users.iter().skip(1).cloned().collect();
    let queue = (!users.is_empty()).then_some(Queue { users, walk: Walk::START });
    let is_over = queue.is_none() && here.walk.is_none();
    (!is_over).then(|| Cursor { queue, ..here.clone() })
}

/// A list that is listed again later, by itself.
fn later(here: &Cursor, why: WhyLater) -> Later {
    let Cursor { class, is_archive, .. } = *here;
    let alone = Cursor { is_archive, is_alone: true, ..Cursor::start(class) };
    Later { stream: class.records.clone(), cursor: Some(alone.to_string()), why }
}

/// The place after a page.
fn after(walk: Walk, extent: Extent, pattern: &str) -> Result<Option<Walk>, SourceFailure> {
    let endless = || SourceFailure::new(FailureClass::Transient, format!("{pattern}: the list does not end"));
    walk.after(extent).map_err(|Endless| endless())
}

fn no_list(pattern: &str, malformed: Malformed) -> SourceFailure {
    malformed.into_failure(pattern, Purpose::List)
}
