//! Listing everything, for a first import: the lists of every kept class, one after another.
//!
//! The lists have pages with numbers and move while they are read: a deletion pulls every row behind it forward, over
//! the page boundary that was just passed. So a list of several pages is walked forward and then backward (see
//! [`Walk::after`]). That makes a row that nobody touched come twice, which costs nothing; that it comes not at all needs
//! a deletion before it on the way there *and* a new row before it on the way back. What is created or edited meanwhile
//! comes through the feed, whose token was taken before.
//!
//! A class whose list is refused in the vendor's own words (403: the feature is off, or the user has no right; 404: no such
//! list) is left out, with a warning: the others are still worth having. A later page that is refused so is one behind the
//! end. Any other failure ends the call, and the cursor stays where it is.

use reqwest::StatusCode;
use tidemark_engine::change::{Change, Page};
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};

use super::FieldAware;
use super::call::{Call, Got, Outcome};
use super::classes::{Class, List};
use super::cursor::{Cursor, Endless, Extent, Queue, Walk};
use super::rows::{self, Rows};
use super::settings::Window;
use crate::http::{PAGE_BYTES_MAX, Purpose, Terms, Words};
use crate::json::Malformed;

/// A page of a list, or why there is none.
enum Read {
    Page { rows: Rows, next: Option<Walk>, date: Option<VendorMillis> },
    Refused { status: StatusCode, date: Option<VendorMillis> },
}

impl<C: Clock, K: Credentials> FieldAware<C, K> {
    /// One page of everything there is. A cursor that is not one of ours starts from the beginning.
    pub(super) async fn snapshot(&self, cursor: Option<&str>) -> Result<Page, SourceFailure> {
        let here = cursor.and_then(Cursor::parse).filter(|cursor| self.settings.keeps(cursor.class));
        let Some(here) = here.or_else(|| self.settings.listed_after(None).map(Cursor::start)) else {
            return Ok(Page::default());
        };
        match here.class.list {
            List::At { .. } => self.list_class(here).await,
            List::BelowUsers { segment, .. } => match here.queue.clone() {
                Some(queue) => self.list_below_user(here, segment, queue).await,
                None => self.list_users(here).await,
            },
        }
    }

    async fn list_class(&self, here: Cursor) -> Result<Page, SourceFailure> {
        let class = here.class;
        let (Some(walk), Some(path)) = (here.walk, self.settings.list_path(class)) else {
            return Ok(self.behind(class));
        };
        match self.read(path, path, self.settings.window(class), walk).await? {
            Read::Page { rows, next, date } => {
                let changes = rows.changes(class, None, &self.settings);
                let (changes, unusable_count) = changes.map_err(|malformed| no_list(path, malformed))?;
                let next = next.map(|walk| Cursor { walk: Some(walk), ..here });
                Ok(self.page(class, next, Page { changes, unusable_count, date, ..Page::default() }))
            }
            Read::Refused { status, date } => Ok(self.left_out(class, status, date)),
        }
    }

    /// Reads a page of the list of users, whose own lists come next.
    async fn list_users(&self, here: Cursor) -> Result<Page, SourceFailure> {
        let class = here.class;
        let Some(walk) = here.walk else { return Ok(self.behind(class)) };
        let path = self.settings.users_path();
        match self.read(path, path, None, walk).await? {
            Read::Page { rows, next, date } => {
                let (users, unusable_count) = rows.uuids().map_err(|malformed| no_list(path, malformed))?;
                let queue = (!users.is_empty()).then_some(Queue { users, walk: Walk::START });
                let is_over = queue.is_none() && next.is_none();
                let next = (!is_over).then_some(Cursor { class, walk: next, queue });
                Ok(self.page(class, next, Page { unusable_count, date, ..Page::default() }))
            }
            Read::Refused { status, date } => Ok(self.left_out(class, status, date)),
        }
    }

    async fn list_below_user(&self, here: Cursor, segment: &str, queue: Queue) -> Result<Page, SourceFailure> {
        let (class, Queue { mut users, walk }) = (here.class, queue);
        let Some(user) = users.first().cloned() else {
            return Ok(self.page(class, Some(Cursor { queue: None, ..here }), Page::default()));
        };
        let pattern = format!("/user/{{uuid}}/{segment}");
        let path = format!("/user/{user}/{segment}");
        let (page, walk) = match self.read(&pattern, &path, self.settings.window(class), walk).await? {
            Read::Page { rows, next, date } => {
                let changes = rows.changes(class, Some((&user, segment)), &self.settings);
                let (changes, unusable_count) = changes.map_err(|malformed| no_list(&pattern, malformed))?;
                (Page { changes, unusable_count, date, ..Page::default() }, next)
            }
            Read::Refused { status: StatusCode::NOT_FOUND, date } => {
                tracing::info!(call = pattern, "a user without such a list is passed over");
                (Page { date, ..Page::default() }, None)
            }
            Read::Refused { status, date } => return Ok(self.left_out(class, status, date)),
        };
        if walk.is_none() {
            users.remove(0);
        }
        let queue = (!users.is_empty()).then_some(Queue { users, walk: walk.unwrap_or(Walk::START) });
        let is_over = queue.is_none() && here.walk.is_none();
        Ok(self.page(class, (!is_over).then_some(Cursor { queue, ..here }), page))
    }

    /// One page of one list.
    async fn read(&self, pattern: &str, path: &str, window: Option<Window>, walk: Walk) -> Result<Read, SourceFailure> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (page, size) = (walk.page.to_string(), self.settings.list_page_size.to_string());
        let mut query = vec![("page", page.as_str()), ("pageSize", size.as_str())];
        if let Some(window) = &window {
            query.extend([("start", window.start.as_str()), ("end", window.end.as_str())]);
        }
        let terms = Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX };
        let call = Call { pattern, segments: &segments, query: &query, terms };
        match self.get(&call).await? {
            Outcome::Got(Got { json, date, has_next }) => {
                let (rows, extent) = rows::page(&json, has_next).map_err(|malformed| call.malformed(malformed))?;
                Ok(Read::Page { rows, next: after(walk, extent, pattern)?, date })
            }
            Outcome::Refused { words, failure, .. } if words != Words::Vendors => Err(failure),
            Outcome::Refused {
                status: status @ (StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY),
                date,
                ..
            } if walk.page > 0 => {
                let (call, page, status) = (pattern, walk.page, status.as_u16());
                tracing::warn!(call, page, status, "a later page of a list was refused; taken for one behind its end");
                Ok(Read::Page { rows: Rows::default(), next: after(walk, Extent::default(), pattern)?, date })
            }
            // Not allowed in the midst of a list is no missing right to the class.
            Outcome::Refused { status: StatusCode::FORBIDDEN, failure, .. } if walk != Walk::START => Err(failure),
            Outcome::Refused { status: status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), date, .. } => {
                Ok(Read::Refused { status, date })
            }
            Outcome::Refused { failure, .. } => Err(failure),
        }
    }

    /// A page and where to go on: within the class, else with the next one.
    fn page(&self, class: &Class, within: Option<Cursor>, page: Page) -> Page {
        let next = within.or_else(|| self.settings.listed_after(Some(class)).map(Cursor::start));
        Page { next: next.map(|cursor| cursor.to_string()), ..page }
    }

    fn behind(&self, class: &Class) -> Page {
        self.page(class, None, Page { changes: Vec::<Change>::new(), ..Page::default() })
    }

    /// Goes on without a class whose list is refused.
    fn left_out(&self, class: &Class, status: StatusCode, date: Option<VendorMillis>) -> Page {
        let next_step = match status {
            StatusCode::FORBIDDEN => {
                "give the key's user the right to read this class, or turn the vendor's feature on"
            }
            _ => "compare the setting list_paths with the vendor's documentation",
        };
        tracing::warn!(
            class = class.entity,
            status = status.as_u16(),
            next_step,
            "a list was refused; records of this class are imported only once they change"
        );
        self.page(class, None, Page { date, ..Page::default() })
    }
}

/// The place after a page.
fn after(walk: Walk, extent: Extent, pattern: &str) -> Result<Option<Walk>, SourceFailure> {
    let endless = || SourceFailure::new(FailureClass::Transient, format!("{pattern}: the list does not end"));
    walk.after(extent).map_err(|Endless| endless())
}

fn no_list(pattern: &str, malformed: Malformed) -> SourceFailure {
    malformed.into_failure(pattern, Purpose::List)
}
