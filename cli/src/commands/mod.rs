//! One file a command.

mod account;
mod audit;
mod backfill;
mod changes;
mod checkpoint;
mod cost;
mod dead_letters;
mod doctor;
mod explain;
mod fetch;
mod init;
mod pause;
mod quarantine;
mod records;
mod shell;
mod status;
mod sweep;
mod verify;

use crate::Ended;
use crate::args::Command;
use crate::context::Context;
use crate::failure::Failure;

/// Runs a command.
pub(crate) async fn run(command: Command, mut context: Context<'_>) -> Result<Ended, Failure> {
    let context = &mut context;
    match command {
        Command::Status { place, watch: false } => status::once(context, place.as_ref()).await,
        Command::Status { place, watch: true } => status::watch(context, place.as_ref()).await,
        Command::Doctor { source } => doctor::run(context, source).await,
        Command::Explain { of, id, ask } => explain::run(context, &of, &id, ask).await,
        Command::Records { of, ids, since, deleted, format } => {
            let wanted = records::Wanted { since: since.map(|since| since.at(context.now)), deleted, format };
            records::run(context, &of, &ids, &wanted).await
        }
        Command::Changes { of, follow: true, .. } => changes::follow(context, &of).await,
        Command::Changes { of, ask: true, limit, .. } => changes::ask(context, &of, limit).await,
        Command::Changes { of, since, limit, .. } => {
            let wanted = changes::Wanted { since: since.map(|since| since.at(context.now)), limit };
            changes::once(context, &of, &wanted).await
        }
        Command::Quarantine(act) => quarantine::run(context, act).await,
        Command::DeadLetters(act) => dead_letters::run(context, act).await,
        Command::Fetch { of, ids, from_file, consent } => {
            fetch::run(context, &of, ids, from_file.as_deref(), &consent).await
        }
        Command::Checkpoint(act) => checkpoint::run(context, act).await,
        Command::Account(act) => account::run(context, act).await,
        Command::Verify { of, now, sample, consent } => verify::run(context, &of, now, sample, &consent).await,
        Command::Sweep(act) => sweep::run(context, act).await,
        Command::Backfill(asked) => backfill::run(context, asked).await,
        Command::Cost { month } => cost::run(context, month).await,
        Command::Pause { place, span, consent } => pause::pause(context, &place, span, &consent).await,
        Command::Resume { place, consent } => pause::resume(context, &place, &consent).await,
        Command::Init { source, secret, base_url, samconfig, consent } => {
            let wanted = init::Wanted { source, secret, base_url, samconfig: samconfig.as_deref() };
            init::run(context, &wanted, &consent).await
        }
        Command::Audit { limit } => audit::run(context, limit).await,
        Command::Completions { shell } => shell::completions(context, shell),
        Command::Man => shell::man(context),
        Command::Version => shell::version(context),
    }
}
