//! What is never logged, and never in an error.

use tidemark_fakes::{Add, CallKind, Change, Effect, Fault, FixedAnswer};

use crate::Vendor;
use crate::log::logged;
use crate::support::{answer, shown};
use crate::world::{NEW, OLD, World};

/// No list and no record, with this text wherever a header may repeat what was asked.
fn in_headers(status: u16, text: &str) -> Effect {
    let names = [
        "Content-Type",
        "Date",
        "ETag",
        "Link",
        "Location",
        "Retry-After",
        "Server",
        "Warning",
        "WWW-Authenticate",
        "X-RateLimit-Reset",
    ];
    Effect::Answer(FixedAnswer {
        status,
        body: "canary".to_owned(),
        content_type: String::new(),
        headers: names.map(|name| (name.to_owned(), text.to_owned())).into(),
    })
}

/// Credential, id and personal data are all a canary here, and whatever shows one of them shows the word.
pub(crate) async fn no_credential_and_no_personal_data_is_ever_logged_or_shown<V: Vendor>() {
    let world = World::<V>::start().await;
    world.vendor.add(Add::with_id(V::RECORDS, "canary-id")).unwrap();
    let personal = Change::of(V::RECORDS, "canary-id").set(V::PERSONAL_FIELD, "canary@example.com");
    world.vendor.edit(personal).unwrap();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
    let id = V::listed_id("canary-id");
    for effect in [
        Effect::NotLoggedIn,
        Effect::Error(format!("bad {} canary@example.com", V::secret(OLD))),
        Effect::CutBody { after_bytes: 30, reset: true },
        Effect::Truncate { bytes: 60 },
        Effect::Redirect { status: 302, to: "http://canary.example/".to_owned() },
        answer(500, "canary"),
        answer(400, r#"{"canary":"canary"}"#),
        answer(200, r#"{"canary":"canary"}"#),
        answer(404, "canary"),
        answer(401, "canary"),
        answer(403, r#"{"error":"canary-id canary@example.com"}"#),
        answer(403, "<html>canary: your IP address is not allowed</html>"),
        answer(422, r#"{"errors":{"canary":["canary@example.com is taken"]}}"#),
        answer(200, r#"{"error":{"name":"Canary","message":"canary@example.com"}}"#),
        answer(400, r#"{"success":false,"error":"ODD","message":"canary@example.com"}"#),
        answer(200, r#"{"success":false,"error":"canary canary@example.com"}"#),
        answer(200, r#"["canary-id","canary@example.com"#),
        answer(200, r#""canary@example.com""#),
        in_headers(200, "canary@example.com"),
        in_headers(401, r#"Bearer realm="canary", error="canary""#),
        in_headers(429, "canary"),
        in_headers(302, "canary://canary@canary/canary"),
    ] {
        for kind in [CallKind::List, CallKind::Detail] {
            world.vendor.fault(Fault::new(effect.clone()).on_call(kind)).unwrap();
        }
        let failures = [world.list().await.err(), world.fetch(&id).await.err()];
        for failure in failures.into_iter().flatten() {
            tracing::warn!(cause = %failure, error = ?failure, "as it would be logged where it is handled");
            assert!(!shown(&failure).contains("canary"), "{effect:?}: {failure}");
        }
        world.vendor.clear_faults();
    }
    world.vendor.rotate(NEW);
    world.keys.change(&V::secret(NEW));
    assert!(world.list().await.is_ok());

    let logged = logged();
    assert!(logged.contains("vendor called") && logged.contains("status=200"), "the log was not captured: {logged}");
    assert!(!logged.contains("canary"), "{}", logged.lines().find(|line| line.contains("canary")).unwrap_or_default());
}
