//! Plays many seeds of the simulation on all cores, or one seed as text.
//!
//! `simulate [--seeds 2000] [--first 0]` plays seeds in a row; `simulate --seed 7 [--steps 400]` replays one. With
//! `--rule NAME` a wrong variant of the protocol is played, with `--mutants 2000` each of them until a seed kills it.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tidemark_testkit::sim::{Many, Mutant, kills, replay, run_many};

/// How many violating seeds are shown.
const SHOWN_MAX: usize = 20;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let number = |name: &str| -> Option<u64> { after(name)?.parse().ok() };
    let mutant = after("--rule").map(|name| (name, Mutant::parse(name)));
    if let Some((name, None)) = mutant {
        let names: Vec<String> = Mutant::all().map(|mutant| mutant.to_string()).collect();
        writeln!(io::stderr(), "there is no rule {name}; there are {}", names.join(", "))?;
        return Ok(ExitCode::FAILURE);
    }
    let mutant = mutant.and_then(|(_, mutant)| mutant);
    let first = number("--first").unwrap_or(0);
    if let Some(seed) = number("--seed") {
        let steps = usize::try_from(number("--steps").unwrap_or(400)).unwrap_or(usize::MAX);
        let outcome = replay(seed, steps, mutant);
        write!(io::stdout(), "{outcome}")?;
        return Ok(code(outcome.violation.is_none()));
    }
    if let Some(seeds) = number("--mutants") {
        return Ok(hunt(first, seeds));
    }
    let end = first.saturating_add(number("--seeds").unwrap_or(2_000));
    let started = now();
    let many = run_many(first..end, mutant, |played, bad| show(played, end - first, bad));
    report(&many, started.elapsed())?;
    Ok(code(many.bad.is_empty()))
}

fn code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks for a seed that kills each wrong variant, on all cores.
fn hunt(first: u64, seeds: u64) -> ExitCode {
    let mutants: Vec<Mutant> = Mutant::all().collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let killer = (first..first + seeds).find_map(|seed| Some((seed, kills(seed, *mutant)?)));
                    let line = match killer {
                        Some((seed, invariant)) => format!("{mutant}: seed {seed}, {invariant}"),
                        None => format!("{mutant}: SURVIVES"),
                    };
                    drop(writeln!(io::stdout(), "{line}"));
                    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(killer.is_some());
                }
            });
        }
    });
    let all = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    code(all.iter().all(|is_killed| *is_killed))
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulation runs is measured on the wall clock")]
fn now() -> Instant {
    Instant::now()
}

fn show(played: u64, seeds: u64, bad: usize) {
    if played.is_multiple_of(500) || played == seeds {
        let end = if played == seeds { "\n" } else { "" };
        // If nobody reads the output, nobody misses it.
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
