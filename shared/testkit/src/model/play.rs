//! Plays lists of steps on an implementation and on the model, side by side.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Ledger};

use super::arm::{ARMS, Arm, SEVERAL_CAUSES};
use super::call::{Call, Part};
use super::invariants;
use super::machine::Model;
use super::step::Step;

/// How many lists are played, and how long each is at most.
///
/// The environment variable `PROPTEST_CASES` (256 when it is not set) makes it more or less, in proportion;
/// `PROPTEST_RNG_SEED` plays other lists than the usual ones.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Lists for 256 cases asked for.
    pub lists: u32,
    /// The most steps of one list.
    pub steps: usize,
}

/// One list of steps, for empty tables.
#[derive(Debug)]
pub struct Case {
    model: Model,
    steps: Vec<Step>,
    /// How many steps were begun: what lies behind a failure is not worth shrinking.
    begun: Option<Arc<AtomicUsize>>,
}

impl Case {
    /// Plays the list; afterwards, tells which ways out were taken.
    ///
    /// # Errors
    /// The first difference between the tables and the model, or an invariant that the model itself breaks.
    pub async fn play(
        self,
        checkpoints: &impl Checkpoints,
        ledger: &impl Ledger,
    ) -> Result<BTreeSet<Arm>, TestCaseError> {
        let mut model = self.model;
        let mut taken = BTreeSet::new();
        for step in &self.steps {
            if let Some(begun) = &self.begun {
                begun.fetch_add(1, Ordering::SeqCst);
            }
            let after = Model::apply(model.clone(), step);
            if let Some(sentence) = invariants::broken(&model, &after) {
                return Err(TestCaseError::fail(format!("the protocol itself is at fault. {sentence}")));
            }
            model = after;
            let Some(last) = &model.last else { continue };
            taken.extend(last.arm);
            let call = &last.call;
            let answer = call.make(&model.items.stream, checkpoints, ledger).await;
            let answer = answer.map_err(|failure| failed(call, &failure))?;
            if answer != last.answer {
                let difference = format!("the answer is {answer:#?}\nin the model {:#?}", last.answer);
                return Err(differs(call, last.arm, &difference));
            }
            let difference = model.items.difference(call.part(), checkpoints, ledger).await;
            if let Some(difference) = difference.map_err(|failure| failed(call, &failure))? {
                return Err(differs(call, last.arm, &difference));
            }
        }
        let Some(last) = &model.last else { return Ok(taken) };
        for part in Part::ALL {
            // What no call of its own changed has to be as it was.
            let difference = model.items.difference(part, checkpoints, ledger).await;
            if let Some(difference) = difference.map_err(|failure| failed(&last.call, &failure))? {
                return Err(differs(&last.call, last.arm, &difference));
            }
        }
        Ok(taken)
    }
}

fn failed(call: &Call, failure: &StoreFailure) -> TestCaseError {
    TestCaseError::fail(format!("{failure:?}\nat {call:#?}"))
}

fn differs(call: &Call, arm: Option<Arm>, difference: &str) -> TestCaseError {
    let arm = arm.unwrap_or("no condition");
    TestCaseError::fail(format!("{difference}\n\nThe model took the way \"{arm}\" at\n{call:#?}"))
}

/// Plays as many lists as `effort` says, each on tables that `play` makes anew, and panics with the shortest one that
/// ends in a difference. Returns the ways out of conditions that no list took.
#[expect(clippy::panic, reason = "a breach is reported by panicking, as a test does")]
pub fn check(effort: Effort, play: impl AsyncFn(Case) -> Result<BTreeSet<Arm>, TestCaseError>) -> Vec<Arm> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(failure) => panic!("no runtime: {failure}"),
    };
    let taken = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(config(effort));
    let outcome =
        runner.run(&Model::sequential_strategy(effort.steps.div_ceil(2)..=effort.steps), |(model, steps, begun)| {
            taken.borrow_mut().extend(runtime.block_on(play(Case { model, steps, begun }))?);
            Ok(())
        });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (model, steps, _))) => panic!("{}", story(&model, &steps, reason.message())),
        Err(TestError::Abort(reason)) => panic!("the model could not be played: {reason}"),
    }
    let taken = taken.into_inner();
    let unknown: Vec<&Arm> = taken.iter().filter(|arm| !ARMS.contains(arm) && **arm != SEVERAL_CAUSES).collect();
    assert!(unknown.is_empty(), "not in the list of ways out: {unknown:?}");
    ARMS.into_iter().filter(|arm| !taken.contains(arm)).collect()
}

/// No files of past failures: the list that is told is the way to repeat one.
fn config(effort: Effort) -> Config {
    let asked = Config::default();
    let cases = asked.cases.saturating_mul(effort.lists).div_ceil(256);
    let rng_seed = if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(2_026) } else { asked.rng_seed };
    Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: 5_000, ..asked }
}

fn story(model: &Model, steps: &[Step], reason: &str) -> String {
    let steps: Vec<String> = (1..).zip(steps).map(|(number, step)| format!("  {number}. {step:?}")).collect();
    let steps = steps.join("\n");
    format!("the tables and the model differ, starting at {}, after\n{steps}\n\n{reason}", model.start)
}
