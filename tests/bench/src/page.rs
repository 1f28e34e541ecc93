//! `docs/performance.md`, and what the README says of costs.

use std::error::Error;

use crate::counts::money;
use crate::row::{Row, table};

const HEAD: &str = "# Performance

What the design budgets, and what was measured. Counts are the same on every machine; times and memory are of the machine
that ran it (two cores). Records that are fetched by id are FieldMotion's, rows are FSM Navigator's, the feed is FieldAware's.
";

const FOOT: &str = "A row is made by `cargo run --release -p tidemark-bench --` and the word in its last column, all of them by `make bench`;
with `--write` in the word's place this page is written. The functions must have been built (`cargo build --release --bins`),
and the emulators installed (`make setup`).

## How units and costs are counted

- Units come from the sizes of the items that the adapters write, names of attributes included. A write takes one for each
  KB, an update the larger of before and after; a strongly consistent read takes one for each 4 KB, an eventually consistent
  one half. A body of 1,024 bytes makes an item of two write units.
- Costs are list prices of us-east-1 for arm64; `shared/aws/src/prices.rs` names the price pages. What AWS gives each account
  free in every month is taken off only where a row says so.
- Log lines are those that the functions' own code writes of each tick, message and look, with the three lines of Lambda about
  an invocation and the 26 bytes that CloudWatch adds to each line.
- Assumed are 10 ms for a request to a table or queue, 200 ms for a vendor's answer, an invocation for each message, and a call
  of Secrets Manager at each tick: the most there can be, since a function remembers its secret for an hour.
- At 2 requests a second the fetcher waits half a second for each record that it fetches by id. A function of 128 MB that waits
  500,000 s costs $0.83, whatever the program does; at 5 requests a second $0.33.
- A connection that was idle for minutes is closed. So each tick opens one to the vendor and one to DynamoDB; the row about
  TLS has what that costs.
- Left out are traffic, the composite alarm of a source (only where there is a `PageTopicArn`: $0.50 a month for each source),
  and log lines that are kept for their 30 days, compressed ($0.03 a GB and month).

## The command line beside a million records

`.venv/bin/python tests/bench/command_line.py` deploys the stack with all sources on the local cloud, puts 1,000,000 records
into its table and prints the median wall time of whole processes, debug build. On 2026-11-28, with other work on the two
cores: `tidemark status` 0.255 s, `tidemark explain` 0.074 s, `tidemark quarantine list` 0.101 s, each of which may take 2 s;
`tidemark version` 0.036 s, which may take 0.05 s.

## What was made cheaper, and what was not

- **Alarms.** The composite alarm of a source exists only for a pager. The other alarms cost $0.10 a month each, and none of
  them watches what another one does.
- **Metrics.** The watcher publishes those of sources that are on, by source and not by stream: six for each, and a heartbeat.
- **Schedules.** A stream that is off by default has none unless streams are named. A stream that is left out by its name has
  one, whose tick does nothing and costs one cent a month: a template cannot look into a list.
- **Log lines.** A tick without news logs its line only for debugging, so that Lambda's own lines are left. Those hold memory
  and duration of each invocation, and cost about a cent a month.
- **Records.** The name of an attribute is paid for in each item. With names of one letter a record would be some 65 bytes
  smaller, so that one in sixteen takes a write unit less: $0.04 for a million. Consumers read the names, so they stay.
- **Dashboards.** They are the largest part where all sources are on: one for the stack and one for each source, $3.00 a month
  each beyond an account's first three. One for all would show four sources to a reader who wants one.

## Memory sizes

Lambda gives a function a share of one processor by its memory: 7 % with 128 MB, 14 % with 256 MB, 29 % with 512 MB. The rows
of `memory` say what a start, a first record and a TLS handshake need of a processor, and how long that takes at least with
each share. Lambda bills memory and time together, so processor time costs the same at every size: $0.023 for 1,000 seconds
of it. Waiting costs less with less memory, and waiting for the vendor's rate is most of what a fetcher does: it has
128 MB. A poller has 256 MB, because it holds whole lists and pages while it reads them.

A connection to AWS has 2 s to open, one to a vendor 10 s. With 128 MB that leaves 140 ms and 700 ms of processor time for a
handshake. Under a real quota of 7.2 % (a control group of Linux around the functions) an unoptimised build opened every
connection in time, in 14 starts.

## What is dearer than it was, and why

Of earlier versions of this page.

- **A million records.** Each write counted as one unit, whatever its size, and the vendor was asked 5 times a second. Neither
  is so by default: with its names and its other attributes a record of 1 KB takes two units, and the default rate is 2.
- **Reads of stored versions.** The fetcher reads what is stored before it asks the vendor. So a message that comes twice and
  an id that is owed twice cost half a read unit, not a call.
- **A poll of a thousand changes, fetched by id.** What was edited within the last two minutes before a list is listed again
  by the next one, fetched again, and stored again: the first look may have been too early to show the newest state. This
  share is the overlap and the stamps' lag, divided by the time between two polls; a longer interval makes it smaller. Rows
  show that they are the same, and are stored again only while older ones are under way.
- **A first import.** Until records have shown in which zone the stamps are, each list goes back 26 hours. What was edited
  on that day is fetched a few times more.
- **A feed.** Its chunks hold the events and ids of 32 digits, so that a chunk takes up to three write units when it is put,
  and as many when it is deleted.
- **The idle stack.** Dashboards, calls of Secrets Manager, log lines, the reads of a tick and of the watcher, and ticks of one
  source that wait for each other's slot were not counted.
";

/// What the README says of costs stands between these.
const COSTS_BEGIN: &str = "## What it costs\n\n";
const COSTS_END: &str = "\n\n## ";

/// The README with the costs of these rows.
pub(crate) fn readme(text: &str, rows: &[Row]) -> Result<String, Box<dyn Error>> {
    let dollars = |what: &str| {
        let row = rows.iter().find(|row| row.what == what);
        row.and_then(|row| row.measured.split(':').next()).ok_or_else(|| format!("no row {what}"))
    };
    let (before, rest) = text.split_once(COSTS_BEGIN).ok_or("the README does not say what it costs")?;
    let (_, after) = rest.split_once(COSTS_END).ok_or("the README ends with what it costs")?;
    let costs = format!(
        "No server: the cost grows with the changes. A million new records of 1 KB cost {by_id} where each is fetched by its id, and\n\
         {as_rows} where lists hold whole rows. While nothing changes, a stack costs {one} a month with one source and {all} with all\n\
         four at list prices, most of it for dashboards, metrics and alarms, whose number is fixed. AWS gives each account some of\n\
         that free: with nothing else in the account it is {one_free} and {all_free}.\n\
         [docs/performance.md](docs/performance.md) has all parts, and the commands that made the figures.",
        by_id = dollars(money::BY_ID)?,
        as_rows = dollars(money::AS_ROWS)?,
        one = dollars(money::IDLE_ONE)?,
        all = dollars(money::IDLE_ALL)?,
        one_free = dollars(money::IDLE_ONE_FREE)?,
        all_free = dollars(money::IDLE_ALL_FREE)?,
    );
    Ok([before, COSTS_BEGIN, &costs, COSTS_END, after].concat())
}

/// The page with these rows.
pub(crate) fn page(rows: &[Row]) -> String {
    format!("{HEAD}\n{}\n{FOOT}", table(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::printed;

    #[test]
    fn the_readme_gets_the_sums_and_keeps_all_else() {
        let rows = [
            money::BY_ID,
            money::AS_ROWS,
            money::IDLE_ONE,
            money::IDLE_ALL,
            money::IDLE_ONE_FREE,
            money::IDLE_ALL_FREE,
        ]
        .map(|what| printed(what, format!("${}.00: all of it", what.len()), ""));
        let text = "# Tidemark\n\n## What it costs\n\nNothing.\n\n## Try it\n\nNow.\n";
        let written = readme(text, &rows).unwrap();
        assert!(written.starts_with("# Tidemark\n\n## What it costs\n\nNo server: "), "{written}");
        assert!(written.ends_with(".\n\n## Try it\n\nNow.\n") && !written.contains("Nothing."), "{written}");
        for row in &rows {
            let sum = row.measured.split(':').next().unwrap();
            assert!(written.contains(sum), "{sum}: {written}");
        }
        assert!(readme(text, &rows[1..]).is_err());
        assert!(readme("# Tidemark\n", &rows).is_err());
    }
}
