//! What a probe finds of each vendor: every trouble that a new user meets has its name and its next step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program: what surprises it should end it")]

mod bench;
mod settings;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "what is about logs and renewed secrets is not needed here")]
mod support;

use std::convert::Infallible;
use std::time::Duration;

use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::Effect;
use tidemark_sources::probe::{self, Check, ListProbe, RecordProbe, Verdict};

use crate::bench::{Account, VENDORS, account};
use crate::support::answer;

#[tokio::test]
async fn of_a_source_that_works_everything_is_well() {
    for (kind, stream, _) in VENDORS {
        let account = account(kind, "{}").await;
        account.seed(stream, 3);
        account.fake.advance(Duration::from_hours(30));
        let found = account.probe(stream).await;
        let odd = found.findings.iter().find(|finding| !matches!(finding.verdict, Verdict::Ok | Verdict::Unseen));
        assert!(odd.is_none(), "{kind}: {odd:?}");
        for check in [Check::Reach, Check::Credential, Check::List, Check::Fetch, Check::Clock] {
            assert!(found.findings.iter().any(|it| it.check == check && it.verdict == Verdict::Ok), "{kind} {check:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_of_the_wrong_shape_is_named_and_nobody_called() {
    for (kind, stream, _) in VENDORS {
        let account = account(kind, "{}").await.with_secret(r#"{"apikey":"s3cret"}"#);
        let (what, next) = account.failure(stream, Check::Credential).await;
        assert!(what.contains("must be of the form {\"") && !what.contains("s3cret"), "{kind}: {what}");
        assert!(next.contains("the source's secret"), "{kind}: {next}");
        assert_eq!(account.fake.request_counts().total, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_rejected_credential_is_named_and_no_setting_is_blamed() {
    for (kind, stream, _) in VENDORS {
        let account = account(kind, "{}").await.with_secret(&bench::secret(kind, "wrong"));
        let (_, next) = account.failure(stream, Check::Credential).await;
        assert!(next.contains("put a valid credential into the source's secret"), "{kind}: {next}");
        // FieldMotion's key is tried in the three forms of the time, because a wrong form is answered in the same way.
        let tries = if kind == SourceKind::FieldMotion { 3 } else { 1 };
        assert_eq!(account.fake.request_counts().total, tries, "{kind}");
    }
}

#[tokio::test]
async fn a_missing_right_is_the_streams() {
    for (kind, stream, forbidden) in VENDORS {
        let account = account(kind, "{}").await;
        account.fault(answer(403, forbidden));
        let (what, next) = account.failure(stream, Check::List).await;
        // Fieldly is asked for a token first.
        let steps = ["right to read", "the scope jobs:read", "the API is activated"];
        let is_named = steps.iter().any(|step| next.contains(step));
        assert!(!what.is_empty() && is_named, "{kind}: {what}; {next}");
    }
}

#[tokio::test]
async fn what_a_list_shows_is_told_without_a_row() {
    for (kind, stream, forbidden) in VENDORS {
        let account = account(kind, "{}").await;
        account.seed(stream, 3);
        account.fake.advance(Duration::from_hours(1));
        let ListProbe::Shown { entries, count } = account.list(stream).await else { panic!("{kind}") };
        // A feed that begins now has told nothing.
        let expected = if kind == SourceKind::FieldAware { 0 } else { 3 };
        assert_eq!((entries.len(), count), (expected, expected), "{kind}");
        assert!(entries.iter().all(|entry| !entry.is_deleted && !entry.id.is_empty()), "{kind}: {entries:?}");
        account.fault(answer(403, forbidden));
        let ListProbe::Failed { cause, next } = account.list(stream).await else { panic!("{kind}") };
        assert!(!cause.is_empty() && !next.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn a_wrong_base_url_is_named() {
    for (kind, stream, _) in VENDORS {
        // Some answer in their own words that there is no such list; Fieldly looks at the credential first.
        let check = if kind == SourceKind::FieldMotion { Check::Reach } else { Check::List };
        let check = Some(check).filter(|_| kind != SourceKind::Fieldly);
        if let Some(check) = check {
            let (what, next) = account(kind, "{}").await.at("/wrong").failure(stream, check).await;
            assert!(next.contains("compare the base URL"), "{kind}: {what}; {next}");
        }
        let nobody = account(kind, "{}").await.at_address("http://127.0.0.1:1");
        let (what, next) = nobody.failure(stream, Check::Reach).await;
        assert!(what.contains("could not be reached") && next.contains("base URL"), "{kind}: {what}; {next}");
    }
}

#[tokio::test]
async fn an_allow_list_before_the_vendor_is_named() {
    for (kind, stream, _) in VENDORS {
        let account = account(kind, "{}").await;
        account.fault(answer(403, "<h1>Forbidden</h1>Your IP address is not allowed"));
        let (_, next) = account.failure(stream, Check::Reach).await;
        assert!(next.contains("list of allowed addresses"), "{kind}: {next}");
    }
    let account = account(SourceKind::FieldMotion, "{}").await;
    account.fault(Effect::Error("Your IP is not whitelisted".to_owned()));
    let (_, next) = account.failure("customers", Check::Reach).await;
    assert!(next.contains("list of allowed addresses"), "{next}");
}

#[tokio::test]
async fn a_vendors_clock_that_is_wrong_is_named() {
    let account = account(SourceKind::Fieldly, "{}").await;
    account.seed("clients", 1);
    let found = account.probe_by(Duration::from_mins(20), "clients").await;
    let clock = found.findings.iter().find(|finding| finding.check == Check::Clock).unwrap();
    assert_eq!((clock.verdict, clock.what.as_str()), (Verdict::Warning, "the vendor's clock is 20 min behind ours"));
}

#[tokio::test]
async fn the_class_of_a_feed_that_may_not_be_read_is_named() {
    let account = account(SourceKind::FieldAware, "{}").await;
    account.seed("customers", 1);
    account.set(r#"{"forbidden":["jobs"]}"#);
    let found = account.probe("changes").await;
    let failed: Vec<_> = found.findings.iter().filter(|finding| finding.verdict == Verdict::Failure).collect();
    let [failed] = failed[..] else { panic!("{failed:?}") };
    assert_eq!((failed.check, failed.part.as_ref().unwrap().as_str()), (Check::List, "jobs"));
    assert!(failed.next.as_ref().unwrap().contains("FieldAwareSettings"), "{failed:?}");
}

#[tokio::test]
async fn a_record_is_told_by_stamp_and_hash_and_never_shown() {
    for (kind, stream, _) in VENDORS {
        let account = account(kind, "{}").await;
        let records = if kind == SourceKind::FieldAware { "customers" } else { stream };
        account.seed(records, 1);
        let (one, record) = account.fake.truth(records).unwrap().into_iter().next().unwrap();
        let listed = if kind == SourceKind::FieldAware { format!("customers/customer/{one}") } else { one };
        let found = asked(&account, stream, &listed).await;
        let RecordProbe::There { hash, .. } = &found else { panic!("{kind}: {found:?}") };
        let body = tidemark_engine::record::Body::new(record.body.as_str());
        assert_eq!(*hash, format!("{:032x}", u128::from_be_bytes(body.fingerprint().0)), "{kind}");
        account.fault(answer(500, "no"));
        let failed = asked(&account, stream, &listed).await;
        assert!(matches!(&failed, RecordProbe::Failed { next, .. } if next.contains("status page")), "{failed:?}");
    }
    let account = account(SourceKind::Fieldly, "{}").await;
    assert_eq!(asked(&account, "clients", "7").await, RecordProbe::Gone);
}

async fn asked(account: &Account, stream: &'static str, id: &str) -> RecordProbe {
    let source = account.source();
    let id = RecordId::parse(id).unwrap();
    probe::record(&source, async || Ok::<(), Infallible>(()), &bench::stream(stream), &id).await.unwrap()
}

#[tokio::test]
async fn a_call_that_may_not_be_made_ends_the_probe() {
    let account = account(SourceKind::Fieldly, "{}").await;
    let refused = probe::stream(&account, &account.clock(), async || Err("no turn"), &bench::stream("clients")).await;
    assert_eq!(refused, Err("no turn"));
    assert_eq!(account.fake.request_counts().total, 0);
}
