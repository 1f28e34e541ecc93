//! The handle on a fake vendor: every control call as a method.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    clock::ClockChange,
    commands::{Action, Add, Change, Heal, Hook, Poison, Seed, ShowStamp},
    faults::Fault,
    holds::{HeldRequest, Hold, HoldFilter},
    log::{LoggedRequest, RequestCounts},
    vendor::Vendor,
    world::{ControlError, Done, TruthRecord, World},
};

/// Whether the vendor answers at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    Up,
    /// Every connection is closed at once, those open included.
    Down,
}

/// A fake vendor, to be told what to do; clones are the same vendor.
#[derive(Clone)]
pub struct Fake {
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    mode: watch::Sender<Mode>,
    holds_changed: watch::Sender<()>,
    stop: watch::Sender<bool>,
}

impl Fake {
    pub(crate) fn new(vendor: Arc<dyn Vendor>, seed: u64) -> Self {
        let shared = Shared {
            world: Mutex::new(World::new(vendor, seed)),
            mode: watch::Sender::new(Mode::Up),
            holds_changed: watch::Sender::new(()),
            stop: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes records that have been there for long; answers their ids.
    ///
    /// # Errors
    /// `UnknownStream`, `BadStamp`.
    pub fn seed(&self, seed: &Seed) -> Result<Vec<String>, ControlError> {
        self.world().seed(seed)
    }

    /// Makes `count` records that have been there for long; answers their ids.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn seed_count(&self, stream: &str, count: usize) -> Result<Vec<String>, ControlError> {
        self.seed(&Seed { stream: stream.to_owned(), count, first_stamp: None, every_seconds: None })
    }

    /// Does something to records now.
    ///
    /// # Errors
    /// Whatever does not exist; nothing is changed then.
    pub fn act(&self, action: &Action) -> Result<Done, ControlError> {
        self.world().act(action)
    }

    /// Adds records now.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub fn add(&self, add: Add) -> Result<Done, ControlError> {
        self.act(&Action::Add(add))
    }

    /// Edits records now.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub fn edit(&self, change: Change) -> Result<Done, ControlError> {
        self.act(&Action::Edit(change))
    }

    /// Deletes records now.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub fn delete(&self, change: Change) -> Result<Done, ControlError> {
        self.act(&Action::Delete(change))
    }

    /// Brings deleted records back now.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub fn undelete(&self, change: Change) -> Result<Done, ControlError> {
        self.act(&Action::Undelete(change))
    }

    /// Takes records out of the lists now; their details stay.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub fn deactivate(&self, change: Change) -> Result<Done, ControlError> {
        self.act(&Action::Deactivate(change))
    }

    /// Lets something happen to records on a later call.
    ///
    /// # Errors
    /// As [`Self::act`] would at this moment.
    pub fn hook(&self, hook: Hook) -> Result<(), ControlError> {
        let mut world = self.world();
        world.check(&hook.action)?;
        if let Some(stream) = &hook.stream {
            world.stream(stream)?;
        }
        world.hooks.push(hook);
        Ok(())
    }

    /// Makes the details of some records answer wrongly until healed.
    ///
    /// # Errors
    /// `UnknownStream`, `UnknownRecord`, `NothingNamed`.
    pub fn poison(&self, poison: &Poison) -> Result<(), ControlError> {
        let mut world = self.world();
        let stream = world.stream(&poison.stream)?;
        let ids: Vec<&String> = poison.ids.iter().chain(&poison.id).collect();
        if ids.is_empty() {
            return Err(ControlError::NothingNamed);
        }
        if let Some(id) = ids.iter().find(|id| world.store.record(stream, id).is_none()) {
            return Err(ControlError::UnknownRecord { stream, id: String::clone(id) });
        }
        for id in ids {
            world.poisons.insert((stream, id.clone()), poison.effect.clone());
        }
        Ok(())
    }

    /// Ends poisoning.
    pub fn heal(&self, heal: &Heal) {
        self.world().poisons.retain(|(stream, id), _| {
            heal.stream.as_deref().is_some_and(|wanted| wanted != *stream)
                || heal.id.as_ref().is_some_and(|wanted| wanted != id)
        });
    }

    /// Changes what a record's row shows as its stamp.
    ///
    /// # Errors
    /// `UnknownStream`, `UnknownRecord`.
    pub fn show_stamp(&self, show: &ShowStamp) -> Result<(), ControlError> {
        let mut world = self.world();
        let stream = world.stream(&show.stream)?;
        let unknown = || ControlError::UnknownRecord { stream, id: show.id.clone() };
        world.store.record_mut(stream, &show.id).ok_or_else(unknown)?.shown = show.shown.clone();
        Ok(())
    }

    /// Lets requests go wrong.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn fault(&self, fault: Fault) -> Result<(), ControlError> {
        let mut world = self.world();
        if let Some(stream) = &fault.stream {
            world.stream(stream)?;
        }
        world.faults.set(fault);
        Ok(())
    }

    /// Ends all faults and forgets all hooks. Poison and holds stay.
    pub fn clear_faults(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.hooks.clear();
    }

    /// Goes down or comes up.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Whether it is up.
    pub fn mode(&self) -> Mode {
        *self.shared.mode.borrow()
    }

    /// Completes when the vendor is down.
    pub(crate) async fn down(&self) {
        wait(&self.shared.mode, |mode| *mode == Mode::Down).await;
    }

    /// Changes the vendor's clock.
    pub fn change_clock(&self, change: ClockChange) {
        self.world().clock.change(change);
    }

    /// Moves the vendor's clock on.
    pub fn advance(&self, by: Duration) {
        let advance_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.change_clock(ClockChange { advance_ms: Some(advance_ms), ..ClockChange::default() });
    }

    /// Stops the vendor's clock where it is.
    pub fn freeze_clock(&self) {
        self.change_clock(ClockChange { frozen: Some(true), ..ClockChange::default() });
    }

    /// The vendor's clock, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.world().clock.now_ms()
    }

    /// Changes the vendor's settings; keys left out stay as they are.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn set(&self, settings: Value) -> Result<(), ControlError> {
        self.world().vendor.configure(settings).map_err(ControlError::Malformed)
    }

    /// Changes the accepted credentials.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn set_credentials(&self, credentials: Value) -> Result<(), ControlError> {
        self.world().vendor.rotate(credentials).map_err(ControlError::Malformed)
    }

    /// Holds requests unanswered until released.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn hold(&self, hold: Hold) -> Result<(), ControlError> {
        let mut world = self.world();
        if let Some(stream) = &hold.stream {
            world.stream(stream)?;
        }
        world.holds.place(hold);
        Ok(())
    }

    /// Ends holds, by what they were placed on or by a request they hold.
    pub fn release(&self, filter: &HoldFilter) {
        self.world().holds.release(filter);
        self.holds_changed();
    }

    /// The requests held now.
    pub fn held(&self, filter: &HoldFilter) -> Vec<HeldRequest> {
        self.world().holds.held(filter)
    }

    /// Waits until such a request is held.
    ///
    /// # Errors
    /// `NothingHeld` after `limit`.
    pub async fn wait_held(&self, filter: &HoldFilter, limit: Duration) -> Result<Vec<HeldRequest>, ControlError> {
        let arrived = wait(&self.shared.holds_changed, |()| !self.held(filter).is_empty());
        if tokio::time::timeout(limit, arrived).await.is_err() {
            return Err(ControlError::NothingHeld { waited_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) });
        }
        Ok(self.held(filter))
    }

    /// Tells those who wait that holds have changed.
    pub(crate) fn holds_changed(&self) {
        self.shared.holds_changed.send_replace(());
    }

    /// Completes when the hold has ended.
    pub(crate) async fn released(&self, key: u64) {
        wait(&self.shared.holds_changed, |()| !self.world().holds.is_placed(key)).await;
    }

    /// The records of a stream as they are, without those that are not visible yet.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn truth(&self, stream: &str) -> Result<BTreeMap<String, TruthRecord>, ControlError> {
        self.world().truth(stream, None)
    }

    /// The same with only these fields in the rows.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn truth_of_fields(
        &self,
        stream: &str,
        fields: &[String],
    ) -> Result<BTreeMap<String, TruthRecord>, ControlError> {
        self.world().truth(stream, Some(fields))
    }

    /// What was asked since the last reset, in order.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.world().log.entries().to_vec()
    }

    /// How much was asked since the last reset.
    pub fn request_counts(&self) -> RequestCounts {
        self.world().log.counts()
    }

    /// Forgets what was asked.
    pub fn reset_requests(&self) {
        self.world().log.reset();
    }

    /// Ends the vendor and its control port.
    pub fn shut_down(&self) {
        self.shared.stop.send_replace(true);
    }

    /// Completes when the vendor is to end.
    pub async fn stopped(&self) {
        wait(&self.shared.stop, |stop| *stop).await;
    }
}

/// Waits on a channel whose sender this handle keeps alive.
async fn wait<T>(channel: &watch::Sender<T>, reached: impl FnMut(&T) -> bool) {
    if channel.subscribe().wait_for(reached).await.is_err() {
        std::future::pending::<()>().await;
    }
}
