//! The memory tables answer every conditional write as the model does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidemark_testkit::memory::{Flaw, MemoryTables};
use tidemark_testkit::model::{Effort, check};

fn play(flaw: Option<Flaw>) {
    check(Effort { lists: 1_000, calls: 40 }, async |case| {
        let tables = MemoryTables::new();
        tables.with(|items| items.flaw = flaw);
        case.play(&tables, &tables, &tables, &tables).await
    });
}

#[test]
fn the_memory_tables_keep_every_condition() {
    play(None);
}

#[test]
fn a_table_with_a_flaw_is_told_by_the_few_calls_that_show_it() {
    for flaw in Flaw::ALL {
        let told = catch_unwind(AssertUnwindSafe(|| play(Some(flaw)))).expect_err("the model finds it");
        let told = told.downcast_ref::<String>().expect("it is told in words");
        let call_count = told.lines().skip(1).take_while(|line| !line.is_empty()).count();
        assert!((1..=6).contains(&call_count), "{flaw:?} is told in {call_count} calls:\n{told}");
    }
}
