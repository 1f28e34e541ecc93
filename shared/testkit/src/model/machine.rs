//! The model as a state machine: which steps may come next, and what each leads to.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest_state_machine::ReferenceStateMachine;
use tidemark_engine::checkpoint::Position;
use tidemark_engine::ports::{Acquired, Written};

use super::arm::Arm;
use super::call::{Answer, Call};
use super::items::Items;
use super::poller::{Change, Poller, Spoilt};
use super::step::{IDS, Step};
use super::{OWNERS, at, model_stream};

/// When leases are asked for: with a lease of 180 s, before it ends, at that very instant, and after.
const LEASE_ASKED_AT: [i64; 4] = [0, 180, 240, 422];

/// What is stored, and what each poller knows of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where the stream starts: at an instant, or at a feed's token.
    pub(super) start: Position,
    /// What is stored.
    pub(super) items: Items,
    /// The pollers, in the order of their owners' names.
    pub(super) pollers: [Poller; 3],
    /// How often a run was to be begun; the next one's name.
    pub(super) runs_begun: u32,
    /// The last call and its answer.
    pub(super) last: Option<Last>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) call: Call,
    pub(super) poller: Option<usize>,
    pub(super) answer: Answer,
    pub(super) arm: Option<Arm>,
}

impl Model {
    fn starting(start: Position) -> Self {
        let items = Items::none(model_stream());
        Self { start, items, pollers: Default::default(), runs_begun: 0, last: None }
    }

    /// Makes the call, and lets the poller that made it know.
    fn make(&mut self, call: Call, poller: Option<usize>) {
        let before = self.items.checkpoint.as_ref().and_then(|stored| stored.run.as_ref()).map(|run| run.accepted);
        let (answer, arm) = self.items.answer(&call);
        if let Some(known) = poller.and_then(|poller| self.pollers.get_mut(poller)) {
            match (&call, &answer) {
                (_, Answer::Acquired(Acquired::Held(held))) => {
                    *known = Poller { view: Some((**held).clone()), put: 0 };
                }
                (Call::Store(transition), Answer::Written(Written::Applied)) => {
                    let next = &transition.next;
                    if next.run.as_ref().map(|run| run.accepted) != before {
                        known.put = 0;
                    }
                    known.view = Some(next.clone());
                }
                (Call::PutChunks(chunks), _) => {
                    known.put = known.put.max(u32::try_from(chunks.len()).unwrap_or_default());
                }
                _ => {}
            }
        }
        self.last = Some(Last { call, poller, answer, arm });
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let first_token = Position::Token { text: String::new(), sequence: 0 };
        select(vec![Position::At(at(0)), first_token]).prop_map(Self::starting).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        let mut steps = vec![
            (1, (0..2_i64).prop_map(|by| Step::Create { by }).boxed()),
            (3, acquires().boxed()),
            (1, Just(Step::StoreUnleased).boxed()),
            (2, Just(Step::Again).boxed()),
            (8, on_chunks(model.items.chunks.len()).boxed()),
            (4, on_quarantine().boxed()),
            (3, on_source().boxed()),
        ];
        let writes = model.writes();
        if !writes.is_empty() {
            let write = |(poller, change), spoilt| Step::Store { poller, change, spoilt };
            steps.push((16, select(writes.clone()).prop_map(move |chosen| write(chosen, None)).boxed()));
            let spoilt = (select(writes), select(Spoilt::ALL.as_slice()));
            steps.push((10, spoilt.prop_map(move |(chosen, spoilt)| write(chosen, Some(spoilt))).boxed()));
        }
        let listing: Vec<usize> = (0..OWNERS.len()).filter(|poller| model.is_listing(*poller)).collect();
        if !listing.is_empty() {
            steps.push((4, puts(listing).boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(model: &Self, step: &Step) -> bool {
        model.call(step).is_some()
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        if let Some((call, poller)) = model.call(step) {
            model.runs_begun += u32::from(matches!(step, Step::Store { change: Change::Start, .. }));
            model.make(call, poller);
        }
        model
    }
}

impl Model {
    fn is_listing(&self, poller: usize) -> bool {
        self.pollers.get(poller).is_some_and(|poller| poller.listing().is_some())
    }

    /// What the pollers may want to write by what they know.
    fn writes(&self) -> Vec<(usize, Change)> {
        let all = self.pollers.iter().enumerate().flat_map(|(poller, known)| {
            let possible = |change: &Change| known.transition(*change, 0, &self.items).is_some();
            Change::ALL.into_iter().filter(possible).map(move |change| (poller, change))
        });
        all.collect()
    }
}

fn acquires() -> impl Strategy<Value = Step> {
    (0..OWNERS.len(), select(LEASE_ASKED_AT.as_slice())).prop_map(|(poller, now)| Step::Acquire { poller, now })
}

fn puts(listing: Vec<usize>) -> impl Strategy<Value = Step> {
    let ids = subsequence(IDS.to_vec(), 1..=3);
    let drawn = (select(listing), proptest::collection::vec(ids, 1..=2), any::<bool>());
    drawn.prop_map(|(poller, chunks, with_rows)| Step::Put { poller, chunks, with_rows })
}

fn ids() -> impl Strategy<Value = &'static str> {
    select(IDS.as_slice())
}

/// `count` chunks were put; the one behind them never was.
fn on_chunks(count: usize) -> impl Strategy<Value = Step> {
    let chunk = 0..=count;
    let done = prop_oneof![subsequence(IDS.to_vec(), 0..=3), Just(IDS.to_vec())];
    let finish = (chunk.clone(), done, proptest::option::of(-1..3_i64), any::<bool>(), 0..3_u32);
    prop_oneof![
        4 => finish.prop_map(|(chunk, done, stamp, parked, withheld)| {
            Step::Finish { chunk, done, stamp, parked, withheld }
        }),
        2 => (chunk.clone(), ids(), select(["malformed", "too large"].as_slice()))
            .prop_map(|(chunk, id, reason)| Step::Poison { chunk, id, reason }),
        1 => (chunk.clone(), 0..3_i64).prop_map(|(chunk, sent_at)| Step::MarkSent { chunk, sent_at }),
        1 => (chunk, ids(), 2..4_u32).prop_map(|(chunk, id, receives)| Step::MarkTrying { chunk, id, receives }),
    ]
}

fn on_quarantine() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (ids(), 0..3_i64).prop_map(|(id, since)| Step::Quarantine { id, since }),
        1 => (ids(), 0..3_u32).prop_map(|(id, attempts)| Step::Reschedule { id, attempts }),
        2 => (ids(), 0..4_i64).prop_map(|(id, fetched_at)| Step::Resolve { id, fetched_at }),
    ]
}

fn on_source() -> impl Strategy<Value = Step> {
    let reserve = (1..4_u32, select([1_000_000_u64, 333_333].as_slice()), 0..4_i64, 0..4_i64);
    prop_oneof![
        1 => (0..3_u32).prop_map(|count| Step::AddFailures { count }),
        3 => (0..4_i64).prop_map(|until| Step::OpenBreaker { until }),
        1 => Just(Step::CloseBreaker),
        1 => (0..4_i64).prop_map(|until| Step::PauseStream { until }),
        1 => Just(Step::ResumeStream),
        1 => (-2..3_i64).prop_map(|millis| Step::NoteStampGap { millis }),
        3 => reserve.prop_map(|(calls, interval_us, now, wait)| {
            Step::Reserve { calls, interval_us, now, latest: now + wait }
        }),
    ]
}
