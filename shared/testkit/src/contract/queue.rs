//! Contract of the change queue, looked at from its receiving end.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::message::{Message, Row, Work};
use tidemark_engine::ports::{ChangeQueue, Outgoing};
use tidemark_engine::record::Body;
use tidemark_engine::stream::StreamKey;
use tidemark_engine::work::{ChunkKey, Lane};

use super::{AWKWARD, good, id, position, stamp};

/// The receiving end of a queue, as a suite needs it.
#[expect(async_fn_in_trait, reason = "static dispatch only, on one thread")]
pub trait Receiver {
    /// Receives and deletes what is visible, waiting for it a moment if nothing is.
    async fn take(&self) -> Vec<Message>;

    /// Lets so much of the queue's time pass.
    async fn elapse(&self, span: Duration);
}

/// Holds an implementation to [`ChangeQueue`]. The queue must be empty and without other receivers; `mark` tells the
/// suite's messages from stragglers of an earlier one.
pub async fn queue(port: &impl ChangeQueue, receiver: &impl Receiver, stream: &StreamKey, mark: &str) {
    assert_eq!(good(port.send(&[]).await), 0, "nothing is sent at once");
    let suite = Suite { receiver, stream, mark };

    let few: Vec<Outgoing> = (0..3).map(|seq| suite.outgoing(seq, Duration::ZERO)).collect();
    assert_eq!(good(port.send(&few).await), 3, "all were accepted");
    suite.assert_arrive(0, &few).await;

    let retry = Message::of_retry(stream, id("a#b 🦆"), mark);
    let retry = [Outgoing { message: retry, delay: Duration::ZERO }];
    assert_eq!(good(port.send(&retry).await), 1);
    suite.assert_arrive(RETRY, &retry).await;

    // More than one batch holds, in number and in size.
    let many: Vec<Outgoing> = (100..125).map(|seq| suite.outgoing(seq, Duration::ZERO)).collect();
    assert_eq!(good(port.send(&many).await), 25);
    suite.assert_arrive(100, &many).await;
    let large: Vec<Outgoing> = (200..206).map(|seq| suite.with_rows(seq)).collect();
    assert_eq!(good(port.send(&large).await), 6);
    suite.assert_arrive(200, &large).await;

    let delayed = [suite.outgoing(300, Duration::from_secs(3)), suite.outgoing(301, Duration::from_mins(15))];
    assert_eq!(good(port.send(&delayed).await), 2, "a delay may be as long as 15 minutes");
    let early = suite.take().await;
    assert!(early.iter().all(|message| number_of(message) < 300), "a delayed message is invisible at first");
    receiver.elapse(Duration::from_secs(3)).await;
    let [first, _] = delayed;
    suite.assert_arrive(300, &[first]).await;
}

/// The number of a message of the retry lane, which has none.
const RETRY: u32 = 50;

fn number_of(message: &Message) -> u32 {
    match message.work() {
        Some(Work::Chunk(key)) => key.seq,
        Some(Work::Retry) => RETRY,
        None => 0,
    }
}

struct Suite<'a, R> {
    receiver: &'a R,
    stream: &'a StreamKey,
    mark: &'a str,
}

impl<R: Receiver> Suite<'_, R> {
    fn outgoing(&self, seq: u32, delay: Duration) -> Outgoing {
        self.with(seq, delay, BTreeMap::new())
    }

    fn with(&self, seq: u32, delay: Duration, rows: BTreeMap<tidemark_engine::record::RecordId, Row>) -> Outgoing {
        let key = ChunkKey::new(self.stream.clone(), Lane::Fresh, Some(&position(-500)), 17, seq);
        let ids = AWKWARD.iter().map(|text| id(text)).collect();
        Outgoing { message: Message::of_chunk(&key, ids, rows, self.mark), delay }
    }

    /// A message of some 150 KB.
    fn with_rows(&self, seq: u32) -> Outgoing {
        let text = "ä🦆x".repeat(7_000);
        let row = |text: &str, stamped: bool| Row {
            body: Body::new(format!("{{\"text\":\"{text}\", \"exact\":1.10}}")),
            stamp: stamped.then(|| stamp(5)),
        };
        let rows = AWKWARD.iter().take(3).map(|name| (id(name), row(&text, *name != "7"))).collect();
        self.with(seq, Duration::ZERO, rows)
    }

    /// What arrives of this suite.
    async fn take(&self) -> Vec<Message> {
        self.receiver.take().await.into_iter().filter(|message| message.account_mark == self.mark).collect()
    }

    /// Receives until all of `sent`, numbered from `first`, have arrived, giving up after a while.
    async fn assert_arrive(&self, first: u32, sent: &[Outgoing]) {
        let mut arrived = BTreeMap::new();
        for _ in 0..100 {
            let messages = self.take().await.into_iter().map(|message| (number_of(&message), message));
            arrived.extend(messages.filter(|(number, _)| *number >= first));
            if arrived.len() >= sent.len() {
                break;
            }
        }
        let expected: BTreeMap<u32, Message> =
            sent.iter().map(|out| (number_of(&out.message), out.message.clone())).collect();
        assert_eq!(arrived, expected, "each arrives, exactly as it was sent");
    }
}
