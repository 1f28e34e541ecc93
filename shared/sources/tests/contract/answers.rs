//! Answers that are none.

use std::time::Duration;

use tidemark_engine::change::Found;
use tidemark_engine::failure::FailureClass::{Record, Throttled, Transient};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::record::RecordId;
use tidemark_fakes::{CallKind, Effect, Fault, Hold, HoldFilter, Mode, RetryAfter};

use crate::Vendor;
use crate::support::{answer, shown};
use crate::world::World;

/// Far longer than any test waits; a test that needs it to pass has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// The failures, if any, of listing and fetching while the vendor does this to both.
async fn tried<V: Vendor>(world: &World<V>, id: &RecordId, effect: &Effect) -> [Option<SourceFailure>; 2] {
    for kind in [CallKind::List, CallKind::Detail] {
        world.vendor.fault(Fault::new(effect.clone()).on_call(kind)).unwrap();
    }
    let failures = [world.list().await.err(), world.fetch(id).await.err()];
    world.vendor.clear_faults();
    failures
}

/// The same where both have to fail.
async fn failures<V: Vendor>(world: &World<V>, id: &RecordId, effect: &Effect) -> [SourceFailure; 2] {
    let [listed, fetched] = tried(world, id, effect).await;
    assert!(listed.is_some() && fetched.is_some(), "{effect:?}: {listed:?}, {fetched:?}");
    [listed.unwrap(), fetched.unwrap()]
}

pub(crate) async fn an_answer_that_is_none_is_never_no_changes_and_never_gone<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    for effect in [
        Effect::EmptyBody,
        Effect::MaintenancePage,
        Effect::WrongShape,
        Effect::Truncate { bytes: 5 },
        Effect::CutBeforeAnswer,
        Effect::CutHead { after_bytes: 20 },
        Effect::CutBody { after_bytes: 5, reset: false },
        Effect::CutBody { after_bytes: 5, reset: true },
        Effect::DeepJson { depth: 128 },
        Effect::DeepJson { depth: 1_000_000 },
        answer(200, " \r\n"),
        answer(200, "true"),
        answer(200, "0"),
        answer(200, r#"[[["1"]]]"#),
        answer(201, r#"{"error":"oops"}"#),
        answer(200, "\u{feff}<html></html>"),
    ] {
        for kind in [CallKind::List, CallKind::Detail] {
            world.vendor.fault(Fault::new(effect.clone()).on_call(kind)).unwrap();
        }
        assert_eq!(world.list().await.unwrap_err().class, Transient, "{effect:?}");
        match world.fetch(&ids[0]).await {
            Ok(detail) => assert_eq!(detail.found, Found::Missing, "{effect:?}: believed only once it has lasted"),
            Err(failure) => assert!(matches!(failure.class, Transient | Record), "{effect:?}: {:?}", failure.class),
        }
        world.vendor.clear_faults();
    }
    assert!(world.list().await.is_ok() && world.fetch(&ids[0]).await.is_ok());
}

pub(crate) async fn statuses_have_their_classes<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    let wait = |seconds| Throttled { retry_after: Some(Duration::from_secs(seconds)) };
    let no_wait = Throttled { retry_after: None };
    let throttled = |status, retry_after| Effect::Throttled { status, retry_after };
    let both = |class| [Some(class), Some(class)];
    for (effect, expected) in [
        (answer(400, V::own_error()), V::refused(400)),
        (answer(401, V::own_error()), both(V::REJECTED)),
        (answer(403, V::own_error()), V::refused(403)),
        (answer(422, V::own_error()), V::refused(422)),
        (answer(500, "{}"), both(Transient)),
        (answer(500, "[]"), both(Transient)),
        (answer(502, "<html>Bad Gateway</html>"), both(Transient)),
        (answer(503, "null"), both(Transient)),
        (throttled(429, RetryAfter::Seconds(30)), both(wait(30))),
        (throttled(429, RetryAfter::Seconds(1_000_000_000)), both(wait(900))),
        (throttled(429, RetryAfter::DateInSeconds(60)), both(wait(60))),
        (throttled(429, RetryAfter::DateInSeconds(-60)), both(no_wait)),
        (throttled(429, RetryAfter::Text("soon".to_owned())), both(no_wait)),
        (throttled(503, RetryAfter::Seconds(5)), both(wait(5))),
        (throttled(503, RetryAfter::Text("soon".to_owned())), both(Transient)),
    ] {
        let classes = tried(&world, &ids[0], &effect).await.map(|failure| failure.map(|failure| failure.class));
        assert_eq!(classes, expected, "{effect:?}");
    }
}

/// Bodies that no vendor writes: of gateways, firewalls and frameworks.
const OTHERS_WORDS: [&str; 9] = [
    "",
    "{}",
    "null",
    "404 page not found",
    "<html><body><h1>403 Forbidden</h1>nginx</body></html>",
    r#"{"message":"Missing Authentication Token"}"#,
    r#"{"timestamp":"2026-01-01T00:00:00Z","status":404,"error":"Not Found","path":"/x"}"#,
    r#"{"statusCode":403,"message":"Forbidden resource","error":"Forbidden"}"#,
    r#"[{"code":7}]"#,
];

/// Kind: absence and refusal are believed only in the vendor's own words.
pub(crate) async fn a_refusal_in_others_words_is_an_outage_and_nothing_is_gone<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    for status in [400, 401, 403, 404, 405, 406, 410, 422] {
        for words in OTHERS_WORDS {
            let effect = answer(status, words);
            for kind in [CallKind::List, CallKind::Detail] {
                world.vendor.fault(Fault::new(effect.clone()).on_call(kind)).unwrap();
            }
            let listed = world.list().await.unwrap_err();
            assert_eq!(listed.class, Transient, "{status} {words}: {listed}");
            match world.fetch(&ids[0]).await {
                Ok(detail) => assert_eq!(detail.found, Found::Missing, "{status} {words}"),
                Err(failure) => assert_eq!(failure.class, Transient, "{status} {words}: {failure}"),
            }
            world.vendor.clear_faults();
        }
    }
    assert_eq!(world.keys.fresh_count(), 0, "the credential was never in doubt");
    assert!(world.list().await.is_ok() && world.fetch(&ids[0]).await.is_ok());
}

/// The longest list of ids may have 64 MiB, so this has more.
pub(crate) async fn an_answer_without_end_is_left_at_its_limit<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    let [listed, fetched] = failures(&world, &ids[0], &Effect::EndlessBody { bytes: 70 << 20 }).await;
    assert_eq!((listed.class, fetched.class), (Transient, Record));
    for failure in [listed, fetched] {
        assert!(failure.cause.contains("has more than"), "{failure}");
    }
}

pub(crate) async fn a_redirect_is_refused_and_no_credential_leaves<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    let elsewhere = V::start("elsewhere").await;
    for status in [301, 302, 303, 307, 308] {
        let effect = Effect::Redirect { status, to: format!("{}/canary", elsewhere.url()) };
        for failure in failures(&world, &ids[0], &effect).await {
            assert_eq!(failure.class, Transient, "{status}");
            assert!(failure.cause.contains("redirect"), "{failure}");
            assert!(!shown(&failure).contains("canary"), "{failure}");
        }
    }
    assert_eq!(elsewhere.request_counts().total, 0);
}

/// Nothing waits for the deadline in real time: once the call waits for its answer, the clock of timers is moved.
pub(crate) async fn an_answer_that_never_comes_ends_with_the_deadline<V: Vendor>() {
    let (world, _) = World::<V>::with_records(1).await;
    world.list().await.unwrap();
    world.vendor.hold(Hold { stream: None, ..Hold::list(V::RECORDS) }).unwrap();
    let never_answered = async {
        world.vendor.wait_held(&HoldFilter::default(), LIMIT).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
    };
    let (listed, ()) = tokio::join!(Box::pin(world.list()), never_answered);
    let failure = listed.unwrap_err();
    assert_eq!(failure.class, Transient);
    assert!(failure.cause.contains("in time"), "{failure}");
}

/// A byte a second is always in time for the next one, and never for the whole.
pub(crate) async fn an_answer_that_dribbles_ends_with_the_deadline<V: Vendor>() {
    let (world, _) = World::<V>::with_records(12).await;
    world.list().await.unwrap();
    world.vendor.reset_requests();
    let slow = Effect::SlowBody { bytes: 1, every_ms: 1000 };
    world.vendor.fault(Fault::new(slow).on_call(CallKind::List)).unwrap();
    let answered = || world.vendor.requests().iter().any(|request| request.status == Some(200));
    let dribbles = async {
        while !answered() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
    };
    let (listed, ()) = tokio::join!(Box::pin(world.list()), dribbles);
    let failure = listed.unwrap_err();
    assert_eq!(failure.class, Transient);
    assert!(failure.cause.contains("in time"), "{failure}");
}

pub(crate) async fn a_vendor_that_is_down_is_a_transient_failure<V: Vendor>() {
    let (world, _) = World::<V>::with_records(1).await;
    world.vendor.set_mode(Mode::Down);
    let failure = world.list().await.unwrap_err();
    assert_eq!(failure.class, Transient);
    assert!(!shown(&failure).contains("127.0.0.1"), "{failure}");
    world.vendor.set_mode(Mode::Up);
    assert_eq!(world.list().await.unwrap().changes.len(), 1);
}
