//! `tidemark`: the operator's command line.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tidemark_aws::clock::SystemClock;
use tidemark_cli::args::Arguments;
use tidemark_cli::{ReadHidden, Setting, Terminal, exit_code, run};
use tidemark_engine::ports::Clock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Ends by itself, with code 2, where the command line is not understood.
    let arguments = Arguments::parse();
    let (stdout, stderr, stdin) = (io::stdout(), io::stderr(), io::stdin());
    let mut out = io::BufWriter::new(stdout.lock());
    let mut notes = stderr.lock();
    let terminal = Terminal::of_process(stdout.is_terminal(), stdin.is_terminal() && stderr.is_terminal());
    let hidden: Option<ReadHidden> = if terminal.can_ask { Some(rpassword::read_password) } else { None };
    let setting = Setting { terminal, now: SystemClock.now(), sdk: None, hidden };
    let ended = Box::pin(run(arguments, setting, &mut out, &mut notes, &mut stdin.lock())).await;
    let ended = ended.and_then(|well| out.flush().map(|()| well).map_err(Into::into));
    // What cannot be written to a closed terminal cannot be reported either.
    drop(out);
    ExitCode::from(exit_code(&ended, &mut notes))
}
