//! Listing a stream whose list gives all changed ids at once, without stamps and without a cursor.
//!
//! The ids are taken in the order of their text, and the run's cursor is the last accepted one: when a listing is
//! interrupted, the list is called again and the ids above the cursor go on. The horizon stays that of the first call:
//! what was edited since may have been below the cursor, and is listed by the next run.

use std::collections::HashSet;

use crate::change::{Change, ListRequest};
use crate::checkpoint::Position;
use crate::record::RecordId;
use crate::rule::Rule;
use crate::run::SEGMENTS_MAX;

use super::tick::{Halt, Tick};
use super::{Notice, PollOutcome, PollerPorts};

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_whole(&mut self) -> Result<PollOutcome, Halt> {
        match self.checkpoint.run.clone() {
            Some(run) if run.segments.len() >= SEGMENTS_MAX => {
                self.abort(Notice::ChunkLost).await?;
                Ok(PollOutcome::Aborted)
            }
            Some(run) => self.relist_whole(run.from.at().unwrap_or_default(), run.cursor.as_deref()).await,
            None => self.list_whole_anew().await,
        }
    }

    /// Goes on with an interrupted listing.
    async fn relist_whole(&mut self, from: crate::stamp::UtcMillis, cursor: Option<&str>) -> Result<PollOutcome, Halt> {
        self.reserve(1).await?;
        let (page, reading) = self.call(ListRequest::Changed { from }).await?;
        if let Some(run) = &mut self.checkpoint.run {
            run.horizon =
                if Rule::FirstHorizon.is_left_out() { reading.horizon } else { run.horizon.min(reading.horizon) };
        }
        let mut changes = in_id_order(page.changes);
        if !Rule::Cursor.is_left_out() {
            changes.retain(|change| cursor.is_none_or(|last| change.id.as_str() > last));
        }
        self.accept(changes, reading.called_at).await?;
        self.dispatch().await?;
        self.seal().await
    }

    async fn list_whole_anew(&mut self) -> Result<PollOutcome, Halt> {
        let is_first = self.is_first_import();
        let from = self.start_of_list();
        self.reserve(if is_first { 1 } else { 2 }).await?;
        let (page, reading) = self.call(ListRequest::Changed { from }).await?;
        let mut changes = in_id_order(page.changes);
        if !is_first && !changes.is_empty() {
            let news = self.news().await?;
            changes = self.without_settled(changes, &news, &reading).await?;
        }
        if changes.is_empty() {
            return self.rest_quiet(&reading).await;
        }
        self.start(Position::At(from), &reading).await?;
        self.accept(changes, reading.called_at).await?;
        self.dispatch().await?;
        self.seal().await
    }

    /// The ids changed since `scanned`, without the overlap: what no earlier listing told of.
    async fn news(&mut self) -> Result<HashSet<RecordId>, Halt> {
        let from = self.news_from();
        let (page, _) = self.call(ListRequest::Changed { from }).await?;
        Ok(page.changes.into_iter().map(|change| change.id).collect())
    }
}

fn in_id_order(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    changes.dedup_by(|a, b| a.id == b.id);
    changes
}
