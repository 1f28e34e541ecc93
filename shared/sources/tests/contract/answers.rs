//! Answers that are none.

use std::time::Duration;

use tidemark_engine::change::Found;
use tidemark_engine::failure::FailureClass::{Record, Throttled, Transient};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::record::RecordId;
use tidemark_fakes::{CallKind, Effect, Fault, FixedAnswer, Hold, HoldFilter, Mode, RetryAfter};

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
        answer(205, ""),
        answer(202, ""),
        // JSON within a text, after a guard, as a script, and one JSON after another.
        answer(200, r#""[{\"id\":1}]""#),
        answer(200, ")]}',\n[1]"),
        answer(200, "callback([1])"),
        answer(200, "[1]\n[2]"),
        answer(200, r#"{"status":"error","code":500}"#),
        // Errors beside an empty list.
        answer(200, r#"{"errors":[{"message":"down"}],"items":[],"data":[],"total":0,"count":0}"#),
        answer(200, r#"{"error":{"code":5},"status":500,"items":[],"data":[],"total":0,"count":0}"#),
        answer(200, r#"{"error":"down","status":500,"items":[],"data":[],"total":0,"count":0}"#),
        answer(200, "<?xml version=\"1.0\"?><rows/>"),
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
        (throttled(429, RetryAfter::Text("30, 60".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("30s".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("+30".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("1.5".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("Thu, 01 Jan 1970 00:00:00 GMT".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("0x1e".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("Infinity".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("-30".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("2026-01-01T00:00:00Z".to_owned())), both(no_wait)),
        (throttled(429, RetryAfter::Text("00000000000000000000000000000030".to_owned())), both(wait(30))),
        (throttled(429, RetryAfter::Seconds(0)), both(wait(1))),
        // A gateway's quota is used up.
        (throttled(403, RetryAfter::Seconds(60)), both(wait(60))),
        (throttled(503, RetryAfter::Seconds(5)), both(wait(5))),
        (throttled(503, RetryAfter::Text("soon".to_owned())), both(Transient)),
    ] {
        let classes = tried(&world, &ids[0], &effect).await.map(|failure| failure.map(|failure| failure.class));
        assert_eq!(classes, expected, "{effect:?}");
    }
}

/// Bodies that no vendor writes: of gateways, firewalls and frameworks.
const OTHERS_WORDS: [&str; 25] = [
    "",
    "{}",
    "null",
    "404 page not found",
    "<html><body><h1>403 Forbidden</h1>nginx</body></html>",
    r#"{"message":"Missing Authentication Token"}"#,
    r#"{"timestamp":"2026-01-01T00:00:00Z","status":404,"error":"Not Found","path":"/x"}"#,
    r#"{"statusCode":403,"message":"Forbidden resource","error":"Forbidden"}"#,
    r#"[{"code":7}]"#,
    // Firewalls and gateways.
    "error code: 1020",
    "RBAC: access denied",
    "no healthy upstream",
    r#"{"message":null}"#,
    r#"{"message":"no Route matched with those values","request_id":"1"}"#,
    r#"{"fault":{"faultstring":"Unable to identify proxy","detail":{"errorcode":"flow.ApplicationNotFound"}}}"#,
    r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}"#,
    "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
    // Frameworks.
    r#"{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.5","title":"Not Found","status":404,"traceId":"00-1"}"#,
    r#"{"error":{"code":"ResourceNotFound","message":"The resource was not found."}}"#,
    r#"{"code":5,"message":"Method does not exist.","details":[]}"#,
    r#"{"detail":"Not found."}"#,
    r#"{"error":null}"#,
    r#"{"errors":[]}"#,
    // No object at all.
    r#""Not Found""#,
    "\u{feff}404",
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

/// What frameworks say of a path that leads nowhere, which may be a record's.
const NOT_FOUND_OF_FRAMEWORKS: [&str; 19] = [
    r#"{"error":"Not Found"}"#,
    r#"{"error":"404 Not Found"}"#,
    r#"{"error":"not_found"}"#,
    r#"{"error":"Route not found"}"#,
    r#"{"error":"not_found","message":"The requested resource was not found."}"#,
    r#"{"error":"Resource not found","status":404}"#,
    r#"{"errors":{"detail":"Not Found"}}"#,
    r#"{"errors":["Not Found"]}"#,
    r#"{"errors":[{"status":"404","title":"Not Found"}]}"#,
    r#"{"error":{"statusCode":404,"name":"NotFoundError","message":"Endpoint \"GET /x\" not found."}}"#,
    r#"{"data":null,"error":{"status":404,"name":"NotFoundError","message":"Not Found","details":{}}}"#,
    r#"{"error":{"name":"Error","message":"Not Found"}}"#,
    r#"{"error":{"message":"Not Found"}}"#,
    r#"{"success":false,"message":"Not Found"}"#,
    r#"{"success":false,"error":"Not Found"}"#,
    r#"{"ok":false,"error":"not found"}"#,
    r#"{"name":"NotFound","message":"Page not found","code":404,"className":"not-found"}"#,
    r#"{"code":"not_found","message":"no such route"}"#,
    r#"{"message":"Not Found","documentation_url":"https://docs.example.com"}"#,
];

/// Kind: absence is believed only in the vendor's own words, and these may be anybody's.
pub(crate) async fn a_not_found_in_a_frameworks_words_deletes_nothing<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    for status in [200, 404, 410] {
        for words in NOT_FOUND_OF_FRAMEWORKS {
            for kind in [CallKind::List, CallKind::Detail] {
                world.vendor.fault(Fault::new(answer(status, words)).on_call(kind)).unwrap();
            }
            let found = world.fetch(&ids[0]).await.map(|detail| detail.found);
            assert!(matches!(found, Ok(Found::Missing) | Err(_)), "{status} {words}: {found:?}");
            world.vendor.clear_faults();
        }
    }
}

/// What a proxy passes on of an answer is not the whole of it, whatever it looks like.
pub(crate) async fn a_part_of_an_answer_or_a_garbled_one_is_an_outage<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    let record = world.record_of(&ids[0]);
    let whole = V::list_answer(&[Some(record.as_str())]);
    for (status, header) in [
        (206, ("Content-Range", "bytes 0-99/5000")),
        (206, ("Accept-Ranges", "bytes")),
        (202, ("Retry-After", "5")),
        (207, ("Vary", "*")),
        (200, ("Content-Encoding", "gzip")),
        (300, ("Alternates", "{}")),
        (304, ("ETag", "\"1\"")),
        (226, ("IM", "vcdiff")),
    ] {
        let effect = Effect::Answer(FixedAnswer {
            status,
            body: whole.clone(),
            content_type: "application/json".to_owned(),
            headers: [(header.0.to_owned(), header.1.to_owned())].into(),
        });
        world.vendor.fault(Fault::new(effect).on_call(CallKind::List)).unwrap();
        let listed = world.list().await;
        world.vendor.clear_faults();
        assert_eq!(
            listed.map(|page| page.changes.len()).map_err(|failure| failure.class),
            Err(Transient),
            "{status} {header:?}"
        );
    }
}

/// Kind: a failure is named by its cause, and its next step fits it.
pub(crate) async fn what_stands_before_the_vendor_is_named_and_no_credential_is_blamed<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    for (status, words, step) in [
        (403, "Your IP address 203.0.113.7 is not allowed to access this resource.", "list of allowed addresses"),
        (401, r#"{"message":"Client IP not in allowlist"}"#, "list of allowed addresses"),
        (403, "error code: 1020", "nothing if it passes"),
        (403, "<title>Access denied | example.com used Cloudflare to restrict access</title>", "firewall"),
        (406, "<h1>Not Acceptable!</h1>An appropriate representation could not be found. Mod_Security", "firewall"),
        (400, "<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>", "base URL"),
        (404, "default backend - 404", "base URL"),
        (405, "<html>405 Not Allowed</html>", "base URL"),
        (407, "", "what stands before its API"),
        (413, "<html>413 Request Entity Too Large</html>", "what stands before its API"),
        (421, "Misdirected Request", "base URL"),
        (426, "Upgrade Required", "base URL"),
        (431, "Request Header Fields Too Large", "what stands before its API"),
        (451, "<html>451 Unavailable For Legal Reasons</html>", "what stands before its API"),
        (498, r#"{"error":{"code":498}}"#, "what stands before its API"),
        (401, "<html><title>Sign in</title><form></form></html>", "what stands before its API"),
        (
            403,
            r#"{"Message":"User is not authorized to access this resource with an explicit deny"}"#,
            "what stands before",
        ),
        (403, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "what stands before its API"),
        (404, "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>", "base URL"),
        (400, "Invalid Host header", "base URL"),
        (404, "Cannot GET /api/v1/jobs", "base URL"),
        (403, "Request blocked. Generated by cloudfront (CloudFront)", "firewall"),
        (403, "<html>Request unsuccessful. Incapsula incident ID: 1-2</html>", "firewall"),
        (402, "Payment Required", "what stands before its API"),
        (410, "This version of the API is retired", "base URL"),
        (401, "403.6: your IP address is not on the white-list", "list of allowed addresses"),
    ] {
        let [listed, fetched] = tried(&world, &ids[0], &answer(status, words)).await;
        // One that says "not found" may be believed once it has lasted.
        for failure in [listed.unwrap()].into_iter().chain(fetched) {
            assert_eq!(failure.class, Transient, "{status} {words}: {failure}");
            let next_step = failure.next_step.unwrap_or_default();
            assert!(next_step.contains(step), "{status} {words}: {next_step}");
        }
    }
    assert_eq!(world.keys.fresh_count(), 0, "the credential was never in doubt");
}

/// The longest list of ids may have 64 MiB, so this has more.
pub(crate) async fn an_answer_without_end_is_left_at_its_limit<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    let [listed, fetched] = failures(&world, &ids[0], &Effect::EndlessBody { bytes: 70 << 20 }).await;
    assert_eq!((listed.class, fetched.class), (Transient, Record));
    for failure in [listed, fetched] {
        assert!(failure.cause.contains("has more than"), "{failure}");
    }
    for failure in failures(&world, &ids[0], &Effect::Inflating { bytes: 4 << 20 }).await {
        assert!(shown(&failure).len() < 2_000, "{failure}");
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
    for to in ["/login", "?page=2", "", "http://", "/login/../", "//"] {
        world.vendor.reset_requests();
        let effect = Effect::Redirect { status: 302, to: to.to_owned() };
        let failures = failures(&world, &ids[0], &effect).await;
        assert!(failures.iter().all(|failure| failure.class == Transient), "{to}: {failures:?}");
        assert!(world.vendor.requests().iter().all(|request| request.function != "/login"), "{to}");
    }
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
