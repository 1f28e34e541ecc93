//! FieldMotion from end to end: the source as it is deployed, against a fake vendor that verifies every signature with
//! an implementation of its own. What every source has to do is in the contract suite, `contract/`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test file: what surprises it should end it")]

mod support;

use std::time::Duration;

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_sources::registry::{self, AnySource, SourceConfig};
use tidemark_testkit::fake::fieldmotion::{ApiNowFormat, DetailShape, FakeFieldMotion, ListOrder, ListShape, Vanished};
use tidemark_testkit::fake::{Add, CallKind, Change, ClockChange, DateHeader, Effect, Fake, Fault, RetryAfter};

use crate::support::{SharedKeys, VendorTime, answer, shown};

const STREAMS: [&str; 6] = ["customers", "jobs", "assets", "asset_types", "tasks", "stock_containers"];
const API_ID: &str = "123";
const API_KEY: &str = "0123456789abcdef0123456789abcdef";

fn secret(api_id: &str, api_key: &str) -> String {
    format!("{{\"api_id\":\"{api_id}\",\"api_key\":\"{api_key}\"}}\n")
}

type FieldMotion = AnySource<VendorTime, SharedKeys>;

/// A fake vendor, the source that reads it, and the secret that the source reads.
struct Account {
    vendor: FakeFieldMotion,
    source: FieldMotion,
    keys: SharedKeys,
}

async fn account(settings: &str) -> Account {
    let vendor = FakeFieldMotion::start().await.unwrap();
    vendor.freeze_clock();
    let keys = SharedKeys::new(&secret(API_ID, API_KEY));
    let source = source_at(vendor.url(), &vendor, settings, &keys);
    Account { vendor, source, keys }
}

fn source_at(url: &str, clock: &Fake, settings: &str, keys: &SharedKeys) -> FieldMotion {
    let config = SourceConfig { kind: SourceKind::FieldMotion, base_url: url, settings, requests_per_second: "100000" };
    registry::build(config, keys.clone(), VendorTime(clock.clone())).unwrap()
}

fn stream(name: &'static str) -> StreamName {
    StreamName::known(name)
}

fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

const BEGINNING: UtcMillis = UtcMillis::new(946_684_800_000);

impl Account {
    async fn list_from(&self, name: &'static str, from: UtcMillis) -> Result<Page, SourceFailure> {
        self.source.list(&stream(name), ListRequest::Changed { from }).await
    }

    async fn list(&self, name: &'static str) -> Result<Page, SourceFailure> {
        self.list_from(name, BEGINNING).await
    }

    async fn listed(&self, name: &'static str) -> Vec<String> {
        let page = self.list(name).await.unwrap();
        assert_eq!((page.unusable_count, page.next, page.pages_total), (0, None, None));
        page.changes.iter().map(|change| change.id.as_str().to_owned()).collect()
    }

    async fn fetch(&self, name: &'static str, text: &str) -> Result<Detail, SourceFailure> {
        self.source.fetch(&stream(name), &id(text)).await
    }

    async fn fetched(&self, name: &'static str, text: &str) -> (String, String, Option<UtcMillis>) {
        match self.fetch(name, text).await.unwrap().found {
            Found::Record { id, body, stamp } => {
                (id.as_str().to_owned(), body.text().to_owned(), stamp.map(|stamp| stamp.at))
            }
            Found::Gone => panic!("{name} {text} is gone"),
        }
    }

    fn fields_of(&self, name: &str) -> Vec<String> {
        let row = self.vendor.truth(name).unwrap().into_values().next().unwrap().row;
        row.fields().map(|(field, _)| field.to_owned()).collect()
    }

    /// What listing and fetching lead to when the vendor does this.
    async fn classes(&self, effect: Effect) -> (FailureClass, FailureClass) {
        let one = self.vendor.truth("customers").unwrap().into_keys().next().unwrap();
        self.vendor.fault(Fault::new(effect)).unwrap();
        let listed = self.list("customers").await.unwrap_err();
        let fetched = self.fetch("customers", &one).await.unwrap_err();
        self.vendor.clear_faults();
        for failure in [&listed, &fetched] {
            assert_harmless(failure);
        }
        (listed.class, fetched.class)
    }
}

/// No failure shows a credential, an id or an address.
fn assert_harmless(failure: &SourceFailure) {
    let shown = shown(failure);
    for secret in [API_KEY, "_api_md5=", "683136", "127.0.0.1", "jane@example.com"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn every_stream_is_listed_and_fetched_in_every_shape() {
    let account = account("{}").await;
    for name in STREAMS {
        account.vendor.seed_count(name, 12).unwrap();
    }
    let shapes = [ListShape::Strings, ListShape::Numbers, ListShape::Rows, ListShape::Gaps];
    let details = [DetailShape::Object, DetailShape::Array, DetailShape::Keyed, DetailShape::Object];
    for (list_shape, detail_shape) in shapes.into_iter().zip(details) {
        account.vendor.configure(|settings| {
            settings.list_shape = list_shape;
            settings.detail_shape = detail_shape;
            settings.list_order = ListOrder::Shuffled;
        });
        for traits in account.source.streams() {
            let name = STREAMS.into_iter().find(|name| *name == traits.name.as_str()).unwrap();
            let truth = account.vendor.truth(name).unwrap();
            let mut ids = account.listed(name).await;
            ids.sort();
            assert_eq!(ids, truth.keys().cloned().collect::<Vec<_>>(), "{name} {list_shape:?}");
            for (text, record) in &truth {
                let (id, body, stamp) = account.fetched(name, text).await;
                assert_eq!(&id, text);
                if traits.stamped {
                    assert_eq!(stamp, Some(UtcMillis::new(record.last_edited_ms)), "{name}");
                    assert!(body.contains("\"last_edited\":"), "{name}: {body}");
                } else {
                    assert_eq!((body, stamp), (format!("{{\"id\":\"{text}\"}}"), None));
                }
            }
        }
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn a_record_is_kept_byte_for_byte_as_the_vendor_sent_it() {
    let all_customer_fields = [
        "id",
        "name",
        "email",
        "notes",
        "last_edited",
        "last_edited_all",
        "cdate",
        "street_address1",
        "street_address2",
        "town",
        "county",
        "city",
        "state",
        "country",
        "postcode",
        "landline",
        "mobile",
        "contact_name",
        "account_number",
        "parent_id",
        "latitude",
        "longitude",
        "is_active",
        "custom_values",
        "meta",
        "files",
        "contacts",
        "department_id",
        "area_id",
        "type",
        "price_band",
        "credit_terms",
    ];
    let account = account("{}").await;
    account.vendor.seed_count("customers", 30).unwrap();
    let fields = all_customer_fields.map(str::to_owned);
    for (id, record) in account.vendor.truth_of_fields("customers", &fields).unwrap() {
        assert_eq!(account.fetched("customers", &id).await.1, record.body);
    }
    // The jobs' default fields are those of the vendor's sample row.
    account.vendor.seed_count("jobs", 3).unwrap();
    let (_, body, _) = account.fetched("jobs", "622081").await;
    for field in account.fields_of("jobs") {
        assert!(body.contains(&format!("\"{field}\":")), "{field} was not asked for");
    }
}

#[tokio::test]
async fn only_changes_after_the_bound_are_listed() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 3).unwrap();
    let now = UtcMillis::new(account.vendor.now_ms());
    let hour = Duration::from_hours(1);
    assert!(
        account.list_from("jobs", now.minus(hour)).await.unwrap().changes.is_empty(),
        "an empty list is no failure"
    );
    account.vendor.edit(Change::of("jobs", "622082")).unwrap();
    let page = account.list_from("jobs", now.minus(hour)).await.unwrap();
    assert_eq!(page.changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["622082"]);
    assert_eq!(page.date.map(|date| date.get() / 1000), Some(now.get() / 1000));
}

#[tokio::test]
async fn jobs_of_one_form_can_be_asked_for() {
    let account = account(r#"{"jobs_form_id":"999"}"#).await;
    account.vendor.seed_count("jobs", 3).unwrap();
    account.vendor.edit(Change::of("jobs", "622082").set("form_id", "999")).unwrap();
    account.vendor.seed_count("customers", 1).unwrap();
    assert_eq!(account.listed("jobs").await, ["622082"]);
    assert_eq!(account.listed("customers").await.len(), 1);
    let requests = account.vendor.requests();
    assert_eq!(requests[0].parameters, ["from", "form_id", "_api_now", "_api_md5", "_api_id"]);
    assert_eq!(requests[1].parameters, ["from", "_api_now", "_api_md5", "_api_id"]);
}

#[tokio::test]
async fn odd_ids_are_signed_and_come_back_as_they_are() {
    let account = account("{}").await;
    let odd = ["a#b", "with space", "emoji 😀", "../../x", "50%25", "é/\\\"", "007", "[0]", "a&b=c", "\u{7f}"];
    for text in odd {
        account.vendor.add(Add::with_id("tasks", text)).unwrap();
    }
    assert_eq!(account.listed("tasks").await, odd);
    for text in odd {
        assert_eq!(account.fetched("tasks", text).await.0, text);
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn the_time_of_a_call_is_written_in_each_format() {
    for (format, settings) in [
        (ApiNowFormat::Unix, r#"{"api_now_format":"unix"}"#),
        (ApiNowFormat::AtUnix, r#"{"api_now_format":"at_unix"}"#),
        (ApiNowFormat::Datetime, r#"{"api_now_format":"datetime"}"#),
        (ApiNowFormat::Datetime, r#"{"api_now_format":"datetime","timezone":"Africa/Lagos"}"#),
    ] {
        let account = account(settings).await;
        account.vendor.configure(|vendor| {
            vendor.api_now_format = format;
            vendor.zone_offset_seconds = if settings.contains("Lagos") { 3600 } else { 0 };
        });
        assert_eq!(account.listed("jobs").await, [""; 0], "{settings}");
        // Signed anew: what was right five minutes ago is refused by now.
        account.vendor.advance(Duration::from_hours(1));
        assert_eq!(account.listed("jobs").await, [""; 0], "{settings}");
        assert_eq!(account.vendor.request_counts().refused, 0);
    }
}

#[tokio::test]
async fn naive_times_are_in_the_configured_zone() {
    let account = account(r#"{"timezone":"Africa/Lagos"}"#).await;
    account.vendor.configure(|vendor| vendor.zone_offset_seconds = 3600);
    account.vendor.seed_count("assets", 2).unwrap();
    let now = UtcMillis::new(account.vendor.now_ms());
    account.vendor.edit(Change::of("assets", "556200")).unwrap();
    let minute = Duration::from_mins(1);
    assert_eq!(account.list_from("assets", now.minus(minute)).await.unwrap().changes.len(), 1);
    assert_eq!(account.list_from("assets", now.plus(minute)).await.unwrap().changes.len(), 0);
    let (_, _, stamp) = account.fetched("assets", "556200").await;
    assert_eq!(stamp.map(|at| at.get() / 1000), Some(now.get() / 1000));
}

#[tokio::test]
async fn records_that_are_gone_are_told_from_failures() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 2).unwrap();
    account.vendor.delete(Change::of("customers", "683136")).unwrap();
    for vanished in [Vanished::Null, Vanished::False, Vanished::Empty] {
        account.vendor.configure(|settings| settings.vanished = vanished);
        assert_eq!(account.fetch("customers", "683136").await.unwrap().found, Found::Gone, "{vanished:?}");
    }
    assert!(matches!(account.fetch("customers", "683137").await.unwrap().found, Found::Record { .. }));
}

#[tokio::test]
async fn words_for_gone_are_a_setting() {
    let account = account(r#"{"gone_error_words":["not found"]}"#).await;
    account.vendor.seed_count("customers", 1).unwrap();
    account.vendor.fault(Fault::new(Effect::Error("customer not found".to_owned()))).unwrap();
    assert_eq!(account.fetch("customers", "683136").await.unwrap().found, Found::Gone);
    assert_eq!(account.list("customers").await.unwrap_err().class, FailureClass::Transient);
}

#[tokio::test]
async fn stamps_that_are_missing_or_nonsense_are_none() {
    use tidemark_testkit::fake::{ShowStamp, ShownStamp};
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    for (shown, expected) in [
        (ShownStamp::Missing, None),
        (ShownStamp::Text(String::new()), None),
        (ShownStamp::Text("0000-00-00 00:00:00".to_owned()), None),
        (ShownStamp::Text("soon".to_owned()), None),
        (ShownStamp::Text("2099-01-01 00:00:00".to_owned()), Some(UtcMillis::new(4_070_908_800_000))),
        (ShownStamp::Text("2026-07-01T12:00:00+02:00".to_owned()), Some(UtcMillis::new(1_782_900_000_000))),
    ] {
        let show = ShowStamp { stream: "customers".to_owned(), id: "683136".to_owned(), shown };
        account.vendor.show_stamp(&show).unwrap();
        assert_eq!(account.fetched("customers", "683136").await.2, expected, "{show:?}");
    }
}

#[tokio::test]
async fn failures_have_their_classes() {
    use FailureClass::{Forbidden, Record, Throttled, Transient, Unauthorized};
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    let wait = |seconds| Throttled { retry_after: Some(Duration::from_secs(seconds)) };
    let no_wait = Throttled { retry_after: None };
    let throttled = |status, retry_after| Effect::Throttled { status, retry_after };
    let text = |text: &str| RetryAfter::Text(text.to_owned());
    for (effect, list, detail) in [
        (Effect::NotLoggedIn, Unauthorized, Unauthorized),
        (Effect::Error("invalid API key".to_owned()), Unauthorized, Unauthorized),
        (Effect::Error("missing id parameter".to_owned()), Transient, Record),
        (Effect::Error("missing or invalid parameter: _api_now".to_owned()), Transient, Transient),
        (Effect::Error("unknown function".to_owned()), Forbidden, Forbidden),
        (Effect::Error("no such customer jane@example.com 683136".to_owned()), Transient, Record),
        (Effect::MaintenancePage, Transient, Transient),
        (Effect::EmptyBody, Transient, Transient),
        (Effect::WrongShape, Transient, Record),
        (Effect::DeepJson { depth: 128 }, Transient, Record),
        (Effect::DeepJson { depth: 1_000_000 }, Transient, Record),
        (Effect::CutBeforeAnswer, Transient, Transient),
        (Effect::CutHead { after_bytes: 20 }, Transient, Transient),
        (Effect::CutBody { after_bytes: 5, reset: false }, Transient, Transient),
        (Effect::CutBody { after_bytes: 5, reset: true }, Transient, Transient),
        (Effect::Truncate { bytes: 5 }, Transient, Transient),
        (Effect::Redirect { status: 307, to: "http://127.0.0.1:1/".to_owned() }, Transient, Transient),
        (throttled(429, RetryAfter::Seconds(30)), wait(30), wait(30)),
        (throttled(429, RetryAfter::Seconds(1_000_000_000)), wait(900), wait(900)),
        (throttled(429, RetryAfter::DateInSeconds(60)), wait(60), wait(60)),
        (throttled(429, RetryAfter::DateInSeconds(-60)), no_wait, no_wait),
        (throttled(429, text("-1")), no_wait, no_wait),
        (throttled(429, text("soon")), no_wait, no_wait),
        (throttled(503, RetryAfter::Seconds(5)), wait(5), wait(5)),
        (throttled(503, text("soon")), Transient, Transient),
        (answer(401, ""), Unauthorized, Unauthorized),
        (answer(403, "{}"), Forbidden, Forbidden),
        (answer(404, "<html>Not Found</html>"), Forbidden, Forbidden),
        (answer(404, "[]"), Forbidden, Forbidden),
        (answer(400, "{}"), Transient, Record),
        (answer(422, "null"), Transient, Record),
        (answer(400, r#"{"error":"not logged in"}"#), Unauthorized, Unauthorized),
        (answer(500, r#"{"error":"not logged in"}"#), Unauthorized, Unauthorized),
        (answer(500, r#"{"error":"oops"}"#), Transient, Transient),
        (answer(404, r#"{"error":"oops"}"#), Forbidden, Forbidden),
        (answer(500, "[]"), Transient, Transient),
        (answer(502, "<html>Bad Gateway</html>"), Transient, Transient),
        (answer(503, "null"), Transient, Transient),
        (answer(201, r#"{"error":"oops"}"#), Transient, Record),
        (answer(200, "not logged in"), Unauthorized, Unauthorized),
        (answer(200, "\"not logged in\""), Unauthorized, Unauthorized),
        (answer(200, "all is well"), Transient, Transient),
        (answer(200, "{}"), Transient, Record),
        (answer(200, "true"), Transient, Record),
        (answer(200, r#"{"error":null}"#), Transient, Record),
        (answer(200, r#"[{"error":"oops"}]"#), Transient, Record),
        (answer(200, r#"[[["1"]]]"#), Transient, Record),
    ] {
        assert_eq!(account.classes(effect.clone()).await, (list, detail), "{effect:?}");
    }
    // What means "gone" for a record is no list.
    for body in ["null", "false"] {
        account.vendor.fault(Fault::new(answer(200, body))).unwrap();
        assert_eq!(account.list("customers").await.unwrap_err().class, Transient, "{body}");
        account.vendor.clear_faults();
    }
}

#[tokio::test]
async fn entries_without_an_id_are_counted_and_the_others_kept() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(200, r#"["1",2,"",null,["3"],"1"]"#))).unwrap();
    let page = account.list("customers").await.unwrap();
    assert_eq!(page.unusable_count, 3);
    assert_eq!(page.changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn empty_objects_and_broken_details_are_settings() {
    let account = account(r#"{"empty_object":"empty","broken_detail":"record"}"#).await;
    account.vendor.fault(Fault::new(answer(200, "{}"))).unwrap();
    assert!(account.list("customers").await.unwrap().changes.is_empty());
    assert_eq!(account.fetch("customers", "1").await.unwrap().found, Found::Gone);
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(Effect::EmptyBody)).unwrap();
    assert_eq!(account.list("customers").await.unwrap_err().class, FailureClass::Transient);
    assert_eq!(account.fetch("customers", "1").await.unwrap_err().class, FailureClass::Record);
}

#[tokio::test]
async fn the_vendors_clock_comes_with_every_answer_that_has_one() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    let now = account.vendor.now_ms().div_euclid(1000) * 1000;
    for (date, expected) in [
        (DateHeader::Present, Some(UtcMillis::new(now))),
        (DateHeader::SkewedSeconds(-86_400), Some(UtcMillis::new(now - 86_400_000))),
        (DateHeader::Absent, None),
    ] {
        account.vendor.change_clock(ClockChange { date: Some(date), ..ClockChange::default() });
        assert_eq!(account.list("customers").await.unwrap().date, expected);
        assert_eq!(account.fetch("customers", "683136").await.unwrap().date, expected);
    }
}

#[tokio::test]
async fn a_status_401_renews_the_credential_too() {
    let account = account("{}").await;
    account.keys.change(&secret("123", &format!("{API_KEY} ")));
    account.vendor.fault(Fault::new(answer(401, "")).times(1)).unwrap();
    assert_eq!(
        account.list("customers").await.unwrap_err().class,
        FailureClass::Unauthorized,
        "the same, but for a space"
    );
    account.vendor.rotate("124", "new", true);
    account.keys.change(&secret("124", "new"));
    account.vendor.fault(Fault::new(answer(401, "")).times(1)).unwrap();
    assert!(account.list("customers").await.is_ok());
    assert_eq!(account.keys.fresh_count(), 2);
}

#[tokio::test]
async fn a_broken_secret_is_named_never_shown_and_mended_when_it_is() {
    for broken in ["", "s3cret", "{\"api_id\":\"s3cret\"}", "{\"api_id\":\"1\",\"api_key\":\"\"}"] {
        let mut account = account("{}").await;
        account.keys = SharedKeys::new(broken);
        account.source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys);
        let failure = account.list("customers").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unauthorized, "{broken}");
        assert!(failure.cause.contains("api_key"), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cret"), "{failure:?}");
        assert_eq!(account.vendor.request_counts().total, 0);
        account.keys.change(&secret(API_ID, API_KEY));
        assert!(account.list("customers").await.is_ok());
    }
}

#[tokio::test]
async fn the_base_url_may_name_the_functions_folder_or_not() {
    let account = account("{}").await;
    for suffix in ["", "/", "/a", "/a/"] {
        let url = format!("{}{suffix}", account.vendor.url());
        let source = source_at(&url, &account.vendor, "{}", &account.keys);
        let listed = source.list(&stream("jobs"), ListRequest::Changed { from: BEGINNING }).await;
        assert!(listed.is_ok(), "{suffix}");
    }
    let wrong = source_at(&format!("{}/b", account.vendor.url()), &account.vendor, "{}", &account.keys);
    let failure = wrong.list(&stream("jobs"), ListRequest::Changed { from: BEGINNING }).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Forbidden);
}

#[tokio::test]
async fn stock_containers_are_their_ids_and_cost_no_call() {
    let account = account("{}").await;
    let (id, body, stamp) = account.fetched("stock_containers", "5\"").await;
    assert_eq!((id.as_str(), body.as_str(), stamp), ("5\"", r#"{"id":"5\""}"#, None));
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[tokio::test]
async fn what_this_source_does_not_have_is_refused_without_a_call() {
    let account = account("{}").await;
    let unknown = account.list("invoices").await.unwrap_err();
    assert_eq!(unknown.class, FailureClass::Forbidden);
    assert_eq!(account.fetch("invoices", "1").await.unwrap_err().class, FailureClass::Forbidden);
    for request in [
        ListRequest::Page { from: BEGINNING, page: 1 },
        ListRequest::Events { token: "1" },
        ListRequest::NewestToken,
        ListRequest::Snapshot { cursor: None },
    ] {
        let failure = account.source.list(&stream("jobs"), request).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Forbidden, "{request:?}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[tokio::test]
async fn the_parameters_are_settings() {
    let settings =
        r#"{"fields":{"customers":["name"],"tasks":[]},"fields_encoding":"list","fields_parameter":"columns"}"#;
    let account = account(settings).await;
    for name in ["customers", "tasks"] {
        account.vendor.seed_count(name, 1).unwrap();
        let id = account.listed(name).await.remove(0);
        account.fetch(name, &id).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
    let details: Vec<_> =
        account.vendor.requests().into_iter().filter(|request| request.kind == CallKind::Detail).collect();
    assert_eq!(details[0].parameters, ["id", "columns", "_api_now", "_api_md5", "_api_id"]);
    assert_eq!(details[1].parameters, ["id", "_api_now", "_api_md5", "_api_id"]);
    assert!(details.iter().all(|request| request.signature_ok));
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let account = account("{}").await;
    let config = SourceConfig {
        kind: SourceKind::FieldMotion,
        base_url: account.vendor.url(),
        settings: "{}",
        requests_per_second: "2",
    };
    let source = registry::build(config, account.keys.clone(), VendorTime(Fake::clone(&account.vendor))).unwrap();
    for _ in 0..4 {
        source.list(&stream("jobs"), ListRequest::Changed { from: BEGINNING }).await.unwrap();
    }
    let at: Vec<i64> = account.vendor.requests().iter().map(|request| request.at_ms).collect();
    let apart: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(apart, [500, 500, 500]);
}
