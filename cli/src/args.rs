//! The command line. The texts here are the help, the man page and `docs/cli.md`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_engine::work::Reason;
use tidemark_sweep::SAMPLE_MAX;

use crate::names::{Place, parse_id, parse_source};
use crate::time::{When, parse_span};

/// Looks after a Tidemark stack: how fresh the copy is, what is owed, and what to do about it.
///
/// Commands that only read change nothing. A command that changes something prints its plan and asks; --yes skips the
/// question and --dry-run ends after the plan. Every change leaves an entry that `tidemark audit` lists.
///
/// Exit codes: 0 all is well; 1 something needs attention; 2 wrong usage; 3 AWS is not reachable or refused a call.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Name of the deployed stack
    #[arg(long, global = true, env = "TIDEMARK_STACK", hide_env_values = true, default_value = "tidemark")]
    pub stack: String,
    /// AWS region of the stack [default: that of the environment or the profile]
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// Profile of your AWS configuration
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// Work on the local cloud that `make local-up` started
    #[arg(long, global = true, conflicts_with_all = ["region", "profile"])]
    pub local: bool,
    /// Print JSON: one document, or one line for each item of a stream of items
    #[arg(long, global = true)]
    pub json: bool,
}

/// How an act is agreed to.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of a change")]
pub struct Consent {
    /// Do it without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would be done, and end
    #[arg(long, alias = "plan", conflicts_with = "yes")]
    pub dry_run: bool,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// Which stream of which source.
#[derive(Args, Clone, Debug)]
pub struct StreamOf {
    /// The source, such as fieldmotion
    #[arg(value_parser = parse_source)]
    pub source: SourceKind,
    /// The stream
    pub stream: String,
}

/// A source, and perhaps a stream of it.
#[derive(Args, Clone, Debug)]
pub struct SourceAndStream {
    /// The source, such as fieldmotion
    #[arg(value_parser = parse_source)]
    pub source: SourceKind,
    /// The stream; all that are polled when it is left out
    pub stream: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how every stream stands, and what needs a person
    ///
    /// The state is `fresh`, `importing 31 %` (of what was listed so far), `behind` (something is owed, or the next poll has
    /// yet to commit it), `STALE`, `paused`, `account changed`, `refused` (by the vendor), `key rejected`, `vendor down`,
    /// `quarantine full` or `off`. The columns say how long ago a stream was listed, up to when it is committed (a feed: up
    /// to which token), and when a record of it was stored; below 80 columns there is no room for the last two. Exits with 1
    /// when something needs a person.
    Status {
        /// A source, or one of its streams as SOURCE/STREAM; all when it is left out
        #[arg(value_name = "SOURCE[/STREAM]")]
        place: Option<Place>,
        /// Draw again every few seconds, until Ctrl-C
        #[arg(long, short)]
        watch: bool,
    },
    /// Find out what is wrong with the deployment, and what to do about it
    ///
    /// Looks at the stack, its schedules, queues and alarms, and asks each source's poller to try every stream out at the
    /// vendor: whether the credential is accepted, whether the stream may be listed and a record fetched, whether the update
    /// filter is applied, and whether another setting would help. A few calls a stream, with the source's share of the rate;
    /// nothing is changed. Exits with 1 when something needs attention, with 3 when nothing does and something could not be
    /// looked at.
    Doctor {
        /// The source; all that are on when it is left out
        #[arg(value_parser = parse_source)]
        source: Option<SourceKind>,
    },
    /// Show the life of one record: what is stored, what is owed, and why it is not there
    ///
    /// Exits with 1 when the record is not stored, or its fetch failed. FieldAware's records are found under their own
    /// stream, such as jobs.
    Explain {
        /// The source and the stream that the record is kept under
        #[command(flatten)]
        of: StreamOf,
        /// The vendor's identifier
        #[arg(value_parser = parse_id)]
        id: RecordId,
        /// Ask the vendor for its present version, too: one call, by the source's poller
        #[arg(long)]
        ask: bool,
    },
    /// Print records, bodies included
    ///
    /// The only command that prints what the vendor sent. `tidemark records fieldmotion customers > customers.jsonl` is an
    /// export of a stream; it reads the stream whole, by its key.
    Records {
        /// The source and the stream that the records are kept under
        #[command(flatten)]
        of: StreamOf,
        /// Only these records
        #[arg(value_parser = parse_id, value_name = "ID")]
        ids: Vec<RecordId>,
        /// Only what was fetched since: an instant, a day, or how long ago (2h, 3d)
        #[arg(long, value_parser = When::parse, value_name = "TIME")]
        since: Option<When>,
        /// Records that are gone at the vendor, instead of those that are there
        #[arg(long)]
        deleted: bool,
        /// How they are written
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
    /// Show what was written to the records lately, without their bodies
    ///
    /// From the table's stream, which keeps a day: what was new, changed, looked at and the same, deleted or removed, the
    /// newest first. With `--ask`, what the vendor's list or feed shows now: ids and stamps, in the vendor's order.
    Changes {
        /// The source, and perhaps the stream that records are kept under
        #[command(flatten)]
        of: SourceAndStream,
        /// Only what was written since: an instant, or how long ago (10m, 2h)
        #[arg(long, value_parser = When::parse, value_name = "TIME", conflicts_with = "follow")]
        since: Option<When>,
        /// At most so many, the newest
        #[arg(long, default_value_t = 50, value_name = "COUNT", conflicts_with = "follow")]
        limit: usize,
        /// Show what is written from now on, as it comes, until Ctrl-C
        #[arg(long)]
        follow: bool,
        /// Show what the vendor lists from where the stream is listed up to: one call, by the source's poller
        #[arg(long, requires = "stream", conflicts_with_all = ["follow", "since"])]
        ask: bool,
    },
    /// List, retry or give up what could not be fetched or stored
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// List, redrive or purge messages that no fetcher could work on
    #[command(subcommand, name = "dead-letters")]
    DeadLetters(DeadLetters),
    /// Fetch records again now, through the queue
    ///
    /// The ids are written into the retry lane and sent at once. They wait for their place in the vendor's rate like all
    /// other work, and are tried again until they are stored.
    Fetch {
        /// The source and the stream that the records are kept under
        #[command(flatten)]
        of: StreamOf,
        /// The records
        #[arg(value_parser = parse_id, value_name = "ID", required_unless_present = "from_file")]
        ids: Vec<RecordId>,
        /// Read the ids from a file, one a line; - is standard input
        #[arg(long, value_name = "FILE", conflicts_with = "ids")]
        from_file: Option<PathBuf>,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// Show a checkpoint, or list again from an earlier time
    #[command(subcommand)]
    Checkpoint(Checkpoint),
    /// Decide about a changed account, key or setting
    ///
    /// A stream belongs to one account. When the base URL, the key's id or a setting that changes what is listed is another
    /// one, nothing is listed until a person decides. Putting the old ones back needs no command.
    #[command(subcommand)]
    Account(Account),
    /// See whether the copy is whole, as the last sweep found it, or compare it now
    ///
    /// A sweep compares the copy with everything that the vendor lists, each day as a rule. Exits with 1 when a copy is not
    /// whole, or was never compared.
    Verify {
        /// Where
        #[command(flatten)]
        of: SourceAndStream,
        /// Begin a sweep once nothing is owed in the bulk lane
        #[arg(long)]
        now: bool,
        /// How many records that sweep fetches and compares where lists give ids alone
        #[arg(long, requires = "now", value_parser = clap::value_parser!(u64).range(1..=SAMPLE_MAX), value_name = "COUNT")]
        sample: Option<u64>,
        /// How a sweep is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// Approve what a sweep withheld
    #[command(subcommand)]
    Sweep(Sweep),
    /// List a range of time again and fetch what it shows, beside all other work
    ///
    /// For records that a fault has left out, or that are to be fetched again, as after a setting that adds fields. It goes
    /// to the bulk lane, which fresh changes never wait for, marks nothing deleted, and leaves the checkpoint where it is.
    /// The plan asks the vendor once how much it is. `tidemark fetch` fetches records by their ids.
    Backfill(Backfill),
    /// Show what the stack costs in AWS
    ///
    /// By the month what it costs by being there; with `--month` also what the last 30 days have used, as CloudWatch has
    /// counted it, at less than a cent for the question.
    Cost {
        /// What the last 30 days have used, too
        #[arg(long)]
        month: bool,
    },
    /// Set a source up: keep its credential, and say how it is turned on
    ///
    /// Asks for the credential without showing it, keeps it in a secret of Secrets Manager, and prints the parameters that
    /// turn the source on, or writes them into samconfig.toml. Without a terminal the values are read from standard input,
    /// one a line. Where the source is on with this secret, `tidemark doctor` tries it at once.
    Init {
        /// The source, such as fieldmotion
        #[arg(value_parser = parse_source)]
        source: SourceKind,
        /// Name of the secret [default: STACK/SOURCE]
        #[arg(long, value_name = "NAME")]
        secret: Option<String>,
        /// Address of the vendor's API, where it is not the usual one
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// Write the parameters into this file instead of printing them
        #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "samconfig.toml")]
        samconfig: Option<PathBuf>,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// Stop calls to a vendor without a deployment
    ///
    /// Nothing is lost: what changes meanwhile is listed afterwards. A pause keeps the stale alarm silent for a day.
    Pause {
        /// A source, or one of its streams as SOURCE/STREAM
        #[arg(value_name = "SOURCE[/STREAM]")]
        place: Place,
        /// For how long, such as 2h; without it, until `tidemark resume`
        #[arg(long = "for", value_parser = parse_span, value_name = "SPAN")]
        span: Option<Duration>,
        /// How it is agreed to; --why is needed
        #[command(flatten)]
        consent: Consent,
    },
    /// Start calls to a vendor again, also after failures
    Resume {
        /// A source, or one of its streams as SOURCE/STREAM
        #[arg(value_name = "SOURCE[/STREAM]")]
        place: Place,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// List what operators did, newest first
    ///
    /// Entries are kept for a year.
    Audit {
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT")]
        limit: usize,
    },
    /// Print the completions of a shell
    ///
    /// For bash: `tidemark completions bash > ~/.local/share/bash-completion/completions/tidemark`, in a folder that may have
    /// to be made first.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, in roff
    Man,
    /// Print the version
    Version,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line, the body as the vendor sent it
    Jsonl,
    /// Comma-separated values, the body as JSON text
    Csv,
}

/// Which entries of the quarantine.
#[derive(Args, Clone, Debug)]
pub struct Entries {
    /// Where
    #[command(flatten)]
    pub of: SourceAndStream,
    /// Only these ids
    #[arg(value_parser = parse_id, value_name = "ID")]
    pub ids: Vec<RecordId>,
    /// Only those for this reason: outage, record, unstorable, crash, `seems_gone` or asked
    #[arg(long, value_parser = parse_reason, value_name = "REASON")]
    pub reason: Option<Reason>,
}

/// Which entries of the quarantine are listed.
#[derive(Args, Clone, Debug)]
pub struct Listed {
    /// The source; all that are on when it is left out
    #[arg(value_parser = parse_source)]
    pub source: Option<SourceKind>,
    /// The stream; all that are polled when it is left out
    pub stream: Option<String>,
    /// Only these ids
    #[arg(value_parser = parse_id, value_name = "ID")]
    pub ids: Vec<RecordId>,
    /// Only those for this reason: outage, record, unstorable, crash, `seems_gone` or asked
    #[arg(long, value_parser = parse_reason, value_name = "REASON")]
    pub reason: Option<Reason>,
}

/// List, retry or give up what could not be fetched or stored.
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List what is in quarantine, by reason
    List(Listed),
    /// Try entries again at the next poll, whenever they were due
    Retry {
        /// Which
        #[command(flatten)]
        entries: Entries,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// Give records up: they are missing from the copy until they are edited again
    Drop {
        /// Which
        #[command(flatten)]
        entries: Entries,
        /// How it is agreed to; --why is needed
        #[command(flatten)]
        consent: Consent,
    },
}

/// List, redrive or purge messages that no fetcher could work on.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List what lies in the dead-letter queue: still owed, done, or not from Tidemark
    ///
    /// The messages are taken and put back, because a queue cannot be read otherwise.
    List {
        /// The source; all that are on when it is left out
        #[arg(value_parser = parse_source)]
        source: Option<SourceKind>,
    },
    /// Send what is still owed to the fetchers again
    Redrive {
        /// The source
        #[arg(value_parser = parse_source)]
        source: SourceKind,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// Delete what is done, and what is not from Tidemark; what is still owed stays
    Purge {
        /// The source
        #[arg(value_parser = parse_source)]
        source: SourceKind,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
}

/// Show a checkpoint, or list again from an earlier time.
#[derive(Debug, Subcommand)]
pub enum Checkpoint {
    /// Show how far a stream got
    Show(StreamOf),
    /// List everything since a time again
    ///
    /// The poller does it, in its next polls. What is stored stays, and what did not change costs a call at most.
    Rewind {
        /// Which stream
        #[command(flatten)]
        of: StreamOf,
        /// Since when: an instant, a day, or how long ago (2h, 3d)
        #[arg(long, value_parser = When::parse, value_name = "TIME")]
        to: When,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
}

/// Approve what a sweep withheld.
#[derive(Debug, Subcommand)]
pub enum Sweep {
    /// Have the records fetched that the last one withheld, because too many of them were not listed
    ///
    /// Each one that the vendor says is gone becomes a tombstone. Look at the vendor before.
    Approve {
        /// Which stream
        #[command(flatten)]
        of: StreamOf,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
}

/// List a range again, or see to what was asked for.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backfill {
    /// What else.
    #[command(subcommand)]
    pub act: Option<BackfillAct>,
    /// The source
    #[arg(value_parser = parse_source, required = true)]
    pub source: Option<SourceKind>,
    /// The stream
    #[arg(required = true)]
    pub stream: Option<String>,
    /// Since when: an instant, a day, or how long ago (2h, 3d)
    #[arg(long, value_parser = When::parse, value_name = "TIME", required = true)]
    pub from: Option<When>,
    /// Until when; for streams whose list shows stamps
    #[arg(long, value_parser = When::parse, value_name = "TIME")]
    pub to: Option<When>,
    /// How it is agreed to
    #[command(flatten)]
    pub consent: Consent,
}

/// See to what was asked for.
#[derive(Debug, Subcommand)]
pub enum BackfillAct {
    /// List the newest backfill of each stream
    List {
        /// The source; all that are on when it is left out
        #[arg(value_parser = parse_source)]
        source: Option<SourceKind>,
    },
    /// End a backfill that waits or is under way; what it has put into the bulk lane is fetched
    Cancel {
        /// Which stream
        #[command(flatten)]
        of: StreamOf,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
}

/// Decide about a changed account, key or setting.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// It is the same account: keep the copy, and go on
    Keep {
        /// Where
        #[command(flatten)]
        of: SourceAndStream,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
    /// It is another account: import everything from the beginning
    ///
    /// Records of the old account stay in the table until you delete them.
    StartAgain {
        /// Where
        #[command(flatten)]
        of: SourceAndStream,
        /// How it is agreed to
        #[command(flatten)]
        consent: Consent,
    },
}

fn parse_reason(text: &str) -> Result<Reason, String> {
    let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    text.parse().map_err(|_| format!("name one of {}", known.join(", ")))
}

/// The command line as clap knows it, for completions, the man page and the reference page.
pub fn command() -> clap::Command {
    Arguments::command()
}
