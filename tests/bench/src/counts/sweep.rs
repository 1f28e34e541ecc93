//! Sweeps: what one of a million records uses, and what is edited while one goes on.

use std::error::Error;
use std::time::Duration;

use tidemark_engine::stream::ListShape;
use tidemark_sweep::state::Proof;

use super::BODY_BYTES;
use super::fresh::{edit_every, slowest};
use crate::cost::of_work;
use crate::play::bill::Bill;
use crate::play::{Play, RATE, ids, per, vendor};
use crate::row::{Row, at_most, printed};

const MILLION: usize = 1_000_000;
/// Copies that are swept: what a million use follows from the two.
const SWEPT: [usize; 2] = [5_000, 10_000];
/// Records that a sweep finds missing.
const MISSING: usize = 100_000;
/// How long edits are made while these are fetched.
const EDITED_FOR: Duration = Duration::from_secs(5_000);

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let how =
        "computed from sweeps of 5,000 and 10,000 records that agree, and list prices; the poll beside it included";
    let rows = [
        ("a sweep of a million records of 1 KB, lists of ids", ListShape::Whole),
        ("a sweep of a million records of 1 KB, lists of rows", ListShape::Pages),
        ("a sweep of a million records of 1 KB, a feed's snapshot", ListShape::Feed),
    ];
    rows.into_iter().map(|(what, shape)| Ok(printed(what, told(&of_a_million(shape)?), how))).collect()
}

fn of_a_million(shape: ListShape) -> Result<Bill, Box<dyn Error>> {
    let [few, many] = SWEPT;
    let (of_few, of_many) = (swept(shape, few)?, swept(shape, many)?);
    let further = per(crate::play::bill::figure(MILLION - many), many - few);
    let bill = of_many.times(1.0 + further).plus(&of_few.times(-further));
    // The sample is as large, whatever is stored, and the poller asks for it.
    let lists = bill.lists + of_many.details;
    Ok(Bill { lists, details: 0.0, ..bill })
}

fn swept(shape: ListShape, count: usize) -> Result<Bill, Box<dyn Error>> {
    let play = Play::in_use(vendor(shape), count, BODY_BYTES)?;
    let Proof { listed, stored, missing, different, extra, .. } = play.sweep()?;
    let all = u64::try_from(count)?;
    if [listed, stored, missing, different, extra] != [all, all, 0, 0, 0] {
        return Err(format!("a sweep of {count} records lists {listed}, and misses {missing}").into());
    }
    Ok(play.take_bill())
}

fn told(bill: &Bill) -> String {
    let (reads, writes) = (bill.version_reads + bill.ledger_reads, bill.ledger_writes);
    let cost = of_work(bill, RATE).told();
    format!("{:.0} calls, {reads:.0} read units, {writes:.0} write units, {cost}", bill.lists)
}

/// How late edits are stored while a sweep has everything fetched.
pub(super) fn beside() -> Result<Row, Box<dyn Error>> {
    let shape = ListShape::Whole;
    let all = ids(shape, MISSING + 1_000);
    let (missing, known) = all.split_at(MISSING);
    let play = Play::in_use(vendor(shape), 0, BODY_BYTES)?;
    play.edit_evenly(known, play.now(), play.next_tick());
    play.until_quiet(play.next_tick())?;
    play.add_silently(missing);
    let edits = edit_every(&play, known, EDITED_FOR);
    let proof = play.sweep()?;
    if proof.missing != u64::try_from(MISSING)? {
        return Err(format!("the sweep found {} records missing", proof.missing).into());
    }
    Ok(at_most(
        "fresh edit while a sweep has 100,000 records fetched, stored within polls, without its own fetch",
        slowest(&play, &edits)?,
        2.0,
        "",
        "100,000 ids that are listed and not stored, at 2 requests a second; the slowest of an edit every 7 minutes",
    ))
}
