//! Contract of the records: R1, and what is known of stored versions.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tidemark_engine::clock::Stamp;
use tidemark_engine::ports::{Records, Stored, StoredVersions};
use tidemark_engine::record::{Body, DeletedBecause, Look, RecordId, RecordKey, Seen, StoredVersion};
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_sweep::ports::{Slice, StoredSlices};

use super::{AWKWARD, at, good, id, longest_id, stamp, vendor_at};

use Stored::{Superseded, Written};

/// How many looks a batch of the suite has: more than one batch of writes takes.
const BATCH: usize = 60;

/// Holds an implementation to [`Records`]. What is stored is looked at through `versions`, which must be strongly
/// consistent here. No record of `stream` may exist.
pub async fn records(port: &impl Records, versions: &impl StoredVersions, stream: &StreamKey) {
    let suite = Suite { port, versions, stream };
    assert_eq!(good(port.store(&[]).await), [], "nothing is stored at once");
    suite.later_looks_win().await;
    suite.stamps_decide_nothing().await;
    suite.tombstones_keep_what_was_seen().await;
    suite.unseen_records_can_be_gone().await;
    suite.hints_may_be_wrong().await;
    suite.ids_are_kept_as_they_are().await;
    suite.batches_are_mixed().await;
    suite.the_latest_of_several_at_once_wins().await;
    suite.what_does_not_fit_is_said().await;
}

/// Holds an implementation to [`StoredVersions`] and [`StoredSlices`]. No record of `stream` may exist.
pub async fn stored_versions(port: &impl Records, versions: &(impl StoredVersions + StoredSlices), stream: &StreamKey) {
    let suite = Suite { port, versions, stream };
    suite.versions_are_found().await;
    suite.slices_follow_each_other().await;
}

struct Suite<'a, R, V> {
    port: &'a R,
    versions: &'a V,
    stream: &'a StreamKey,
}

impl<R: Records, V: StoredVersions + StoredSlices> Suite<'_, R, V> {
    async fn slices_follow_each_other(&self) {
        let name = good(StreamName::parse("sliced"));
        let sliced = StreamKey { name: name.clone(), ..self.stream.clone() };
        let slice = async |after: Option<RecordId>| good(self.versions.slice(&sliced, after.as_ref()).await);
        assert_eq!(slice(None).await, Slice::default(), "the suite needs a stream without records");
        let texts: Vec<String> =
            (0..BATCH).map(|number| format!("s{number}")).chain(AWKWARD.map(str::to_owned)).collect();
        let mut looks: Vec<Look> = texts.iter().map(|text| self.look(text, 100, Some(10), "[1]")).collect();
        for look in &mut looks {
            look.key.stream = name.clone();
        }
        looks.extend(looks.first().map(|look| Look {
            seen: Seen::Gone(DeletedBecause::Vanished),
            looked_at: at(200),
            ..look.clone()
        }));
        for look in &looks {
            good(self.port.store(std::slice::from_ref(look)).await);
        }
        let mut found: Vec<(RecordId, StoredVersion)> = Vec::new();
        loop {
            let next = slice(found.last().map(|(id, _)| id.clone())).await;
            assert!(!next.more || !next.found.is_empty(), "a slice leads on while more follow");
            found.extend(next.found);
            if !next.more {
                break;
            }
        }
        let ids: Vec<&RecordId> = found.iter().map(|(id, _)| id).collect();
        let mut expected: Vec<RecordId> = texts.iter().map(|text| id(text)).collect();
        expected.sort();
        assert_eq!(ids, expected.iter().collect::<Vec<_>>(), "every record comes once, in the order of the ids' bytes");
        let keys =
            expected.iter().map(|id| RecordKey { source: self.stream.source, stream: name.clone(), id: id.clone() });
        let by_key = good(self.versions.versions(&keys.collect::<Vec<_>>()).await);
        let by_id: Vec<(RecordId, StoredVersion)> =
            by_key.into_iter().map(|(key, version)| (key.id, version)).collect();
        assert_eq!(found, by_id, "and it is what a look at its key shows");
        assert_eq!(found.iter().filter(|(_, version)| version.deleted).count(), 1);
        assert_eq!(slice(expected.last().cloned()).await, Slice::default(), "behind the last there is none");
    }
}

impl<R: Records, V: StoredVersions> Suite<'_, R, V> {
    fn key(&self, text: &str) -> RecordKey {
        RecordKey { source: self.stream.source, stream: self.stream.name.clone(), id: id(text) }
    }

    /// A look begun `looked` seconds after the suite's start, at a record stamped `stamped`.
    fn look(&self, text: &str, looked: i64, stamped: Option<i64>, body: &str) -> Look {
        let seen_at = Some(vendor_at(looked.saturating_add(2)));
        let seen = Seen::Record { body: Body::new(body), stamp: stamped.map(stamp), seen_at };
        Look { key: self.key(text), looked_at: at(looked), seen, event: None, is_stored: false }
    }

    fn gone(&self, text: &str, looked: i64) -> Look {
        let seen = Seen::Gone(DeletedBecause::Vanished);
        Look { seen, ..self.look(text, looked, None, "") }
    }

    /// Stores one look, twice: with the hint that is right and with the wrong one.
    async fn store(&self, look: &Look, expected: Stored, why: &str) {
        let is_stored = self.seen(&look.key).await.is_some();
        let look = Look { is_stored, ..look.clone() };
        assert_eq!(good(self.port.store(std::slice::from_ref(&look)).await), [expected], "{why}");
        let again = Look { is_stored: !is_stored, ..look };
        let once_more = good(self.port.store(&[again]).await);
        assert_eq!(once_more, [Superseded], "the same look once more is as good as stored: {why}");
    }

    async fn seen(&self, key: &RecordKey) -> Option<StoredVersion> {
        good(self.versions.versions(std::slice::from_ref(key)).await).remove(key)
    }

    /// Asserts that what is stored is this look.
    async fn assert_is(&self, look: &Look) {
        assert_eq!(self.seen(&look.key).await, Some(version_of(look, None)), "record {}", look.key);
    }

    /// Asserts that what is stored is a tombstone begun so many seconds after the start, of what `before` showed.
    async fn assert_gone(&self, gone: &Look, before: Option<&Look>) {
        let before = before.map(|before| version_of(before, None));
        assert_eq!(self.seen(&gone.key).await, Some(version_of(gone, before)), "tombstone {}", gone.key);
    }

    async fn later_looks_win(&self) {
        let first = self.look("a", 100, Some(10), "{\"v\":1, \"exact\":1.10}");
        assert_eq!(self.seen(&first.key).await, None, "the suite needs a stream without records");
        self.store(&first, Written, "a first look is stored").await;
        self.assert_is(&first).await;
        self.store(&self.look("a", 99, Some(10), "{\"v\":0}"), Superseded, "an earlier look never replaces").await;
        self.store(&self.look("a", 100, Some(10), "{\"v\":2}"), Superseded, "nor one begun at the same time").await;
        self.assert_is(&first).await;
        let later = self.look("a", 101, Some(11), "{\"v\":2}");
        self.store(&later, Written, "a later look replaces").await;
        self.store(&first, Superseded, "a late repeat of an earlier one does not").await;
        self.assert_is(&later).await;
        let rows = Look { seen: unseen_clock(&later.seen), looked_at: at(102), ..later };
        self.store(&rows, Written, "also with the same body").await;
        self.assert_is(&rows).await;
    }

    async fn stamps_decide_nothing(&self) {
        self.store(&self.look("b", 100, Some(50), "[1]"), Written, "stamped").await;
        self.store(&self.look("b", 99, Some(60), "[2]"), Superseded, "a newer stamp is no later look").await;
        let older = self.look("b", 101, Some(40), "[3]");
        self.store(&older, Written, "an older stamp does not hinder a later look").await;
        self.assert_is(&older).await;
        let none = self.look("b", 102, None, "[4]");
        self.store(&none, Written, "nor does a missing one").await;
        self.assert_is(&none).await;
        let again = self.look("b", 103, Some(-40), "[5]");
        self.store(&again, Written, "nor one where there was none").await;
        self.assert_is(&again).await;
    }

    async fn tombstones_keep_what_was_seen(&self) {
        let first = Look { event: Some(Body::new("{\"e\":1}")), ..self.look("d", 100, Some(10), "[1]") };
        self.store(&first, Written, "with an event").await;
        self.store(&self.gone("d", 99), Superseded, "what was looked at later is not gone").await;
        self.store(&self.gone("d", 100), Superseded, "nor what was looked at then").await;
        self.assert_is(&first).await;
        let gone = self.gone("d", 101);
        self.store(&gone, Written, "a later look that says gone is a tombstone").await;
        self.assert_gone(&gone, Some(&first)).await;
        let announced = Look {
            seen: Seen::Gone(DeletedBecause::Announced),
            event: Some(Body::new("{\"e\":2}")),
            ..self.gone("d", 102)
        };
        self.store(&announced, Written, "and so is a second one").await;
        self.assert_gone(&announced, Some(&first)).await;
        self.store(&self.look("d", 101, Some(12), "[2]"), Superseded, "an earlier look does not undo it").await;
        let back = self.look("d", 103, Some(9), "[3]");
        self.store(&back, Written, "a record that came back is there again").await;
        self.assert_is(&back).await;
        let gone = self.gone("d", 104);
        self.store(&gone, Written, "and can go again").await;
        self.assert_gone(&gone, Some(&back)).await;
    }

    async fn unseen_records_can_be_gone(&self) {
        let gone = self.gone("e", 100);
        self.store(&gone, Written, "a record that was never stored can be gone").await;
        self.assert_gone(&gone, None).await;
        self.store(&self.look("e", 99, Some(10), "[0]"), Superseded, "an earlier look does not undo it").await;
        let back = self.look("e", 101, None, "[1]");
        self.store(&back, Written, "a later one does").await;
        self.assert_is(&back).await;
    }

    async fn hints_may_be_wrong(&self) {
        let hinted = |look: Look, is_stored| Look { is_stored, ..look };
        for (number, (first_hint, second_hint)) in [(true, false), (true, true), (false, false)].into_iter().enumerate()
        {
            let text = format!("hint-{number}");
            let first = hinted(self.look(&text, 100, Some(10), "[1]"), first_hint);
            let second = hinted(self.look(&text, 101, Some(11), "[2]"), second_hint);
            let gone = hinted(self.gone(&text, 102), first_hint);
            for look in [&first, &second, &gone] {
                assert_eq!(good(self.port.store(std::slice::from_ref(look)).await), [Written], "whatever the hint");
                assert_eq!(good(self.port.store(std::slice::from_ref(look)).await), [Superseded]);
            }
            self.assert_gone(&gone, Some(&second)).await;
            for late in [first, second] {
                assert_eq!(good(self.port.store(&[late]).await), [Superseded], "a hint replaces no later look");
            }
        }
    }

    async fn ids_are_kept_as_they_are(&self) {
        let longest = longest_id(0);
        let looks: Vec<Look> = AWKWARD
            .iter()
            .copied()
            .chain([longest.as_str()])
            .enumerate()
            .map(|(number, text)| self.look(text, 100, None, &format!("[{number}]")))
            .collect();
        assert!(good(self.port.store(&looks).await).iter().all(|stored| *stored == Written), "each id is a record");
        for look in &looks {
            self.assert_is(look).await;
        }
        let name = good(StreamName::parse("never_stored"));
        let elsewhere = RecordKey { stream: name, ..self.key("7") };
        assert_eq!(self.seen(&elsewhere).await, None, "of its own stream alone");
    }

    async fn batches_are_mixed(&self) {
        let text = |number: usize| format!("batch-{number}");
        let stored: Vec<Look> =
            (0..BATCH).step_by(2).map(|number| self.look(&text(number), 100, Some(10), "[1]")).collect();
        assert!(good(self.port.store(&stored).await).iter().all(|stored| *stored == Written));

        // Every second one is stored; every third is looked at too early for that; every fourth is gone; every fifth
        // comes with a wrong hint.
        let looks: Vec<Look> = (0..BATCH)
            .map(|number| {
                let looked = if number % 3 == 0 { 90 } else { 110 };
                let look = if number % 4 == 0 {
                    self.gone(&text(number), looked)
                } else {
                    self.look(&text(number), looked, None, &format!("[{number}]"))
                };
                Look { is_stored: (number % 2 == 0) != (number % 5 == 0), ..look }
            })
            .collect();
        let answers = good(self.port.store(&looks).await);
        let expected: Vec<Stored> =
            (0..BATCH).map(|number| if number % 6 == 0 { Superseded } else { Written }).collect();
        assert_eq!(answers, expected, "what became of each, in their order");
        for (number, look) in looks.iter().enumerate() {
            let before = self.look(&text(number), 100, Some(10), "[1]");
            match (number % 6 == 0, number % 4 == 0) {
                (true, _) => self.assert_is(&before).await,
                (false, true) => self.assert_gone(look, Some(&before)).await,
                (false, false) => self.assert_is(look).await,
            }
        }
        let again = good(self.port.store(&looks).await);
        assert!(again.iter().all(|stored| *stored == Superseded), "once more changes nothing");
    }

    async fn the_latest_of_several_at_once_wins(&self) {
        for hint in [false, true] {
            let text = format!("race-{hint}");
            let looks: Vec<Look> = [103, 101, 104, 102]
                .into_iter()
                .map(|looked| self.look(&text, looked, None, &format!("[{looked}]")))
                .map(|look| Look { is_stored: hint, ..look })
                .collect();
            for answer in join_all(looks.iter().map(|look| self.port.store(std::slice::from_ref(look)))).await {
                good(answer);
            }
            self.assert_is(&self.look(&text, 104, None, "[104]")).await;
        }
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
        let large = self.look("large", 100, None, &format!("\"{noise}\""));
        let text = "z".repeat(350 * 1024);
        let long = self.look("long", 100, None, &format!("\"{text}\""));
        let small = self.look("small", 100, None, "[]");
        let answers = good(self.port.store(&[small.clone(), large.clone(), long.clone()]).await);
        assert!(
            matches!(answers.as_slice(), [Written, Stored::TooLarge(1_000_000..), Written]),
            "what does not fit is said, and the rest is stored: {answers:?}"
        );
        assert_eq!(self.seen(&large.key).await, None);
        for look in [&small, &long] {
            self.assert_is(look).await;
        }
        let grown = Look { key: small.key.clone(), looked_at: at(101), is_stored: true, ..large };
        let answer = good(self.port.store(&[grown]).await);
        assert!(matches!(answer.as_slice(), [Stored::TooLarge(_)]), "{answer:?}");
        self.assert_is(&small).await;
    }

    async fn versions_are_found(&self) {
        // More than one batch of reads takes.
        let looks: Vec<Look> =
            (0..130).map(|number| self.look(&format!("v{number}"), 100, Some(number), "[1]")).collect();
        assert!(good(self.port.store(&looks).await).iter().all(|stored| *stored == Written));
        let mut keys: Vec<RecordKey> = looks.iter().map(|look| look.key.clone()).collect();
        keys.push(self.key("missing"));
        let found = good(self.versions.versions(&keys).await);
        let expected: BTreeMap<RecordKey, StoredVersion> =
            looks.iter().map(|look| (look.key.clone(), version_of(look, None))).collect();
        assert_eq!(found, expected, "all are found, missing ones are left out");
        assert!(good(self.versions.versions(&[]).await).is_empty());
    }
}

/// The same without what the vendor's clock had reached, as a row has it.
fn unseen_clock(seen: &Seen) -> Seen {
    match seen.clone() {
        Seen::Record { body, stamp, seen_at: _ } => Seen::Record { body, stamp, seen_at: None },
        gone @ Seen::Gone(_) => gone,
    }
}

/// What is known of a look that is stored in the place of `before`.
fn version_of(look: &Look, before: Option<StoredVersion>) -> StoredVersion {
    let (stamp, fingerprint) = before.map(|before| (before.stamp, before.fingerprint)).unwrap_or_default();
    match &look.seen {
        Seen::Record { body, stamp, seen_at } => StoredVersion {
            stamp: stamp.as_ref().map(|Stamp { text, .. }| text.clone()),
            looked_at: look.looked_at,
            seen_at: *seen_at,
            fingerprint: Some(body.fingerprint()),
            deleted: false,
        },
        Seen::Gone(_) => StoredVersion { stamp, looked_at: look.looked_at, seen_at: None, fingerprint, deleted: true },
    }
}
