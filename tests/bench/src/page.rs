//! `docs/performance.md`.

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
- Costs are list prices of us-east-1 for arm64 without any free tier; `tests/bench/src/cost.rs` names the price pages.
- Assumed are 10 ms for a request to a table or queue, 200 ms for a vendor's answer, 1 KB of log lines an invocation, an
  invocation for each message, and a call of Secrets Manager at each tick.
- At 2 requests a second the fetcher waits half a second for each record that it fetches by id. A function of 128 MB that waits
  500,000 s costs $0.83, whatever the program does; at 5 requests a second $0.33.
- Left out are storage ($0.25 a GB and month, $0.20 more for point-in-time recovery), traffic, and dashboards:
  a stack has one and one for each source, an account has three free, and each further one costs $3.00 a month.

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
- **A poll of a thousand changes.** What was edited within the last two minutes before a list is listed again by the next
  one, fetched or taken again, and stored again: the first look may have been too early to show the newest state. This
  share is the overlap and the stamps' lag, divided by the time between two polls; a longer interval makes it smaller.
- **A first import.** Until records have shown in which zone the stamps are, each list goes back 26 hours. What was edited
  on that day is fetched a few times more.
- **A feed.** Its chunks hold the events and ids of 32 digits, so that a chunk takes several write units when it is put, and as
  many when it is deleted.
- **The idle stack.** Calls of Secrets Manager, log lines, the reads of a tick and of the watcher, and ticks of one source that
  wait for each other's slot were not counted.
";

/// The page with these rows.
pub(crate) fn page(rows: &[Row]) -> String {
    format!("{HEAD}\n{}\n{FOOT}", table(rows))
}
