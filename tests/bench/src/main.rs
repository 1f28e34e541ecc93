//! Measures the budgets of the design and prints them as a table; `--write` also puts it into `docs/performance.md`, and
//! its costs into `README.md`.
//!
//! Counts come from the engine over memory ports that know the sizes of items. Memory, CPU and throughput come from
//! processes of their own, with the real source against a fake vendor and with tables that keep nothing, so that neither
//! the emulator's cost nor the stored data is measured along; but for one row, for which the functions as they are shipped
//! run against the emulator.
#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod cold;
mod cost;
mod counts;
mod deployed;
mod fetching;
mod function;
mod listing;
mod page;
mod play;
mod process;
mod row;
mod start;
mod stub;

use std::error::Error;

use row::{Row, table};

const HELP: &str = "Measures what the design budgets.

  tidemark-bench            prints the table
  tidemark-bench <group>    prints a part of it: counts, fetcher, poller, deployed, memory or artifact
  tidemark-bench --write    prints all of it and writes docs/performance.md and the costs in README.md

Run it by `make bench`, which builds the functions that are measured.";

/// The parts of the table.
const GROUPS: [&str; 6] = ["counts", "fetcher", "poller", "deployed", "memory", "artifact"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fetch", url, count] => fetching::ids(url, count.parse()?).await?,
        ["rows", url, count] => fetching::rows(url, count.parse()?).await?,
        ["list", url, case] => listing::child(url, case).await?,
        ["sweep", url, first] => Box::pin(listing::sweep(url, first.parse()?)).await?,
        ["deployed-beside"] => deployed::child().await?,
        ["memory-beside"] => cold::child().await?,
        [] => print(&measure(|_| true).await?),
        [only] if GROUPS.contains(only) => print(&measure(|group| group == *only).await?),
        ["--write"] => {
            let rows = measure(|_| true).await?;
            print(&rows);
            std::fs::write("docs/performance.md", page::page(&rows))?;
            std::fs::write("README.md", page::readme(&std::fs::read_to_string("README.md")?, &rows)?)?;
        }
        _ => println!("{HELP}"),
    }
    Ok(())
}

async fn measure(is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for group in GROUPS.into_iter().filter(|group| is_wanted(group)) {
        let measured = match group {
            "counts" => counts::measure()?,
            "fetcher" => fetching::measure().await?,
            "poller" => listing::measure().await?,
            "deployed" => deployed::measure().await?,
            "memory" => cold::measure().await?,
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
