//! Plays many seeds of the simulation on all cores, or one seed in words.
//!
//! `simulate [--seeds 100000] [--first 0]` plays seeds in a row; `simulate --seed 7 [--steps 400]` replays one.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tidemark_testkit::sim::{Many, replay, run_many};

/// How many violating seeds are shown.
const SHOWN_MAX: usize = 20;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |name: &str| -> Option<u64> {
        let mut after = arguments.iter().skip_while(|argument| *argument != name).skip(1);
        after.next()?.parse().ok()
    };
    if let Some(seed) = number("--seed") {
        let steps = usize::try_from(number("--steps").unwrap_or(400)).unwrap_or(usize::MAX);
        let outcome = replay(seed, steps);
        write!(io::stdout(), "{outcome}")?;
        return Ok(code(outcome.violation.is_none()));
    }
    let first = number("--first").unwrap_or(0);
    let end = first.saturating_add(number("--seeds").unwrap_or(2_000));
    let started = now();
    let many = run_many(first..end, |played, bad| show(played, end - first, bad));
    report(&many, started.elapsed())?;
    Ok(code(many.bad.is_empty()))
}

fn code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulation runs is measured on the wall clock")]
fn now() -> Instant {
    Instant::now()
}

fn show(played: u64, seeds: u64, bad: usize) {
    if played.is_multiple_of(500) || played == seeds {
        let end = if played == seeds { "\n" } else { "" };
        // Nobody looks: then nobody misses it.
        drop(write!(io::stderr(), "\r{played} of {seeds} seeds, {bad} with a violation{end}"));
    }
}

fn report(many: &Many, took: Duration) -> io::Result<()> {
    let mut out = io::stdout();
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let a_second = many.played.saturating_mul(1_000) / millis;
    let cores = available_parallelism().map_or(1, |cores| u64::try_from(cores.get()).unwrap_or(1));
    write!(out, "{}", many.stats)?;
    writeln!(out, "{:>14}  seeds in {:.1} s on {cores} cores", many.played, took.as_secs_f64())?;
    writeln!(out, "{a_second:>14}  seeds a second, {} a second and core", a_second / cores)?;
    writeln!(out, "{:>14}  violations", many.bad.len())?;
    let mut kinds: Vec<&str> = many.bad.iter().map(|(_, invariant)| *invariant).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let seeds: Vec<u64> = many.bad.iter().filter(|(_, of)| *of == kind).map(|(seed, _)| *seed).collect();
        let shown: Vec<String> = seeds.iter().take(SHOWN_MAX).map(u64::to_string).collect();
        writeln!(out, "{:>14}  {kind}: seeds {}", seeds.len(), shown.join(" "))?;
    }
    Ok(())
}
