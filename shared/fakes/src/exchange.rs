//! One request, one answer: the order in which delays, holds, hooks, faults, poison and truth have their say.

use std::sync::Arc;

use super::{
    commands::Moment,
    faults::{Effect, Struck},
    handle::Fake,
    vendor::{Call, CallKind},
    wire::{Delivery, Reply, Request, pause},
};

/// A request that was logged and is to be answered.
pub(crate) struct Arrival {
    number: u64,
    call: Call,
    authorized: bool,
    struck: Struck,
    caught: Option<(u64, bool)>,
}

/// Lets a held request go, however its waiting ends.
struct Held<'fake> {
    fake: &'fake Fake,
    number: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.fake.world().holds.let_go(self.number);
        self.fake.holds_changed();
    }
}

impl Fake {
    /// Takes a request in: logs it, counts it into the faults, catches it in a hold.
    pub(crate) fn arrive(&self, request: &Request) -> Arrival {
        let mut world = self.world();
        let now_ms = world.clock.now_ms();
        let call = world.vendor.identify(request);
        let verdict = world.vendor.authorize(request, now_ms);
        let number = world.log.arrived(now_ms, &call, &verdict);
        let struck = world.faults.strike(&call);
        let caught = world.holds.catch(number, &call);
        Arrival { number, call, authorized: verdict.is_ok(), struck, caught }
    }

    /// Answers a request, when its time has come.
    pub(crate) async fn reply(&self, mut arrival: Arrival, request: &Request) -> Reply {
        let held = arrival.caught.map(|_| Held { fake: self, number: arrival.number });
        let mut early = None;
        if let Some((_, true)) = arrival.caught {
            early = Some(self.compute(&mut arrival, request));
        }
        if held.is_some() {
            self.holds_changed();
        }
        if !arrival.struck.delay.is_zero() {
            pause(arrival.struck.delay).await;
        }
        if let Some((key, _)) = arrival.caught {
            self.released(key).await;
        }
        drop(held);
        let reply = early.unwrap_or_else(|| self.compute(&mut arrival, request));
        let status = match reply.delivery {
            Delivery::Nothing | Delivery::CutHead { .. } => None,
            Delivery::Whole | Delivery::CutBody { .. } | Delivery::Slow { .. } | Delivery::Endless { .. } => {
                Some(reply.status)
            }
        };
        self.world().log.answered(arrival.number, status, arrival.struck.effect.as_ref().map(Effect::name));
        reply
    }

    fn compute(&self, arrival: &mut Arrival, request: &Request) -> Reply {
        let mut world = self.world();
        let vendor = Arc::clone(&world.vendor);
        let now_ms = world.clock.now_ms();
        let call = &mut arrival.call;
        if arrival.struck.effect.is_none() && arrival.authorized && call.kind == CallKind::Detail {
            arrival.struck.effect = world.poison_of(call);
        }
        let effect = arrival.struck.effect.as_ref();
        if let Some(reply) = effect.and_then(|effect| effect.instead(&*vendor, now_ms)) {
            return reply;
        }
        if let Some(Effect::OtherId { id }) = effect {
            call.shown_id = Some(id.clone());
        }
        let truth = if arrival.authorized {
            world.fire_hooks(call, Moment::Before);
            // The hooks took time: what they did is seen from a later instant than `now_ms`.
            let truth = vendor.answer(call, request, &world.store, world.clock.now_ms());
            world.fire_hooks(call, Moment::After);
            truth
        } else {
            vendor.refuse_call(call)
        };
        match effect {
            Some(effect) => effect.upon(truth),
            None => truth,
        }
    }

    /// The `Date` header of an answer sent now.
    pub(crate) fn date_header(&self) -> Option<String> {
        self.world().clock.date_header()
    }
}
