//! Completions, the man page and the version.

use clap_complete::Shell;
use serde_json::json;

use crate::Ended;
use crate::args;
use crate::context::Context;
use crate::failure::Failure;

pub(super) fn completions(context: &mut Context<'_>, shell: Shell) -> Result<Ended, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "tidemark", &mut script);
    context.out.write_all(&script)?;
    Ok(Ended::Well)
}

pub(super) fn man(context: &mut Context<'_>) -> Result<Ended, Failure> {
    clap_mangen::Man::new(args::command()).render(&mut context.out)?;
    Ok(Ended::Well)
}

pub(super) fn version(context: &mut Context<'_>) -> Result<Ended, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let result = json!({ "version": version });
    context.show(&result, |_, context| Ok(writeln!(context.out, "tidemark {version}")?))?;
    Ok(Ended::Well)
}
