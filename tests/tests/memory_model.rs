//! The memory tables answer every conditional write as the model does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidemark_testkit::memory::{Flaw, MemoryTables};
use tidemark_testkit::model::{Arm, Effort, check};

fn played(flaw: Option<Flaw>, lists: u32) -> Vec<Arm> {
    check(Effort { lists, steps: 60 }, async |case| {
        let tables = MemoryTables::new();
        tables.with(|items| items.flaw = flaw);
        case.play(&tables, &tables).await
    })
}

#[test]
fn the_memory_tables_keep_every_condition() {
    let not_taken = played(None, 1_000);
    assert!(not_taken.is_empty(), "each condition is to hold and not to hold at least once, but: {not_taken:?}");
}

#[test]
fn a_table_with_a_flaw_is_told_by_the_few_steps_that_show_it() {
    for flaw in [Flaw::NoFence, Flaw::QuarantinesLate, Flaw::CountsDown, Flaw::ShowsAllDone] {
        let told = catch_unwind(AssertUnwindSafe(|| played(Some(flaw), 1_000)));
        let told = told.expect_err("the model finds it");
        let told = told.downcast_ref::<String>().expect("it is told in words");
        let step_count = told.lines().skip(1).take_while(|line| !line.is_empty()).count();
        assert!((1..=12).contains(&step_count), "{flaw:?} is told in {step_count} steps");
    }
}
