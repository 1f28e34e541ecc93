//! Measures the budgets of the design and prints them as a table; `--write` also puts it into `docs/performance.md`.
//!
//! Counts come from the engine over memory ports. Memory, CPU and throughput come from processes of their own, with the
//! real source against a fake vendor and with tables that keep nothing, so that neither the emulator's cost
//! nor the stored data is measured along.
#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod cost;
mod counts;
mod fetching;
mod listing;
mod process;
mod row;
mod start;
mod stub;

use std::error::Error;

use row::{Row, table};

const HELP: &str = "Measures what the design budgets.

  tidemark-bench            prints the table
  tidemark-bench <group>    prints a part of it: counts, fetcher, poller or artifact
  tidemark-bench --write    prints all of it and writes docs/performance.md

Run it by `make bench`, which builds the functions that are measured.";

/// The parts of the table.
const GROUPS: [&str; 4] = ["counts", "fetcher", "poller", "artifact"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fetch", url, count] => fetching::ids(url, count.parse()?).await?,
        ["rows", url, count] => fetching::rows(url, count.parse()?).await?,
        ["list", url] => listing::child(url).await?,
        [] => print(&measure(|_| true).await?),
        [only] if GROUPS.contains(only) => print(&measure(|group| group == *only).await?),
        ["--write"] => {
            let rows = measure(|_| true).await?;
            print(&rows);
            std::fs::write("docs/performance.md", page(&rows))?;
        }
        _ => println!("{HELP}"),
    }
    Ok(())
}

async fn measure(is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for group in GROUPS.into_iter().filter(|group| is_wanted(group)) {
        let measured = match group {
            "counts" => counts::measure().await?,
            "fetcher" => fetching::measure().await?,
            "poller" => listing::measure().await?,
            _ => start::measure()?,
        };
        rows.extend(measured.into_iter().map(|row| Row { group, ..row }));
    }
    Ok(rows)
}

fn print(rows: &[Row]) {
    println!("{}", table(rows));
    let budgeted = rows.iter().filter(|row| row.has_budget).count();
    let missed = rows.iter().filter(|row| row.is_missed).count();
    println!("{} of {budgeted} budgets are kept", budgeted - missed);
}

fn page(rows: &[Row]) -> String {
    let head = "# Performance

What the design budgets. Counts are the same on every machine; times and memory are of the machine that ran it (two cores).
Costs are computed from the counts with list prices of us-east-1. Records that are fetched by id are FieldMotion's, rows are
FSM Navigator's.
";
    let foot = "A row is made by `cargo run --release -p tidemark-bench --` and the word in its last column, all of them by `make bench`;
with `--write` in the word's place this page is written. The functions must have been built (`cargo build --release --bins`),
and the emulator installed (`make setup`).

Of a million records at 5 requests a second the records' own writes cost $0.625 and the fetcher that waits for the vendor
$0.333, whatever the program does. The rest of that budget is less than what chunks of 50 ids cost in the ledger and the queue.
";
    format!("{head}\n{}\n{foot}", table(rows))
}
