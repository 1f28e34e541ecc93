//! What operators do: a wrong time zone is put right, the overlap is changed, records are lost and listed again, and for a
//! while the credential is that of another account.

use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::clock::StampMillis;
use tidemark_engine::operate::{Act, Acted, act};
use tidemark_engine::ports::Random;
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordKey;
use tidemark_engine::stream::{ListShape, StreamName};

use super::actors::record;
use super::gate::SimGate;
use super::trace::Who;
use super::weather::{StreamWeather, pick};
use super::world::{World, records_of};
use crate::memory::SeededRandom;

impl World {
    /// Sets the time zone, and accepts the new settings some minutes later. A zone that is read ahead costs calls and may
    /// stay; one that is read behind is put right in the end.
    pub(super) async fn correct_zone(world: Rc<Self>, random: SeededRandom) {
        let Some(zone) = world.weather.zone else { return };
        world.wait(zone.changed_at).await;
        world.set_zone(zone.later, zone.accepted_at - zone.changed_at).await;
        let left = world.storm_end().millis_since(world.now()) - 950_000;
        world.wait(left.max(0)).await;
        if zone.later < 0 {
            world.set_zone(0, random.between(100_000, 900_000)).await;
        }
    }

    async fn set_zone(self: &Rc<Self>, shift: i64, accepted_after: i64) {
        self.trace.note(self.now(), Who::Operator, || format!("the zone is read {shift} ms off"));
        let is_other = self.source.with(|vendor| {
            let is_other = vendor.settings.zone_shift != shift;
            vendor.settings.zone_shift = shift;
            vendor.settings.account_mark.extend(is_other.then_some('+'));
            is_other
        });
        if !is_other {
            return;
        }
        self.wait(accepted_after).await;
        for stream in &self.weather.streams {
            self.order(stream, &Act::KeepCopy).await;
        }
    }

    /// Does an act until it is done.
    async fn order(self: &Rc<Self>, stream: &StreamWeather, what: &Act) {
        let key = self.key_of(stream.name());
        let process = self.process(|_| Who::Operator, key.clone());
        let tables = self.tables.behind(SimGate { world: Rc::clone(self), process });
        loop {
            let mark = self.source.with(|vendor| vendor.settings.account_mark.clone());
            let acted = act(&tables, &key, &stream.vendor.stream, &mark, self.now(), what).await;
            if matches!(acted, Ok(Acted::Done | Acted::NoPosition)) {
                self.count(|stats| stats.acts += 1);
                self.trace.note(self.now(), Who::Operator, || format!("{what:?} of {}: {acted:?}", stream.name()));
                return;
            }
            self.wait(1_000).await;
        }
    }

    /// One thing that an operator does in this history.
    pub(super) async fn operate(world: Rc<Self>, random: SeededRandom) {
        let stream = pick(&random, &world.weather.streams).clone();
        let what = random.below(5);
        world.wait(world.sometime(&random)).await;
        if world.is_calm() {
            return;
        }
        match what {
            0 => {
                world.overlap.set(Duration::from_mins(5));
                world.wait(random.between(300_000, 2_000_000)).await;
                world.overlap.set(world.weather.overlap);
            }
            1 => {
                let what = match stream.shape() {
                    ListShape::Feed => Act::StartAgain,
                    ListShape::Whole | ListShape::Pages if random.chance(300_000) => Act::StartAgain,
                    ListShape::Whole | ListShape::Pages => {
                        let stamps = world.source.with_stream(stream.name(), |vendor| vendor.stamp_clock(world.now()));
                        Act::Rewind(Position::At(stamps.shifted(-3_000_000)))
                    }
                };
                if stream.shape() == ListShape::Feed {
                    world.hurry(&stream, &random).await;
                }
                world.restore(&stream, &what, &random).await;
                if stream.shape() == ListShape::Feed {
                    world.tick(stream.name());
                }
            }
            2 => {
                // The first account that a stream is polled with is its account.
                let has_begun = || world.tables.with(|tables| tables.checkpoints.len()) == world.weather.streams.len();
                while !has_begun() {
                    world.wait(10_000).await;
                }
                world.trace.note(world.now(), Who::Operator, || "another account's credential".to_owned());
                world.is_swapped.set(true);
                world.wait(random.between(200_000, 900_000)).await;
                world.is_swapped.set(false);
                world.trace.note(world.now(), Who::Operator, || "our credential again".to_owned());
            }
            _ => {}
        }
    }

    /// Records are edited, and again when their details are asked for: an answer that lags shows the first edit, and no
    /// event behind a token that is taken now shows the second.
    async fn hurry(self: &Rc<Self>, stream: &StreamWeather, random: &SeededRandom) {
        let some: Vec<_> = (0..4).map(|_| record(random, stream.record_count)).collect();
        for id in &some {
            self.edit(stream, id, 0);
        }
        self.tick(stream.name());
        self.wait(random.between(20_000, 30_000)).await;
        for id in &some {
            self.edit(stream, id, 0);
        }
    }

    /// Records were lost: the list begins again at a position below them. They are lost in the instant in which the
    /// checkpoint is written, so that no position lies between.
    async fn restore(self: &Rc<Self>, stream: &StreamWeather, what: &Act, random: &SeededRandom) {
        let at = match what {
            Act::Rewind(to) => to.at(),
            Act::KeepCopy | Act::StartAgain => None,
        };
        let records = records_of(stream);
        let source = self.key_of(stream.name()).source;
        let lost: Vec<RecordKey> = self.source.with_stream(stream.name(), |vendor| {
            let is_above = |stamp: StampMillis| at.is_none_or(|at| stamp > at.shifted(1_000));
            let present = vendor.present(self.now()).filter(|(_, version)| is_above(version.stamp));
            let some = present.filter(|_| random.chance(400_000));
            some.map(|(id, _)| RecordKey { source, stream: records.clone(), id: id.clone() }).collect()
        });
        self.oracle(|oracle, _| oracle.will_lose(stream.name(), lost));
        self.order(stream, what).await;
    }

    /// Takes the records out that a restore has lost.
    pub(super) fn lose(&self, lost: &[RecordKey], stream: &StreamName) {
        self.trace.note(self.now(), Who::Operator, || format!("lost in {stream}: {lost:?}"));
        self.tables.with(|tables| lost.iter().for_each(|key| drop(tables.records.remove(key))));
    }
}
