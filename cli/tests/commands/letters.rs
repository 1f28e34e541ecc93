//! Dead letters.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::message::Message;
use tidemark_engine::ports::{ChangeQueue, Outgoing};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{ChunkKey, Lane, Reason};

use crate::stage::{Stage, ago, id, stream};

fn of_chunk(seq: u32, ids: &[&str]) -> Message {
    let holds = Position::At(tidemark_engine::clock::StampMillis::new(ago(600).get()));
    let key = ChunkKey::new(stream("customers"), Lane::Fresh, Some(&holds), 7, seq);
    Message::of_chunk(&key, ids.iter().map(|text| id(text)).collect(), BTreeMap::new(), "account")
}

impl Stage {
    /// One that is owed, and one that is done.
    pub(crate) async fn send_letters(&self) {
        let outgoing = [of_chunk(0, &["1"]), of_chunk(1, &["3"])];
        let outgoing = outgoing.map(|message| Outgoing { message, delay: Duration::ZERO });
        self.queue("FieldMotionDeadLetterQueueUrl").send(&outgoing).await.unwrap();
    }
}

/// One that is owed, one of the retry lane that is owed, one that is done, and one of another source.
async fn stage() -> Stage {
    let stage = Stage::fresh().await;
    stage.owe("customers", Lane::Fresh, 0, &["1", "2"]).await;
    stage.set_aside("jobs", "9", Reason::Outage, 2).await;
    let foreign = StreamKey { source: SourceKind::Fieldly, name: StreamName::known("clients") };
    let messages = [
        of_chunk(0, &["1", "2"]),
        Message::of_retry(&stream("jobs"), id("9"), "account"),
        of_chunk(1, &["3"]),
        Message::of_retry(&foreign, id("9"), "account"),
    ];
    let outgoing = messages.map(|message| Outgoing { message, delay: Duration::ZERO });
    let sent = stage.queue("FieldMotionDeadLetterQueueUrl").send(&outgoing).await.unwrap();
    assert_eq!(sent, 4);
    stage
}

#[tokio::test]
async fn dead_letters_are_listed_by_what_they_are_and_stay() {
    let stage = stage().await;
    for _ in 0..2 {
        let ran = stage.run("dead-letters list fieldmotion").await;
        assert_eq!(ran.code, 1, "{ran}");
        for said in ["2  still owed", "1  from Tidemark, and nothing", "1  not from this source", "owed     "] {
            assert!(ran.out.contains(said), "{said}: {ran}");
        }
        assert!(
            ran.out.contains("next: tidemark dead-letters redrive fieldmotion; tidemark dead-letters purge"),
            "{ran}"
        );
    }
    let ran = stage.run("dead-letters list").await;
    assert!(ran.code == 1 && ran.out.starts_with("fieldmotion\n     2  still owed"), "without a source, of all: {ran}");
    let ran = stage.run("status").await;
    assert!(ran.code == 1 && ran.out.contains("4 messages in the dead-letter queue"), "{ran}");
}

#[tokio::test]
async fn what_is_owed_is_sent_again_and_the_rest_deleted() {
    let stage = stage().await;
    let ran = stage.run("dead-letters redrive fieldmotion --yes").await;
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("2 messages sent to the fetchers")), "{ran}");
    let ran = stage.run("dead-letters list fieldmotion --json").await;
    assert!(!ran.out.contains("\"owed\"") && ran.out.contains("\"done\"") && ran.out.contains("\"foreign\""), "{ran}");
    let ran = stage.run("dead-letters purge fieldmotion --yes").await;
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("2 messages deleted")), "{ran}");
    let ran = stage.run("dead-letters list fieldmotion").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "No dead letters.\n"));
}

#[tokio::test]
async fn nothing_that_is_owed_is_purged() {
    let stage = stage().await;
    let ran = stage.run("dead-letters purge fieldmotion --yes").await;
    assert_eq!(ran.code, 0, "{ran}");
    let ran = stage.run("dead-letters list fieldmotion").await;
    assert!(ran.out.contains("2  still owed") && !ran.out.contains("from Tidemark, and"), "{ran}");
}
