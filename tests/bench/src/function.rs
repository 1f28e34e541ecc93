//! A function as it is shipped, run by Lambda's own runtime interface emulator, which `aws-sam-cli` carries.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{child_of, cpu_ms_of, exact_cpu_ms_of};

/// What the template gives every function, whatever is measured: the settings' defaults.
const DEFAULTS: [(&str, &str); 14] = [
    ("AWS_REGION", "us-east-1"),
    ("TIDEMARK_STACK", "tidemark"),
    ("TIDEMARK_SOURCE", "fieldmotion"),
    ("TIDEMARK_STREAMS", "all"),
    ("TIDEMARK_SETTINGS", "{}"),
    ("TIDEMARK_CHECKPOINTS_TABLE", "checkpoints"),
    ("TIDEMARK_LEDGER_TABLE", "ledger"),
    ("TIDEMARK_RECORDS_TABLE", "records"),
    ("TIDEMARK_POLL_RATE", "rate(5 minutes)"),
    ("TIDEMARK_OVERLAP_SECONDS", "120"),
    ("TIDEMARK_POISON_POLICY", "block"),
    ("TIDEMARK_VISIBILITY_TIMEOUT_SECONDS", "720"),
    ("TIDEMARK_DELETED_RETENTION_DAYS", "30"),
    ("TIDEMARK_FETCHER_TIMEOUT_SECONDS", "120"),
];

/// One execution environment of a function. It ends with this value.
pub(crate) struct Function {
    emulator: Child,
    port: u16,
    /// What the emulator writes. A file, because a pipe that nobody reads fills up and stops it.
    log: PathBuf,
}

impl Function {
    /// Starts the emulator; the function itself starts with the first invocation. `settings` join those that all have.
    pub(crate) fn start(name: &str, settings: &[(&str, &str)]) -> Result<Self, Box<dyn Error>> {
        let (port, runtime_port) = (free_port()?, free_port()?);
        let log = std::env::temp_dir().join(format!("tidemark-bench-{port}.log"));
        let emulator = Command::new(std::fs::canonicalize(emulator()?)?)
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_port}")])
            .arg(program(name)?)
            .env_clear()
            .envs(DEFAULTS)
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { emulator, port, log })
    }

    /// Invokes the function once; what it answers.
    pub(crate) fn invoke(&self, event: &str) -> Result<String, Box<dyn Error>> {
        let mut stream = self.connect()?;
        let path = "/2015-03-31/functions/function/invocations";
        let length = event.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: local\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{event}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("the emulator gave no answer")?;
        Ok(body.to_owned())
    }

    fn connect(&self) -> Result<TcpStream, Box<dyn Error>> {
        let tries = (0..200).find_map(|_| {
            TcpStream::connect(("127.0.0.1", self.port)).ok().or_else(|| {
                std::thread::sleep(Duration::from_millis(10));
                None
            })
        });
        tries.ok_or_else(|| "the emulator does not listen".into())
    }

    /// The processor time that the function has used, without its emulator's, in ms.
    pub(crate) fn cpu_ms(&self) -> Result<f64, Box<dyn Error>> {
        cpu_ms_of(child_of(self.emulator.id())?)
    }

    /// The same to the microsecond.
    pub(crate) fn exact_cpu_ms(&self) -> Result<f64, Box<dyn Error>> {
        exact_cpu_ms_of(child_of(self.emulator.id())?)
    }

    /// What the emulator has written.
    pub(crate) fn log(&self) -> Result<String, Box<dyn Error>> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

impl Drop for Function {
    /// What cannot be ended or removed has ended or is not there.
    fn drop(&mut self) {
        drop(self.emulator.kill());
        drop(self.emulator.wait());
        drop(std::fs::remove_file(&self.log));
    }
}

/// The program of a function, built beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// The emulator in the virtual environment that `make setup` made.
fn emulator() -> Result<PathBuf, Box<dyn Error>> {
    let inside = Path::new("site-packages/samcli/local/rapid/aws-lambda-rie-x86_64");
    let found = std::fs::read_dir(".venv/lib")?.flatten().map(|python| python.path().join(inside));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| "no emulator in .venv: run `make setup`".into())
}

fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
