//! What every command works with: the way to AWS, the stack, and where results, notes and questions go.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use tidemark_aws::Sdk;
use tidemark_engine::clock::LocalMillis;

use crate::args::Global;
use crate::failure::Failure;
use crate::stack::Stack;
use crate::terminal::Terminal;
use crate::{ReadHidden, Setting};

/// What `make local-up` leaves while the local cloud runs.
const RUNNING: &str = ".local/running.json";

/// What every command works with.
pub(crate) struct Context<'a> {
    pub(crate) global: Global,
    pub(crate) terminal: Terminal,
    /// When the command began.
    pub(crate) now: LocalMillis,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) notes: &'a mut dyn Write,
    pub(crate) answers: &'a mut dyn BufRead,
    /// Reads a line that is not shown, where that can be.
    pub(crate) hidden: Option<ReadHidden>,
    sdk: Option<Sdk>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        global: Global,
        setting: Setting,
        out: &'a mut dyn Write,
        notes: &'a mut dyn Write,
        answers: &'a mut dyn BufRead,
    ) -> Self {
        let Setting { terminal, now, sdk, hidden } = setting;
        Self { global, terminal, now, out, notes, answers, hidden, sdk }
    }

    /// The deployed stack, if there is one.
    pub(crate) async fn stack_if_any(&mut self) -> Result<Option<Stack>, Failure> {
        let (name, is_local) = (self.global.stack.clone(), self.global.local);
        let sdk = self.sdk().await?;
        Stack::find(sdk, &name, is_local).await
    }

    /// The deployed stack.
    pub(crate) async fn stack(&mut self) -> Result<Stack, Failure> {
        if let Some(stack) = self.stack_if_any().await? {
            return Ok(stack);
        }
        let region = self.sdk().await?.config().region().map(ToString::to_string).unwrap_or_default();
        let what = format!("there is no stack called {} in the region {region}", self.global.stack);
        let next = "name it with --stack, and its region with --region; or `make deploy` it";
        Err(Failure::Unreachable(format!("{what}\nnext: {next}")))
    }

    /// The way to AWS, or to the local cloud.
    pub(crate) async fn sdk(&mut self) -> Result<&Sdk, Failure> {
        if self.sdk.is_none() {
            let sdk = if self.global.local {
                Sdk::local(&local_address()?).await
            } else {
                Sdk::of_person(self.global.profile.as_deref(), self.global.region.as_deref()).await
            };
            if sdk.config().region().is_none() {
                let next = "name it with --region, AWS_REGION or a profile; or use --local";
                return Err(Failure::Unreachable(format!("no AWS region is set\nnext: {next}")));
            }
            self.sdk = Some(sdk);
        }
        self.sdk.as_ref().ok_or_else(|| Failure::Unreachable("AWS is not set up".to_owned()))
    }

    /// Writes a result: as one JSON document when that is asked for, else as the page that `page` makes of it.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        result: &T,
        page: impl FnOnce(&T, &mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.global.json {
            let document = serde_json::to_string_pretty(result).map_err(std::io::Error::other)?;
            return Ok(writeln!(self.out, "{document}")?);
        }
        page(result, self)
    }
}

/// Where the local cloud of this folder, or of one above it, listens.
fn local_address() -> Result<String, Failure> {
    let here = std::env::current_dir()?;
    let found: Option<PathBuf> = here.ancestors().map(|folder| folder.join(RUNNING)).find(|file| file.is_file());
    let text = found.and_then(|file| std::fs::read_to_string(file).ok());
    let state: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    let port = state.as_ref().and_then(|state| state.get("port")).and_then(Value::as_u64);
    port.map(|port| format!("http://127.0.0.1:{port}")).ok_or_else(|| {
        let what = format!("no local cloud is running: {RUNNING} is not here or above");
        Failure::Unreachable(format!("{what}\nnext: start one with `make local-up`, or leave out --local"))
    })
}
