//! Contract of the records: the order of versions (E8), tombstones (E9), and what the poller may see of them.

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Records, Stored, StoredVersions};
use tidemark_engine::record::{Body, DeletedBecause, Record, RecordKey, StoredVersion, Tombstone};
use tidemark_engine::stamp::Stamp;
use tidemark_engine::stream::StreamKey;

use super::{AWKWARD, at, good, id};

use Stored::{Superseded, Written};

/// Holds an implementation to [`Records`]. What is stored is looked at through `versions`, which must be strongly
/// consistent here. No record of `stream` may exist.
pub async fn records(port: &impl Records, versions: &impl StoredVersions, stream: &StreamKey) {
    let suite = Suite { port, versions, stream };
    suite.newer_stamps_win().await;
    suite.equal_stamps_go_by_fetch().await;
    suite.missing_stamps_go_by_fetch().await;
    suite.tombstones_go_by_fetch().await;
    suite.what_does_not_fit_is_said().await;
}

/// Holds an implementation to [`StoredVersions`]. No record of `stream` may exist.
pub async fn stored_versions(port: &impl Records, versions: &impl StoredVersions, stream: &StreamKey) {
    let suite = Suite { port, versions, stream };
    suite.versions_are_found().await;
}

struct Suite<'a, R, V> {
    port: &'a R,
    versions: &'a V,
    stream: &'a StreamKey,
}

/// A version as a suite writes it: stamp and fetch start in seconds.
struct Short {
    stamp: Option<i64>,
    fetched: i64,
    body: &'static str,
}

fn short(stamp: impl Into<Option<i64>>, fetched: i64, body: &'static str) -> Short {
    Short { stamp: stamp.into(), fetched, body }
}

impl<R: Records, V: StoredVersions> Suite<'_, R, V> {
    fn key(&self, text: &str) -> RecordKey {
        RecordKey { source: self.stream.source, stream: self.stream.name.clone(), id: id(text) }
    }

    async fn put(&self, text: &str, version: Short) -> Stored {
        let record = Record {
            key: self.key(text),
            body: Body::new(version.body),
            stamp: version.stamp.map(|stamp| Stamp { text: format!("stamp {stamp}"), at: at(stamp) }),
            fetched_at: at(version.fetched),
            event: None,
        };
        good(self.port.upsert(&record).await)
    }

    async fn bury(&self, text: &str, fetched: i64) -> Stored {
        let because = DeletedBecause::Vanished;
        let tombstone = Tombstone { key: self.key(text), fetched_at: at(fetched), because, event: None };
        good(self.port.tombstone(&tombstone).await)
    }

    async fn seen(&self, text: &str) -> Option<StoredVersion> {
        let key = self.key(text);
        good(self.versions.versions(std::slice::from_ref(&key)).await).remove(&key)
    }

    /// Asserts what is stored: stamp, fetch start, body, and whether it is a tombstone.
    async fn assert_stored(&self, text: &str, version: Short, deleted: bool) {
        let expected = StoredVersion {
            last_edited_at: version.stamp.map(at),
            fetched_at: at(version.fetched),
            fingerprint: (!version.body.is_empty()).then(|| Body::new(version.body).fingerprint()),
            deleted,
        };
        assert_eq!(self.seen(text).await, Some(expected), "record {text}");
    }

    async fn newer_stamps_win(&self) {
        assert_eq!(self.seen("a").await, None, "the suite needs a stream without records");
        assert_eq!(self.put("a", short(10, 100, "{\"v\":1}")).await, Written, "a first version is stored");
        assert_eq!(self.put("a", short(10, 100, "{\"v\":1}")).await, Superseded, "once");
        self.assert_stored("a", short(10, 100, "{\"v\":1}"), false).await;
        assert_eq!(self.put("a", short(9, 200, "{\"v\":0}")).await, Superseded, "an older stamp never overwrites");
        self.assert_stored("a", short(10, 100, "{\"v\":1}"), false).await;
        assert_eq!(self.put("a", short(11, 50, "{\"v\":2}")).await, Written, "a newer stamp wins, whenever fetched");
        self.assert_stored("a", short(11, 50, "{\"v\":2}"), false).await;
        for awkward in AWKWARD {
            assert_eq!(self.put(awkward, short(1, 1, "{}")).await, Written, "each id is a record of its own");
        }
    }

    async fn equal_stamps_go_by_fetch(&self) {
        assert_eq!(self.put("b", short(10, 100, "[1]")).await, Written);
        assert_eq!(self.put("b", short(10, 99, "[0]")).await, Superseded, "an equal stamp fetched earlier loses");
        assert_eq!(self.put("b", short(10, 101, "[2]")).await, Written, "an equal stamp fetched later wins");
        assert_eq!(self.put("b", short(10, 100, "[1]")).await, Superseded, "and stays");
        self.assert_stored("b", short(10, 101, "[2]"), false).await;
    }

    async fn missing_stamps_go_by_fetch(&self) {
        assert_eq!(self.put("c", short(None, 100, "[1]")).await, Written, "a version without a stamp is stored");
        assert_eq!(self.put("c", short(None, 100, "[1]")).await, Superseded, "once");
        assert_eq!(self.put("c", short(None, 99, "[0]")).await, Superseded);
        assert_eq!(self.put("c", short(5, 100, "[0]")).await, Superseded, "a stamp alone is no later fetch");
        assert_eq!(self.put("c", short(None, 101, "[2]")).await, Written);
        self.assert_stored("c", short(None, 101, "[2]"), false).await;
        assert_eq!(
            self.put("c", short(5, 102, "[3]")).await,
            Written,
            "a record without a stamp gives way to a later fetch"
        );
        self.assert_stored("c", short(5, 102, "[3]"), false).await;
        assert_eq!(self.put("c", short(None, 102, "[4]")).await, Superseded, "without a stamp it needs a later fetch");
        assert_eq!(self.put("c", short(None, 103, "[4]")).await, Written);
        self.assert_stored("c", short(5, 103, "[4]"), false).await;
        assert_eq!(self.put("c", short(4, 200, "[5]")).await, Superseded, "the stamp that was kept still guards");
        assert_eq!(self.put("c", short(5, 104, "[6]")).await, Written);
    }

    async fn tombstones_go_by_fetch(&self) {
        assert_eq!(self.put("d", short(10, 100, "[1]")).await, Written);
        assert_eq!(self.bury("d", 99).await, Superseded, "what was fetched later is not gone");
        assert_eq!(self.bury("d", 100).await, Superseded);
        assert_eq!(self.bury("d", 101).await, Written, "a tombstone needs a later fetch");
        assert_eq!(self.bury("d", 101).await, Superseded, "once");
        self.assert_stored("d", short(10, 101, "[1]"), true).await;
        assert_eq!(self.put("d", short(10, 100, "[1]")).await, Superseded, "an earlier fetch does not undo it");
        assert_eq!(self.put("d", short(10, 102, "[1]")).await, Written, "a record that came back is there again");
        self.assert_stored("d", short(10, 102, "[1]"), false).await;
        assert_eq!(self.bury("d", 103).await, Written);
        assert_eq!(self.put("d", short(12, 100, "[3]")).await, Superseded, "nor does one with a newer stamp");
        assert_eq!(self.put("d", short(11, 104, "[2]")).await, Written);
        self.assert_stored("d", short(11, 104, "[2]"), false).await;

        assert_eq!(self.bury("e", 100).await, Written, "a record that was never stored can be gone");
        self.assert_stored("e", short(None, 100, ""), true).await;
        assert_eq!(self.put("e", short(10, 99, "[0]")).await, Superseded);
        assert_eq!(self.put("e", short(10, 101, "[1]")).await, Written, "such a tombstone gives way to a later fetch");
        self.assert_stored("e", short(10, 101, "[1]"), false).await;
    }

    async fn what_does_not_fit_is_said(&self) {
        // Text that no compression brings under the store's limit.
        let mut state = 1_u64;
        let noise: String = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:016x}", state ^ (state >> 29))
        })
        .take(160_000)
        .collect();
        let large = Record {
            key: self.key("large"),
            body: Body::new(format!("\"{noise}\"")),
            stamp: None,
            fetched_at: at(1),
            event: None,
        };
        let answer = self.port.upsert(&large).await;
        assert!(matches!(answer, Err(StoreFailure::Large { .. })), "what does not fit is Large, got {answer:?}");
        assert_eq!(self.seen("large").await, None);

        let text = "z".repeat(350 * 1024);
        let long = Record { key: self.key("long"), body: Body::new(format!("\"{text}\"")), ..large };
        assert_eq!(good(self.port.upsert(&long).await), Written, "a body over 300 KB that compresses well fits");
        assert_eq!(self.seen("long").await.and_then(|seen| seen.fingerprint), Some(long.body.fingerprint()));
    }

    async fn versions_are_found(&self) {
        // More than one batch of reads takes.
        let texts: Vec<String> = (0..130).map(|number| format!("v{number}")).collect();
        for text in &texts {
            assert_eq!(self.put(text, short(10, 100, "[1]")).await, Written);
        }
        let mut keys: Vec<RecordKey> = texts.iter().map(|text| self.key(text)).collect();
        keys.push(self.key("missing"));
        let found = good(self.versions.versions(&keys).await);
        assert_eq!(found.len(), 130, "all are found, missing ones are left out");
        let fingerprint = Some(Body::new("[1]").fingerprint());
        let expected = StoredVersion { last_edited_at: Some(at(10)), fetched_at: at(100), fingerprint, deleted: false };
        assert!(found.values().all(|version| *version == expected));
        assert!(good(self.versions.versions(&[]).await).is_empty());
    }
}
