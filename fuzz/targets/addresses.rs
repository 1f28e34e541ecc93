//! The base URL, and ids that become parts of addresses below it.
#![no_main]

use http::Response;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fuzz::{Call, Input, Setup, play};
use tidemark_sources::fuzzing::Reply;
use tidemark_sources::http::BaseUrl;

const JOBS: StreamName = StreamName::known("jobs");
const CLIENTS: StreamName = StreamName::known("clients");
const LOCATIONS: StreamName = StreamName::known("customer_locations");
const BY_PATH: &str = r#"{"detail_style":"path"}"#;
const PAGE: ListRequest<'static> = ListRequest::Page(StampMillis::new(1_767_000_000_000), 1);

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let asks = input.choose(4);
    let navigator = Setup { settings: BY_PATH, ..Setup::of(SourceKind::FsmNavigator) };
    match asks {
        0 => {
            let (address, id) = input.split();
            let (Ok(address), Ok(id)) = (str::from_utf8(address), str::from_utf8(id)) else { return };
            let Ok(base) = BaseUrl::parse(address) else { return };
            base_is_safe(&base);
            let Ok(id) = RecordId::parse(id) else { return };
            let setup = Setup { base_url: address, ..navigator };
            let played = play(setup, &[nothing()], Call::Fetch(&JOBS, &id)).expect("the address is good");
            let base = base.or_path("/api/v1").to_string();
            played.asked.iter().for_each(|asked| is_one_segment(&asked.url, &format!("{base}/jobs/"), &id, ""));
        }
        1 => {
            let Ok(id) = RecordId::parse(input.text()) else { return };
            let played = play(navigator, &[nothing()], Call::Fetch(&JOBS, &id)).expect("these settings are good");
            played
                .asked
                .iter()
                .for_each(|asked| is_one_segment(&asked.url, "https://vendor.example/base/jobs/", &id, ""));
            let plain = Setup::of(SourceKind::FsmNavigator);
            let played = play(plain, &[nothing()], Call::Fetch(&JOBS, &id)).expect("these settings are good");
            for asked in &played.asked {
                let value =
                    asked.url.strip_prefix("https://vendor.example/base/jobs?id=").expect("the id is its value");
                assert!(!value.contains(['&', '=', '#', '?']), "another parameter: {value}");
                let back = percent_decode_str(&value.replace('+', " ")).decode_utf8().expect("UTF-8").into_owned();
                assert_eq!(back, id.as_str());
            }
        }
        2 => {
            let Ok(id) = RecordId::parse(input.text()) else { return };
            let token: Reply = Response::new(br#"{"access_token":"t0ken"}"#.to_vec());
            let setup = Setup::of(SourceKind::Fieldly);
            let played = play(setup, &[token, nothing()], Call::Fetch(&CLIENTS, &id)).expect("these settings are good");
            for asked in played.asked.iter().filter(|asked| asked.form.is_none()) {
                is_one_segment(&asked.url, "https://vendor.example/base/clients/", &id, "");
            }
        }
        _ => {
            // The vendor's own ids become addresses, too: of what belongs to a parent.
            let Ok(id) = RecordId::parse(input.text()) else { return };
            let row = serde_json::json!({ "id": id.as_str() });
            let parents = serde_json::json!({ "data": [row], "pagination": { "page": 1, "total_pages": 1 } });
            let children: Reply = Response::new(br#"{"data":[{"id":9}],"pagination":{"total_pages":1}}"#.to_vec());
            let replies = [Response::new(parents.to_string().into_bytes()), children.clone()];
            let played = play(navigator, &replies, Call::List(&LOCATIONS, PAGE)).expect("these settings are good");
            for asked in played.asked.iter().skip(1) {
                is_one_segment(&asked.url, "https://vendor.example/base/customers/", &id, "/locations");
            }
            if let tidemark_fuzz::Outcome::Page(page) = &played.outcome
                && let Some(child) = page.changes.first()
            {
                let played = play(navigator, &[children], Call::Fetch(&LOCATIONS, &child.id)).expect("it was built");
                let url = &played.asked.first().expect("a listed id can be fetched").url;
                is_one_segment(url, "https://vendor.example/base/customers/", &id, "/locations");
            }
        }
    }
});

fn nothing() -> Reply {
    Response::new(b"{}".to_vec())
}

/// The address is `before`, the id as one segment, and `after`.
fn is_one_segment(url: &str, before: &str, id: &RecordId, after: &str) {
    let path = url.split('?').next().unwrap_or_default();
    let segment = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let segment = segment.unwrap_or_else(|| panic!("{url} is not {before}..{after}"));
    assert!(!segment.contains(['/', '#', '\\']) && !matches!(segment, "." | ".."), "more than a segment: {url}");
    assert_eq!(percent_decode_str(segment).decode_utf8().expect("UTF-8"), id.as_str(), "another id: {url}");
}

fn base_is_safe(base: &BaseUrl) {
    let shown = base.to_string();
    assert_eq!(BaseUrl::parse(&shown).as_ref(), Ok(base), "an address that is shown can be written");
    assert!(!shown.contains(['?', '#', '\\']), "{shown}");
    let host = shown.split('/').nth(2).unwrap_or_default();
    assert!(!host.contains('@'), "{shown}");
    let is_loopback = ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start));
    assert!(shown.starts_with("https://") || (shown.starts_with("http://") && is_loopback), "{shown}");
}
