use std::time::Duration;

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName};
use secrecy::ExposeSecret;
use tidemark_aws::Sdk;
use tidemark_aws::cloudwatch::MetricSink;
use tidemark_aws::secrets::SourceSecret;
use tidemark_aws::sqs::SqsQueue;
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::message::Message;
use tidemark_engine::ports::{ChangeQueue, Credentials, Outgoing};
use tidemark_engine::stream::SourceKind;
use tidemark_testkit::contract::{self, Receiver};
use tidemark_watch::measurement::{Measurement, MeasurementName, Measurements};

use crate::cloud::{clock, emulator, id, stream, unique};

struct OwnQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl OwnQueue {
    async fn new(sdk: &Sdk) -> Self {
        let client = aws_sdk_sqs::Client::new(sdk.config());
        let made = client
            .create_queue()
            .queue_name(unique("changes"))
            .attributes(QueueAttributeName::VisibilityTimeout, "60")
            .send()
            .await
            .expect("the emulator makes queues");
        let url = made.queue_url.expect("it has an address");
        Self { client, url }
    }
}

impl Receiver for OwnQueue {
    async fn take(&self) -> Vec<Message> {
        let receive =
            self.client.receive_message().queue_url(&self.url).max_number_of_messages(10).wait_time_seconds(1);
        let messages = receive.send().await.expect("the queue answers").messages.unwrap_or_default();
        let entry = |(index, message): (usize, &aws_sdk_sqs::types::Message)| {
            let handle = message.receipt_handle().expect("it has a handle");
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle);
            entry.build().expect("it is complete")
        };
        let entries: Vec<_> = messages.iter().enumerate().map(entry).collect();
        if !entries.is_empty() {
            let delete = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            delete.send().await.expect("they are deleted");
        }
        messages
            .iter()
            .map(|message| Message::parse(message.body().expect("it has a body")).expect("it is ours"))
            .collect()
    }

    /// The emulator's time passes by itself; [`Receiver::take`] waits for it.
    async fn elapse(&self, _span: Duration) {}
}

#[tokio::test]
async fn the_contract_of_the_queue_holds() {
    let sdk = emulator().await;
    let queue = OwnQueue::new(&sdk).await;
    let port = SqsQueue::new(&sdk, &queue.url, clock());
    contract::queue(&port, &queue, &stream("customers"), &unique("account")).await;
    queue.client.delete_queue().queue_url(&queue.url).send().await.expect("the queue goes");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_denied() {
    let sdk = emulator().await;
    let queue = OwnQueue::new(&sdk).await;
    let port = SqsQueue::new(&sdk, format!("{}-gone", queue.url), clock());
    let message = Message::of_retry(&stream("jobs"), id("1"), "account");
    let outgoing = Outgoing { message, delay: Duration::ZERO };
    let answer = port.send(&[outgoing]).await;
    assert!(matches!(answer, Err(StoreFailure::Denied(..))), "{answer:?}");
    queue.client.delete_queue().queue_url(&queue.url).send().await.expect("the queue goes");
}

#[tokio::test]
async fn a_secret_is_remembered_for_an_hour_and_read_anew_when_asked() {
    let sdk = emulator().await;
    let client = aws_sdk_secretsmanager::Client::new(sdk.config());
    let name = unique("tidemark/test");
    client.create_secret().name(&name).secret_string("{\"v\":1}").send().await.expect("it is made");
    let clock = clock();
    let secret = SourceSecret::new(&sdk, &name, clock.clone());
    let seen = async || secret.secret().await.expect("it is read").expose_secret().to_owned();
    assert_eq!(seen().await, "{\"v\":1}");

    let rotate = async |value: &str| {
        client.put_secret_value().secret_id(&name).secret_string(value).send().await.expect("it is rotated");
    };
    rotate("{\"v\":2}").await;
    clock.advance(Duration::from_secs(3_599));
    assert_eq!(seen().await, "{\"v\":1}");
    clock.advance(Duration::from_secs(1));
    assert_eq!(seen().await, "{\"v\":2}");

    rotate("{\"v\":3}").await;
    assert_eq!(secret.fresh_secret().await.expect("it is read").expose_secret(), "{\"v\":3}");
    assert_eq!(seen().await, "{\"v\":3}", "what was read anew is remembered");
    client.delete_secret().secret_id(&name).force_delete_without_recovery(true).send().await.expect("it goes");
}

#[tokio::test]
async fn a_missing_or_empty_secret_is_named_in_the_failure() {
    let sdk = emulator().await;
    let name = unique("tidemark/missing");
    let failure = SourceSecret::new(&sdk, &name, clock()).secret().await.expect_err("there is none");
    assert_eq!(failure.class, FailureClass::Unauthorized);
    assert!(failure.cause.contains(&name), "{failure}");

    let client = aws_sdk_secretsmanager::Client::new(sdk.config());
    let name = unique("tidemark/empty");
    client.create_secret().name(&name).secret_string(" \n").send().await.expect("it is made");
    let failure = SourceSecret::new(&sdk, &name, clock()).secret().await.expect_err("it is empty");
    assert_eq!(failure.class, FailureClass::Unauthorized);
    assert!(failure.cause.contains(&name), "{failure}");
    client.delete_secret().secret_id(&name).force_delete_without_recovery(true).send().await.expect("it goes");
}

#[tokio::test]
async fn figures_arrive_in_the_namespace() {
    let sdk = emulator().await;
    let source = Some(SourceKind::FieldMotion);
    let figures = [
        Measurement { name: MeasurementName::Staleness, source, value: 12.5 },
        Measurement { name: MeasurementName::Heartbeat, source: None, value: 1.0 },
    ];
    MetricSink::new(&sdk, "tidemark").publish(&figures).await.expect("they are published");

    let client = aws_sdk_cloudwatch::Client::new(sdk.config());
    let listed = client.list_metrics().namespace("Tidemark").send().await.expect("they are listed");
    let found: Vec<(&str, usize)> = listed
        .metrics()
        .iter()
        .map(|metric| (metric.metric_name().unwrap_or_default(), metric.dimensions().len()))
        .collect();
    assert!(found.contains(&("StalenessSeconds", 2)) && found.contains(&("Heartbeat", 1)), "{found:?}");
}
