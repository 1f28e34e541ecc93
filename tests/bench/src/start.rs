//! The functions as they are shipped: how long one takes to start, and how large it is zipped.

use std::error::Error;
use std::process::Command;

use crate::function::{Function, program};
use crate::row::{Row, at_most};

const STARTS: usize = 20;
/// An event that every function refuses at once, so that only the start takes time.
const EVENT: &str = "{}";

/// Settings that let each function start; none of these addresses is called.
const SETTINGS: [(&str, &str); 8] = [
    ("AWS_ACCESS_KEY_ID", "none"),
    ("AWS_SECRET_ACCESS_KEY", "none"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ("TIDEMARK_BASE_URL", "https://cp13.fieldmotion.com"),
    ("TIDEMARK_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:none"),
    ("TIDEMARK_REQUESTS_PER_SECOND", "2"),
    ("TIDEMARK_QUEUE_URL", "http://127.0.0.1:9/queue"),
    ("TIDEMARK_LOG", "off"),
];

pub(crate) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut slowest: f64 = 0.0;
    let mut largest: f64 = 0.0;
    for name in ["poller", "fetcher"] {
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(start_ms(name)?);
        }
        starts.sort_by(f64::total_cmp);
        slowest = slowest.max(starts.get(STARTS / 2).copied().unwrap_or(f64::MAX));
        largest = largest.max(zipped_mb(name)?);
    }
    Ok(vec![
        at_most(
            "function start to first invocation request",
            slowest,
            10.0,
            " ms",
            "median of 20, the slower of poller and fetcher, runtime interface emulator",
        ),
        at_most("artifact, zipped", largest, 6.0, " MB", "the larger of poller and fetcher, release build"),
    ])
}

/// One start, in ms: from the start of the process to its first request for an invocation.
fn start_ms(name: &str) -> Result<f64, Box<dyn Error>> {
    let function = Function::start(name, &SETTINGS)?;
    function.invoke(EVENT)?;
    let log = function.log()?;
    let figure = log.split("INIT REPORT(durationMs: ").nth(1).and_then(|rest| rest.split(')').next());
    match figure {
        Some(figure) if log.contains("INIT RTDONE(status: success)") => Ok(figure.parse()?),
        _ => Err(format!("the {name} did not start").into()),
    }
}

/// The size of a function as Lambda gets it.
fn zipped_mb(name: &str) -> Result<f64, Box<dyn Error>> {
    let program = program(name)?;
    let archive = program.with_extension("zip");
    let zipped = Command::new("python3").args(["-m", "zipfile", "-c"]).arg(&archive).arg(&program).status()?;
    if !zipped.success() {
        return Err("the program could not be zipped".into());
    }
    let bytes = std::fs::metadata(&archive)?.len();
    std::fs::remove_file(&archive)?;
    Ok(f64::from(u32::try_from(bytes)?) / 1e6)
}
