//! Contract of the change queue, looked at from its receiving end.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::message::{MESSAGE_VERSION, Message, Row};
use tidemark_engine::ports::{ChangeQueue, Outgoing};
use tidemark_engine::record::Body;
use tidemark_engine::stamp::Stamp;
use tidemark_engine::stream::StreamKey;

use super::{AWKWARD, at, good, id};

/// The receiving end of a queue, as a suite needs it.
#[expect(async_fn_in_trait, reason = "static dispatch only, on one thread")]
pub trait Receiver {
    /// Receives and deletes what is visible, waiting for it a moment if nothing is.
    async fn take(&self) -> Vec<Message>;

    /// Lets so much of the queue's time pass.
    async fn elapse(&self, span: Duration);
}

/// Holds an implementation to [`ChangeQueue`]. The queue must be empty and without other receivers; `run` tells the
/// suite's messages from stragglers of an earlier one.
pub async fn queue(port: &impl ChangeQueue, receiver: &impl Receiver, stream: &StreamKey, run: &str) {
    assert_eq!(good(port.send(&[]).await), 0, "nothing is sent at once");

    let few: Vec<Outgoing> = (0..3).map(|seq| outgoing(stream, run, seq, Duration::ZERO)).collect();
    assert_eq!(good(port.send(&few).await), 3, "all were accepted");
    let arrived = collect(receiver, run, 0, 3).await;
    let sent: BTreeMap<u32, Message> = few.into_iter().map(|out| (out.message.seq, out.message)).collect();
    assert_eq!(arrived, sent, "each arrives, exactly as it was sent");

    // More than one batch holds, in number and in size.
    let many: Vec<Outgoing> = (100..125).map(|seq| outgoing(stream, run, seq, Duration::ZERO)).collect();
    assert_eq!(good(port.send(&many).await), 25);
    assert_eq!(collect(receiver, run, 100, 25).await.len(), 25);
    let large: Vec<Outgoing> = (200..206).map(|seq| with_rows(stream, run, seq)).collect();
    assert_eq!(good(port.send(&large).await), 6);
    let arrived = collect(receiver, run, 200, 6).await;
    assert!(
        large.iter().all(|out| arrived.get(&out.message.seq) == Some(&out.message)),
        "rows arrive as they were sent"
    );

    let delayed =
        [outgoing(stream, run, 300, Duration::from_secs(3)), outgoing(stream, run, 301, Duration::from_mins(15))];
    assert_eq!(good(port.send(&delayed).await), 2, "a delay may be as long as 15 minutes");
    let early: Vec<u32> = receiver.take().await.into_iter().filter(|m| m.run == run).map(|m| m.seq).collect();
    assert!(early.iter().all(|seq| *seq < 300), "a delayed message is invisible at first");
    receiver.elapse(Duration::from_secs(3)).await;
    assert_eq!(collect(receiver, run, 300, 1).await.keys().copied().collect::<Vec<_>>(), [300]);
}

fn outgoing(stream: &StreamKey, run: &str, seq: u32, delay: Duration) -> Outgoing {
    let message = Message {
        version: MESSAGE_VERSION,
        source: stream.source,
        stream: stream.name.clone(),
        run: run.to_owned(),
        seq,
        epoch: 1_767_225_600_001,
        ids: AWKWARD.iter().map(|text| id(text)).collect(),
        listed_at: at(0),
        rows: BTreeMap::new(),
        events: BTreeMap::new(),
    };
    Outgoing { message, delay }
}

/// A message of some 150 KB.
fn with_rows(stream: &StreamKey, run: &str, seq: u32) -> Outgoing {
    let mut out = outgoing(stream, run, seq, Duration::ZERO);
    let row = Row {
        body: Body::new(format!("{{\"text\":\"{}\", \"exact\":1.10}}", "ä🦆x".repeat(7_000))),
        stamp: Some(Stamp { text: "2026-01-01 00:00:00".to_owned(), at: at(0) }),
    };
    out.message.rows = AWKWARD.iter().take(3).map(|text| (id(text), row.clone())).collect();
    out.message.events = BTreeMap::from([(id("7"), Body::new("{\"status\":\"UPDATED\"}"))]);
    out
}

/// Receives until `count` different messages numbered from `first` have arrived, giving up after a while.
async fn collect(receiver: &impl Receiver, run: &str, first: u32, count: usize) -> BTreeMap<u32, Message> {
    let mut arrived = BTreeMap::new();
    for _ in 0..100 {
        let ours = receiver.take().await.into_iter().filter(|message| message.run == run && message.seq >= first);
        arrived.extend(ours.map(|message| (message.seq, message)));
        if arrived.len() >= count {
            break;
        }
    }
    arrived
}
