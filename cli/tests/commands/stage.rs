//! A stack of a test's own in the emulator, its tables filled through the adapters, and commands run on it at one instant.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, Parameter, StackStatus};
use clap::Parser;
use serde_json::Value;
use tidemark_aws::Sdk;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, RecordTable};
use tidemark_aws::sqs::SqsQueue;
use tidemark_aws::stack::{self, Deployed};
use tidemark_cli::args::Arguments;
use tidemark_cli::{Setting, Terminal, exit_code, run};
use tidemark_engine::checkpoint::{Checkpoint, Clocks};
use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Checkpoints, Ledger, Records, Written};
use tidemark_engine::position::Position;
use tidemark_engine::record::{Body, Look, RecordId, RecordKey, Seen};
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName, StreamTraits};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Reason, RetryEntry, Told};
use tidemark_sweep::ports::Sweeps;
use tidemark_sweep::state::{Backfill, Problem, Proof, Range, SweepState};

/// When every command runs: 2026-02-24 10:31:48Z.
pub(crate) const NOW: LocalMillis = LocalMillis::new(1_771_929_108_000);

pub(crate) fn ago(seconds: u64) -> LocalMillis {
    NOW.minus(Duration::from_secs(seconds))
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

pub(crate) fn stream(name: &'static str) -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known(name) }
}

fn position(at: LocalMillis) -> Position {
    Position::At(StampMillis::new(at.get()))
}

/// A stack, and the adapters of its tables and queues.
pub(crate) struct Stage {
    name: String,
    sdk: Sdk,
    deployed: Deployed,
    pub(crate) checkpoints: CheckpointTable,
    pub(crate) ledger: LedgerTable,
    records: RecordTable<SystemClock>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) notes: String,
    pub(crate) code: u8,
}

/// For snapshots: the exit code, what was printed, and the notes where there are any.
impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}", self.code, self.out)?;
        if self.notes.is_empty() { Ok(()) } else { write!(f, "--- notes\n{}", self.notes) }
    }
}

pub(crate) async fn emulator() -> (String, Sdk) {
    let endpoint = said("TIDEMARK_LOCAL_ENDPOINT");
    let sdk = Sdk::local(&endpoint).await;
    (endpoint, sdk)
}

/// What the one who started the emulator says of it.
fn said(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "where the emulator is, is said by whoever started it")]
    let value = std::env::var(name);
    value.unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs the local AWS emulator; run it through `make test`")
    })
}

/// The template, in which the documented policies are about this stack.
fn template(name: &str) -> String {
    let policy = |text: &str| {
        let one_line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        one_line
            .replace("tidemark-", &format!("{name}-"))
            .replace("stack/tidemark/", &format!("stack/{name}/"))
            .replace("secret:tidemark/", &format!("secret:{name}/"))
    };
    include_str!("stack.yaml")
        .replace("READ_POLICY", &policy(include_str!("../../policies/read.json")))
        .replace("OPERATE_POLICY", &policy(include_str!("../../policies/operate.json")))
}

impl Stage {
    pub(crate) async fn new(parameters: &[(&str, &str)]) -> Self {
        let (_, sdk) = emulator().await;
        let name = format!("cli-{:016x}", fastrand::u64(..));
        let client = aws_sdk_cloudformation::Client::new(sdk.config());
        let given = parameters
            .iter()
            .map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(*value).build())
            .collect();
        let create = client.create_stack().stack_name(&name).template_body(template(&name));
        let create = create.capabilities(Capability::CapabilityIam);
        create.set_parameters(Some(given)).send().await.expect("the emulator makes stacks");
        let deployed = loop {
            let deployed = stack::describe(&sdk, &name).await.unwrap().expect("it was made");
            match deployed.status.as_str() {
                status if status == StackStatus::CreateComplete.as_str() => break deployed,
                status if status == StackStatus::CreateInProgress.as_str() => {}
                status => panic!("the stack is {status}"),
            }
            tokio::task::yield_now().await;
        };
        let table = |output: &str| deployed.outputs[output].clone();
        Self {
            checkpoints: CheckpointTable::new(&sdk, table("CheckpointsTable")),
            ledger: LedgerTable::new(&sdk, table("LedgerTable")),
            records: RecordTable::new(&sdk, table("RecordsTable"), SystemClock),
            name,
            sdk,
            deployed,
        }
    }

    /// A stack whose streams are in order.
    pub(crate) async fn fresh() -> Self {
        Self::fresh_with(&[]).await
    }

    /// The same with these parameters.
    pub(crate) async fn fresh_with(parameters: &[(&str, &str)]) -> Self {
        let stage = Self::new(parameters).await;
        stage.checkpoint("customers", |_| {}).await;
        stage.checkpoint("jobs", |_| {}).await;
        stage
    }

    /// The stack's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn queue(&self, output: &str) -> SqsQueue<SystemClock> {
        SqsQueue::new(&self.sdk, self.deployed.outputs[output].as_str(), SystemClock)
    }

    /// Creates the checkpoint of a stream that was listed 41 seconds ago.
    pub(crate) async fn checkpoint(&self, name: &'static str, change: impl FnOnce(&mut Checkpoint)) {
        let key = stream(name);
        let traits = StreamTraits {
            name: key.name.clone(),
            shape: ListShape::Whole,
            stamped: true,
            filtered: true,
            first: position(LocalMillis::new(0)),
        };
        let first = Checkpoint::first(key.clone(), &traits, "account".to_owned());
        let clocks = Clocks { gap_ms: Some(-1_500), behind: Duration::from_secs(5), ..first.clocks };
        let mut state = Checkpoint {
            version: 7,
            scanned: position(ago(46)),
            committed: position(ago(46)),
            last_success_at: Some(ago(41)),
            clocks,
            ..first
        };
        change(&mut state);
        self.checkpoints.create(&state).await.unwrap();
        self.ledger.note_stored(&key, ago(180), &Lateness::default()).await.unwrap();
    }

    /// Notes that of a hundred changes these many showed a minute late, and the others at once.
    pub(crate) async fn late(&self, name: &'static str, count: u64) {
        let counts = Lateness([100 - count, 0, 0, 0, 0, count, 0, 0]);
        self.ledger.note_stored(&stream(name), ago(170), &counts).await.unwrap();
    }

    /// Owes ids.
    pub(crate) async fn owe(&self, name: &'static str, lane: Lane, seq: u32, ids: &[&str]) {
        let chunk = Chunk {
            key: ChunkKey::new(stream(name), lane, Some(&position(ago(600))), 7, seq),
            holds: Some(position(ago(600))),
            ids: ids.iter().map(|text| id(text)).collect(),
            listed_at: ago(300),
            next_at: NOW.plus(Duration::from_mins(2)),
            told: Told::Ids,
            trying: None,
        };
        self.ledger.put_chunks(&[chunk]).await.unwrap();
    }

    /// Puts an id into quarantine.
    pub(crate) async fn set_aside(&self, name: &'static str, text: &str, reason: Reason, attempts: u32) {
        let cause = match reason {
            Reason::Outage => "503 from GetCustomer".to_owned(),
            _ => "the answer has no id".to_owned(),
        };
        let entry = RetryEntry {
            stream: stream(name),
            id: id(text),
            reason,
            cause,
            since: ago(7_200),
            holds: Some(position(ago(7_300))),
            listed_at: ago(600),
            attempts,
            next_at: NOW.plus(Duration::from_mins(12)),
        };
        self.ledger.set_aside(&entry).await.unwrap();
    }

    /// Lets a sweep have ended an hour ago that withheld so many records.
    pub(crate) async fn sweep(&self, name: &'static str, withheld: u64) {
        let before = self.ledger.load_sweep(&stream(name)).await.unwrap().unwrap_or_default();
        let vendor_at = |seconds| VendorMillis::new(ago(seconds).get());
        let proof = Proof {
            begun_at: ago(3_600),
            started_at: vendor_at(3_600),
            ended_at: Some(vendor_at(3_500)),
            listed: 300,
            stored: 321,
            deleted: 4,
            missing: 2,
            extra: withheld,
            withheld,
            sampled: 20,
            calls: 21,
            ..Proof::default()
        };
        let problem = (withheld > 0).then(|| Problem {
            cause: format!("{withheld} of 321 stored records are not listed"),
            next_step: "look at the vendor".to_owned(),
        });
        let good = Some(proof.clone()).filter(Proof::is_good).or(before.good);
        let next =
            SweepState { version: before.version + 1, last: Some(proof), good, problem, ..SweepState::default() };
        assert_eq!(self.ledger.store_sweep(&stream(name), &next).await.unwrap(), Written::Applied);
    }

    /// Lets a backfill of the last three days have been asked for an hour ago.
    pub(crate) async fn backfill(&self, name: &'static str, change: impl FnOnce(&mut Backfill)) {
        let before = self.ledger.load_sweep(&stream(name)).await.unwrap().unwrap_or_default();
        let mut backfill = Backfill {
            range: Range { from: VendorMillis::new(ago(3 * 86_400).get()), to: None },
            asked_at: ago(3_600),
            begun_at: None,
            ended_at: None,
            listed: 0,
            owed: 0,
            calls: 0,
            is_cancelled: false,
            problem: None,
        };
        change(&mut backfill);
        let next = SweepState { version: before.version + 1, backfill: Some(backfill), ..before };
        assert_eq!(self.ledger.store_sweep(&stream(name), &next).await.unwrap(), Written::Applied);
    }

    /// Stores a record.
    pub(crate) async fn store(&self, name: &'static str, text: &str, body: &str) {
        let stamp = Stamp {
            text: "2026-02-24 10:00:00".to_owned(),
            at: StampMillis::new(1_771_927_200_000),
            utc: VendorMillis::new(1_771_927_200_000),
        };
        self.look(name, text, Seen::Record { body: Body::new(body), stamp: Some(stamp), seen_at: None }, 1_800).await;
    }

    pub(crate) async fn look(&self, name: &'static str, text: &str, seen: Seen, seconds_ago: u64) {
        let key = RecordKey { source: SourceKind::FieldMotion, stream: StreamName::known(name), id: id(text) };
        let look = Look { key, looked_at: ago(seconds_ago), seen, event: None, is_stored: false };
        self.records.store(&[look]).await.unwrap();
    }

    /// In a role: of the `Stranger`, who may describe the stack and nothing else, of the `Reader` or the `Operator`, who have
    /// the policies that the documentation shows.
    pub(crate) async fn role(&self, name: &str) -> Sdk {
        let (endpoint, sdk) = emulator().await;
        let sts = aws_sdk_sts::Client::new(sdk.config());
        let assume = sts.assume_role().role_arn(&self.deployed.outputs[name]).role_session_name("test");
        let taken = assume.send().await.expect("anybody may take the role").credentials.expect("it has credentials");
        Sdk::local_as(&endpoint, &taken.access_key_id, &taken.secret_access_key, Some(&taken.session_token)).await
    }

    /// The grants that a role made use of so far: statements of its policies, each with an action.
    pub(crate) fn used(&self, role: &str) -> BTreeSet<(String, String)> {
        let (_, role) = self.deployed.outputs[role].rsplit_once('/').unwrap();
        let calls = std::fs::read_to_string(said("TIDEMARK_LOCAL_CALLS")).unwrap();
        let calls = calls.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let allowed = calls.filter(|call| call["role"] == role && call["statement"].is_string());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        allowed.map(|call| (text(&call["statement"]), text(&call["action"]))).collect()
    }

    /// Runs a command where nobody can be asked.
    pub(crate) async fn run(&self, arguments: &str) -> Ran {
        let (_, sdk) = emulator().await;
        self.run_as(sdk, Terminal::none(), arguments, "").await
    }

    /// Runs a command at a terminal where a person gives this answer.
    pub(crate) async fn answer(&self, arguments: &str, answer: &str) -> Ran {
        let (_, sdk) = emulator().await;
        self.run_as(sdk, Terminal { can_ask: true, ..Terminal::none() }, arguments, answer).await
    }

    pub(crate) async fn run_as(&self, sdk: Sdk, terminal: Terminal, arguments: &str, answer: &str) -> Ran {
        // A word in quotes may have spaces.
        let words = arguments.split('\'').enumerate().flat_map(|(at, part)| -> Vec<String> {
            if at % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
        });
        let line = ["tidemark", "--stack", &self.name].map(str::to_owned).into_iter().chain(words);
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let code = match Arguments::try_parse_from(line) {
            Ok(arguments) => {
                let setting = Setting { terminal, now: NOW, sdk: Some(sdk), hidden: None };
                let mut answers = Cursor::new(answer.as_bytes().to_vec());
                let ended = Box::pin(run(arguments, setting, &mut out, &mut notes, &mut answers)).await;
                exit_code(&ended, &mut notes)
            }
            Err(wrong) => {
                notes.extend(wrong.to_string().into_bytes());
                u8::try_from(wrong.exit_code()).unwrap()
            }
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&self.name, "tidemark");
        Ran { out: text(out), notes: text(notes), code }
    }
}
