//! The functions as they are shipped: how long one takes to start, and how large it is zipped.
//!
//! The start is measured by Lambda's own runtime interface emulator, which `aws-sam-cli` carries: the time from the start
//! of the process to its first request for an invocation.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::row::{Row, at_most};

const STARTS: usize = 20;
/// An event that every function refuses at once, so that only the start takes time.
const EVENT: &str = "{}";

/// Settings that let each function start; none of these addresses is called.
const SETTINGS: [(&str, &str); 18] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "none"),
    ("AWS_SECRET_ACCESS_KEY", "none"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ("TIDEMARK_SOURCE", "fieldmotion"),
    ("TIDEMARK_BASE_URL", "https://cp13.fieldmotion.com"),
    ("TIDEMARK_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:none"),
    ("TIDEMARK_STREAMS", "all"),
    ("TIDEMARK_SETTINGS", "{}"),
    ("TIDEMARK_REQUESTS_PER_SECOND", "2"),
    ("TIDEMARK_CHECKPOINTS_TABLE", "checkpoints"),
    ("TIDEMARK_LEDGER_TABLE", "ledger"),
    ("TIDEMARK_RECORDS_TABLE", "records"),
    ("TIDEMARK_QUEUE_URL", "http://127.0.0.1:9/queue"),
    ("TIDEMARK_OVERLAP_SECONDS", "120"),
    ("TIDEMARK_POISON_POLICY", "block"),
    ("TIDEMARK_VISIBILITY_TIMEOUT_SECONDS", "720"),
    ("TIDEMARK_LOG", "off"),
];

pub(crate) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let emulator = emulator()?;
    let mut slowest: f64 = 0.0;
    let mut largest: f64 = 0.0;
    for function in ["poller", "fetcher"] {
        let program = std::env::current_exe()?.with_file_name(function);
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(start_ms(&emulator, &program)?);
        }
        starts.sort_by(f64::total_cmp);
        slowest = slowest.max(starts.get(STARTS / 2).copied().unwrap_or(f64::MAX));
        largest = largest.max(zipped_mb(&program)?);
    }
    Ok(vec![
        at_most(
            "function start to first invocation request",
            slowest,
            12.0,
            " ms",
            "median of 20, the slower of poller and fetcher, runtime interface emulator",
        ),
        at_most("artifact, zipped", largest, 6.0, " MB", "the larger of poller and fetcher, release build"),
    ])
}

/// Lambda's runtime interface emulator in the virtual environment that `make setup` made.
fn emulator() -> Result<PathBuf, Box<dyn Error>> {
    let inside = Path::new("site-packages/samcli/local/rapid/aws-lambda-rie-x86_64");
    let found = std::fs::read_dir(".venv/lib")?.flatten().map(|python| python.path().join(inside));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| "no emulator in .venv: run `make setup`".into())
}

/// One start, in ms.
fn start_ms(emulator: &Path, program: &Path) -> Result<f64, Box<dyn Error>> {
    let (port, runtime_port) = (free_port()?, free_port()?);
    let mut child = Command::new(std::fs::canonicalize(emulator)?)
        .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
        .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_port}")])
        .arg(program)
        .env_clear()
        .envs(SETTINGS)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let invoked = invoke(port);
    let ended = end(&mut child);
    invoked?;
    let log = ended?;
    let figure = log.split("INIT REPORT(durationMs: ").nth(1).and_then(|rest| rest.split(')').next());
    Ok(figure.ok_or_else(|| format!("the emulator reported no start of {}", program.display()))?.parse()?)
}

fn end(child: &mut Child) -> Result<String, Box<dyn Error>> {
    child.kill()?;
    child.wait()?;
    let mut log = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut log)?;
    }
    Ok(log)
}

fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Invokes the function once, which starts it.
fn invoke(port: u16) -> Result<(), Box<dyn Error>> {
    let mut stream = (0..200)
        .find_map(|_| {
            TcpStream::connect(("127.0.0.1", port)).ok().or_else(|| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                None
            })
        })
        .ok_or("the emulator does not listen")?;
    let path = "/2015-03-31/functions/function/invocations";
    let length = EVENT.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: local\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{EVENT}"
    )?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The size of the program as Lambda gets it.
fn zipped_mb(program: &Path) -> Result<f64, Box<dyn Error>> {
    let archive = program.with_extension("zip");
    let zipped = Command::new("python3").args(["-m", "zipfile", "-c"]).arg(&archive).arg(program).status()?;
    if !zipped.success() {
        return Err("the program could not be zipped".into());
    }
    let bytes = std::fs::metadata(&archive)?.len();
    std::fs::remove_file(&archive)?;
    Ok(f64::from(u32::try_from(bytes)?) / 1e6)
}
