//! Plays lists of calls on an implementation and holds it to the model.

use std::fmt::Debug;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Ledger, Owed, Records, StoredVersions};
use tidemark_engine::stream::SourceKind;
use tidemark_engine::work::Lane;

use super::call::{Call, any_call, chunk_key};
use super::history::History;
use super::{id, key, stream};

/// How many lists are played, and how long each is at most.
///
/// The environment variable `PROPTEST_CASES` (256 when it is not set) makes it more or less, in proportion;
/// `PROPTEST_RNG_SEED` plays other lists than the usual ones.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Lists for 256 cases asked for.
    pub lists: u32,
    /// The most calls of one list.
    pub calls: usize,
}

/// One list of calls, for empty tables.
#[derive(Clone, Debug)]
pub struct Case {
    calls: Vec<Call>,
}

impl Case {
    /// Plays the list.
    ///
    /// # Errors
    /// The first difference between the tables and the model.
    pub async fn play(
        self,
        checkpoints: &impl Checkpoints,
        ledger: &impl Ledger,
        records: &impl Records,
        versions: &impl StoredVersions,
    ) -> Result<(), TestCaseError> {
        let mut made: Vec<Call> = Vec::new();
        for call in self.calls {
            let call = match call {
                Call::Again(back) => match made.len().checked_sub(back).and_then(|place| made.get(place)) {
                    Some(earlier) => earlier.clone(),
                    None => continue,
                },
                call => call,
            };
            let expected = History(&made).answer(&call);
            let answer = call.make(checkpoints, ledger, records).await.map_err(|failure| failed(&failure))?;
            made.push(call);
            same("the answer", &made, &answer, &expected)?;
            let history = History(&made);
            compare(history, checkpoints, ledger, versions).await.map_err(|failure| failed(&failure))??;
        }
        Ok(())
    }
}

/// Compares all that is stored with the model.
async fn compare(
    history: History<'_>,
    checkpoints: &impl Checkpoints,
    ledger: &impl Ledger,
    versions: &impl StoredVersions,
) -> Result<Result<(), TestCaseError>, StoreFailure> {
    let (stream, made) = (stream(), history.0);
    let mut differences = vec![same("the checkpoint", made, &checkpoints.load(&stream).await?, &history.checkpoint())];
    let mut owed = Owed::default();
    for (lane, numbers, count) in
        [(Lane::Fresh, [2, 0], &mut owed.fresh_count), (Lane::Bulk, [3, 1], &mut owed.bulk_count)]
    {
        let expected: Vec<_> = numbers.into_iter().filter_map(|number| history.chunk(number)).collect();
        *count = expected.iter().map(|chunk| chunk.ids.len()).sum::<usize>().try_into().unwrap_or(u64::MAX);
        differences.push(same("the lane", made, &ledger.head(&stream, lane, 10).await?, &expected));
        for number in numbers {
            let found = ledger.chunk(&chunk_key(number)).await?;
            differences.push(same("the chunk", made, &found, &history.chunk(number)));
        }
    }
    differences.push(same("what is owed", made, &ledger.owed(&stream).await?, &owed));
    let entries: Vec<_> = (0..3).filter_map(|number| history.entry(number)).collect();
    differences.push(same("the retry lane", made, &ledger.retry_entries(&stream).await?, &entries));
    for number in 0..3 {
        let found = ledger.retry_entry(&stream, &id(number)).await?;
        differences.push(same("the retry entry", made, &found, &history.entry(number)));
    }
    differences.push(same("the stream's state", made, &ledger.stream_state(&stream).await?, &history.stream()));
    let source = ledger.source_state(SourceKind::FieldMotion).await?;
    differences.push(same("the source's state", made, &source, &history.source()));
    let keys: Vec<_> = (0..3).map(key).collect();
    let expected = (0..3).filter_map(|number| Some((key(number), history.version(number)?))).collect();
    differences.push(same("the records", made, &versions.versions(&keys).await?, &expected));
    Ok(differences.into_iter().collect())
}

fn same<T: PartialEq + Debug>(what: &str, made: &[Call], found: &T, expected: &T) -> Result<(), TestCaseError> {
    if found == expected {
        return Ok(());
    }
    let last = made.last();
    Err(TestCaseError::fail(format!("{what} is {found:#?}\nin the model {expected:#?}\nafter {last:?}")))
}

fn failed(failure: &StoreFailure) -> TestCaseError {
    TestCaseError::fail(format!("the port failed: {failure:?}"))
}

/// Plays as many lists as `effort` says, each on new tables that `play` makes.
///
/// # Panics
/// With the shortest list that ends in a difference.
#[expect(clippy::panic, reason = "a breach is reported by panicking, as a test does")]
pub fn check(effort: Effort, play: impl AsyncFn(Case) -> Result<(), TestCaseError>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(failure) => panic!("no runtime: {failure}"),
    };
    let lists = proptest::collection::vec(any_call(), 1..=effort.calls);
    let outcome = TestRunner::new(config(effort)).run(&lists, |calls| runtime.block_on(play(Case { calls })));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, calls)) => panic!("{}", story(&calls, reason.message())),
        Err(TestError::Abort(reason)) => panic!("the model could not be played: {reason}"),
    }
}

/// No files of past failures: the list that is printed is the way to repeat one.
fn config(effort: Effort) -> Config {
    let asked = Config::default();
    let cases = asked.cases.saturating_mul(effort.lists).div_ceil(256);
    let rng_seed = if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(2_026) } else { asked.rng_seed };
    Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: 5_000, ..asked }
}

fn story(calls: &[Call], reason: &str) -> String {
    let calls: Vec<String> = (1..).zip(calls).map(|(number, call)| format!("  {number}. {call:?}")).collect();
    format!("the tables and the model differ after\n{}\n\n{reason}", calls.join("\n"))
}
