//! The `fake-vendor` program, without its process: arguments in, one line out, then waiting.

use std::{
    io::{self, Write},
    pin::Pin,
    time::Duration,
};

use serde_json::json;

pub use super::server::Started;
use super::{VENDORS, server::Ports, wire::pause};

/// What `--help` says; `VENDORS` stands for their names.
const HELP: &str = "\
A fake field-service vendor on the loopback address, for tests and demonstrations.

Usage: fake-vendor <vendor> [options]

  <vendor>            one of VENDORS
  --port <n>          the vendor's port, 0 (the default) takes a free one
  --control-port <n>  the control API's port, 0 (the default) takes a free one
  --seed <n>          what all generated values are made from (default 1)
  --help              this text

Once it listens it prints one line: {\"vendor_url\":\"http://..\",\"control_url\":\"http://..\",\"secret\":{..}}
where secret is the credential it accepts, in the shape of the source's secret.
It holds no records until told: curl -d '{\"stream\":\"customers\",\"count\":500}' <control_url>/seed
It ends on SIGTERM, SIGINT or POST <control_url>/shutdown.
";

/// Why the program could not run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The arguments make no sense.
    #[error("{0}; see fake-vendor --help")]
    Usage(String),
    /// A port was not free, or the line could not be written.
    #[error("cannot listen or print")]
    Io(#[from] io::Error),
}

/// Starts a vendor on these ports, with values made from this seed.
pub(crate) type Start = fn(Ports, u64) -> Pin<Box<dyn Future<Output = io::Result<Started>> + Send>>;

#[derive(Debug, Clone, Copy)]
struct Options {
    start: Start,
    ports: Ports,
    seed: u64,
}

/// Starts a vendor by its name, on a free port. None for a name that is not known, or where no port is free.
pub async fn start(name: &str) -> Option<Started> {
    let (_, start) = VENDORS.iter().find(|(known, _)| *known == name)?;
    start(Ports::default(), 1).await.ok()
}

/// Runs until `interrupted` completes or the control API says so.
///
/// # Errors
/// `Usage`, `Io`.
pub async fn run(
    arguments: impl IntoIterator<Item = String>,
    out: &mut (impl Write + Send),
    interrupted: impl Future<Output = ()>,
) -> Result<(), ProgramError> {
    let Some(Options { start, ports, seed }) = parse(arguments)? else {
        out.write_all(help().as_bytes())?;
        return Ok(());
    };
    let started = start(ports, seed).await?;
    let (url, control_url) = (started.url(), started.control_url());
    let line = json!({"vendor_url": url, "control_url": control_url, "secret": started.secret()});
    writeln!(out, "{line}")?;
    out.flush()?;
    tokio::select! {
        () = started.stopped() => {
            // The answer to the shutdown call is still on its way.
            pause(Duration::from_millis(200)).await;
        }
        () = interrupted => {}
    }
    Ok(())
}

fn help() -> String {
    let names: Vec<&str> = VENDORS.iter().map(|(name, _)| *name).collect();
    HELP.replace("VENDORS", &names.join(", "))
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Options>, ProgramError> {
    let mut arguments = arguments.into_iter();
    let usage = |text: String| Err(ProgramError::Usage(text));
    let start = match arguments.next().as_deref() {
        Some("--help" | "-h" | "help") => return Ok(None),
        Some(name) => match VENDORS.iter().find(|(known, _)| *known == name) {
            Some((_, start)) => *start,
            None => return usage(format!("unknown vendor {name:?}")),
        },
        None => return usage("no vendor named".to_owned()),
    };
    let mut options = Options { start, ports: Ports { vendor: 0, control: Some(0) }, seed: 1 };
    while let Some(name) = arguments.next() {
        if matches!(name.as_str(), "--help" | "-h") {
            return Ok(None);
        }
        if !["--port", "--control-port", "--seed"].contains(&name.as_str()) {
            return usage(format!("unknown option {name:?}"));
        }
        let Some(value) = arguments.next() else {
            return usage(format!("{name} lacks its value"));
        };
        let not_a_number = || ProgramError::Usage(format!("{name} {value:?} is not a number that fits"));
        match name.as_str() {
            "--port" => options.ports.vendor = value.parse().map_err(|_| not_a_number())?,
            "--control-port" => options.ports.control = Some(value.parse().map_err(|_| not_a_number())?),
            _ => options.seed = value.parse().map_err(|_| not_a_number())?,
        }
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn parsed(arguments: &str) -> Result<Option<Options>, ProgramError> {
        parse(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = parsed("fieldly --port 8080 --control-port 8081 --seed 9").unwrap().unwrap();
        assert_eq!((options.ports.vendor, options.ports.control), (8080, Some(8081)));
        assert_eq!(options.seed, 9);
    }

    #[test]
    fn bad_arguments_are_named() {
        for (arguments, named) in [
            ("", "no vendor"),
            ("acme", "acme"),
            ("fieldmotion --prot 1", "--prot"),
            ("fieldmotion --port", "--port"),
            ("fieldmotion --port 99999", "99999"),
        ] {
            let error = parsed(arguments).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("--help"), "{arguments}: {error}");
        }
    }

    #[tokio::test]
    async fn help_is_printed_instead_of_listening() {
        let mut out = Vec::new();
        run(["--help".to_owned()], &mut out, std::future::pending()).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("one of fieldmotion, ") && !text.contains("VENDORS"), "{text}");
    }

    #[tokio::test]
    async fn the_line_is_printed_once_listening_and_an_interrupt_ends_it() {
        for (name, _) in VENDORS {
            let mut out = Vec::new();
            run([(*name).to_owned()], &mut out, std::future::ready(())).await.unwrap();
            let line: Value = serde_json::from_slice(&out).unwrap();
            for url in ["vendor_url", "control_url"] {
                assert!(line[url].as_str().unwrap().starts_with("http://127.0.0.1:"), "{name}");
            }
            assert!(line["secret"].as_object().is_some_and(|secret| !secret.is_empty()), "{name}");
        }
    }
}
