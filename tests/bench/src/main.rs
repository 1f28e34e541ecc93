//! Measures the budgets of the design and prints them as a table; `--write` also puts it into `docs/performance.md`.
//!
//! Counts come from the engine over memory ports. Memory, CPU and throughput come from processes of their own, with the
//! real FieldMotion source against a fake vendor and with tables that keep nothing, so that neither the emulator's cost
//! nor the stored data is measured along.
#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

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
  tidemark-bench --write    also writes docs/performance.md

Run it by `make bench`, which builds the functions that are measured.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fetch", url, count] => fetching::child(url, count.parse()?).await,
        ["list", url] => listing::child(url).await,
        [] => {
            print(&measure().await?);
            Ok(())
        }
        ["--write"] => {
            let rows = measure().await?;
            print(&rows);
            Ok(std::fs::write("docs/performance.md", page(&rows))?)
        }
        _ => {
            println!("{HELP}");
            Ok(())
        }
    }
}

async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = counts::measure().await?;
    rows.extend(fetching::measure().await?);
    rows.extend(listing::measure().await?);
    rows.extend(start::measure()?);
    Ok(rows)
}

fn print(rows: &[Row]) {
    println!("{}", table(rows));
    let missed = rows.iter().filter(|row| row.is_missed).count();
    println!("{} of {} budgets are kept", rows.len() - missed, rows.len());
}

fn page(rows: &[Row]) -> String {
    format!(
        "# Performance\n\nWhat the design budgets, as measured by `make bench` for FieldMotion. Counts are the same on every \
         machine; times and memory are of the machine that ran it (two cores). Costs are computed from the counts with list \
         prices of us-east-1.\n\n{}\nEvery row was made by `make bench`, which runs `cargo run --release -p tidemark-bench -- \
         --write`.\n",
        table(rows)
    )
}
