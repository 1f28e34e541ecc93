//! What a deployment says of a source: settings, streams, rate and address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemark_engine::ports::Source;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fuzz::Input;
use tidemark_fuzz::world::{Keys, Time, finished, secret};
use tidemark_sources::registry::{self, SourceConfig};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let kind = input.pick(SourceKind::ALL);
    let what = input.choose(4);
    let text = input.text();
    let (base_url, settings, requests_per_second) = match what {
        0 => ("https://vendor.example", text.as_str(), "2"),
        1 => (text.as_str(), "{}", "2"),
        2 => ("https://vendor.example", "{}", text.as_str()),
        _ => return streams(kind, &text),
    };
    let config = SourceConfig { kind, base_url, settings, requests_per_second };
    let build = || registry::build(config, Keys(secret(kind).0), Time::default());
    match build() {
        Ok(source) => {
            let streams = registry::streams_of(kind, settings).expect("the settings are good");
            assert_eq!(source.streams(), streams);
            for stream in &streams {
                assert!(StreamName::parse(stream.name.as_str()).is_ok());
            }
            let mark = || finished(build().ok()?.account_mark()).ok();
            assert!(mark().is_some() && mark() == mark(), "one mark for one account");
        }
        Err(bad) => {
            assert!(!bad.problems.is_empty());
            for problem in &bad.problems {
                assert!(problem.len() <= 2_000, "{problem}");
                assert!(!problem.contains(char::is_control), "{problem:?}");
            }
        }
    }
});

fn streams(kind: SourceKind, text: &str) {
    let streams = registry::streams_of(kind, "{}").unwrap_or_default();
    let known: Vec<StreamName> = streams.into_iter().map(|stream| stream.name).collect();
    match registry::parse_streams(kind, "{}", text) {
        Ok(named) => {
            assert!(!named.is_empty());
            let written = named.iter().map(StreamName::as_str).collect::<Vec<_>>().join(",");
            assert_eq!(registry::parse_streams(kind, "{}", &written), Ok(named.clone()));
            assert!(named.iter().all(|name| known.contains(name)));
        }
        Err(bad) => assert!(!bad.to_string().contains(char::is_control), "{bad}"),
    }
}
