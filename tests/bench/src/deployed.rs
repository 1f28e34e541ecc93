//! The functions as they are shipped, on the local cloud: processor time a record, the AWS SDK included.
//!
//! The poller lists 10,000 ids at the fake FieldMotion and owes them; the fetcher gets one message a chunk, as its queue
//! would send it, and stores the records. Both run under Lambda's own runtime interface emulator, with real tables of
//! the AWS emulator; only their own processor time counts.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType as Scalar,
};
use serde_json::json;
use tidemark_aws::Sdk;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable};
use tidemark_engine::message::Message;
use tidemark_engine::ports::{Checkpoints, Ledger};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{Chunk, Lane};
use tidemark_fakes::fieldmotion::FakeFieldMotion;

use crate::function::Function;
use crate::process::figures_of;
use crate::row::{Row, at_most};
use crate::stub::FIELDMOTION_SECRET;

const RECORDS: usize = 10_000;
pub(crate) const CUSTOMERS: StreamName = StreamName::known("customers");
/// Tables by the variable that names each to a function, with partition and sort key.
const TABLES: [(&str, &str, Option<&str>); 3] =
    [("checkpoints", "stream_key", None), ("ledger", "partition", Some("item")), ("records", "partition", Some("id"))];

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let figures = figures_beside_emulator("deployed-beside").await?;
    let [cpu] = figures.as_slice() else { return Err("the child printed something else".into()) };
    Ok(vec![at_most(
        "CPU per record of the deployed functions, AWS SDK included",
        *cpu,
        0.2,
        " ms",
        "release poller and fetcher, 10,000 records fetched by id, local cloud; the functions' own processes alone",
    )])
}

/// The child, beside an empty emulator: prints the figure.
pub(crate) async fn child() -> Result<(), Box<dyn Error>> {
    let Surroundings { endpoint, sdk, queue_url, secret_arn, vendor } = Surroundings::new(RECORDS).await?;
    let settings = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("TIDEMARK_BASE_URL", vendor.url()),
        ("TIDEMARK_SECRET_ARN", &secret_arn),
        ("TIDEMARK_REQUESTS_PER_SECOND", "1000000"),
        ("TIDEMARK_QUEUE_URL", &queue_url),
    ];
    let ledger = LedgerTable::new(&sdk, "ledger");
    let stream = StreamKey { source: SourceKind::FieldMotion, name: CUSTOMERS };
    let (poller, fetcher) = (Function::start("poller", &settings)?, Function::start("fetcher", &settings)?);
    let tick = json!({"stream": CUSTOMERS.as_str()}).to_string();

    let poller = invoked(poller, vec![tick.clone()]).await?;
    let chunks = ledger.head(&stream, Lane::Fresh, usize::MAX).await?;
    let owed: usize = chunks.iter().map(|chunk| chunk.ids.len()).sum();
    if owed != RECORDS {
        return Err(format!("{owed} of {RECORDS} records are owed").into());
    }
    let checkpoint = CheckpointTable::new(&sdk, "checkpoints").load(&stream).await?.ok_or("there is no checkpoint")?;
    let events = chunks
        .iter()
        .map(|chunk| event(chunk, chunk.ids.iter().cloned().collect(), &checkpoint.account_mark))
        .collect::<Result<_, _>>()?;
    let fetcher = invoked(fetcher, events).await?;
    let poller = invoked(poller, vec![tick]).await?;
    let left = ledger.head(&stream, Lane::Fresh, 1).await?.len() + ledger.retry_entries(&stream).await?.len();
    if left > 0 {
        return Err("not all records were stored".into());
    }
    println!("{}", (poller.cpu_ms()? + fetcher.cpu_ms()?) / f64::from(u32::try_from(RECORDS)?));
    Ok(())
}

/// Invokes a function with each event in turn, beside the fake vendor that this thread serves.
pub(crate) async fn invoked(function: Function, events: Vec<String>) -> Result<Function, Box<dyn Error>> {
    let invoked = tokio::task::spawn_blocking(move || {
        for event in events {
            let answer = function.invoke(&event).map_err(|fault| fault.to_string())?;
            let is_done = answer.contains("outcome") || answer.contains("batchItemFailures");
            if !is_done || answer.contains("itemIdentifier") {
                return Err(format!("an invocation failed: {answer}"));
            }
        }
        Ok(function)
    });
    Ok(invoked.await??)
}

/// The event in which the queue brings a message about these ids of a chunk.
pub(crate) fn event(chunk: &Chunk, ids: Vec<RecordId>, account_mark: &str) -> Result<String, Box<dyn Error>> {
    let message = Message::of_chunk(&chunk.key, ids, BTreeMap::new(), account_mark);
    let record = json!({
        "messageId": chunk.key.sort_key(),
        "receiptHandle": "none",
        "body": serde_json::to_string(&message)?,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "none",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:changes",
        "awsRegion": "us-east-1",
    });
    Ok(json!({"Records": [record]}).to_string())
}

/// The figures of this program once more, as the child of this name beside an empty emulator.
pub(crate) async fn figures_beside_emulator(child: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut beside = Command::new(Path::new(".venv/bin/python"));
    beside.args(["-m", "local", "run"]).arg(std::env::current_exe()?).arg(child);
    figures_of(beside).await
}

/// What the functions find around them: the emulator with tables, a queue and a secret, and a vendor.
pub(crate) struct Surroundings {
    pub(crate) endpoint: String,
    pub(crate) sdk: Sdk,
    pub(crate) queue_url: String,
    pub(crate) secret_arn: String,
    pub(crate) vendor: FakeFieldMotion,
}

impl Surroundings {
    /// With so many customers at the vendor.
    pub(crate) async fn new(records: usize) -> Result<Self, Box<dyn Error>> {
        #[expect(clippy::disallowed_methods, reason = "the program that started the emulator sets its address")]
        let endpoint = std::env::var("TIDEMARK_LOCAL_ENDPOINT")?;
        let sdk = Sdk::local(&endpoint).await;
        let (queue_url, secret_arn) = create(&sdk).await?;
        let vendor = FakeFieldMotion::start().await?;
        vendor.seed_count(CUSTOMERS.as_str(), records)?;
        Ok(Self { endpoint, sdk, queue_url, secret_arn, vendor })
    }
}

/// Creates tables, queue and secret; where queue and secret are.
async fn create(sdk: &Sdk) -> Result<(String, String), Box<dyn Error>> {
    let dynamodb = aws_sdk_dynamodb::Client::new(sdk.config());
    for (name, partition, sort) in TABLES {
        let mut table = dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (key, kind) in [(partition, KeyType::Hash)].into_iter().chain(sort.map(|sort| (sort, KeyType::Range))) {
            table = table
                .key_schema(KeySchemaElement::builder().attribute_name(key).key_type(kind).build()?)
                .attribute_definitions(
                    AttributeDefinition::builder().attribute_name(key).attribute_type(Scalar::S).build()?,
                );
        }
        table.send().await?;
    }
    let queue = aws_sdk_sqs::Client::new(sdk.config()).create_queue().queue_name("changes").send().await?;
    let secrets = aws_sdk_secretsmanager::Client::new(sdk.config());
    let secret = secrets.create_secret().name("tidemark/fieldmotion").secret_string(FIELDMOTION_SECRET).send().await?;
    Ok((queue.queue_url.ok_or("the queue has no address")?, secret.arn.ok_or("the secret has no ARN")?))
}
