//! The poller as it is built, started with a configuration that is not right.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own expectation")]

use std::process::{Command, Output};

use serde_json::Value;

const CANARY: &str = "canary-7f3a";

/// Starts the poller with these variables and no others, and waits for its end.
fn started_with(variables: &[(&str, &str)]) -> Output {
    let mut poller = Command::new(env!("CARGO_BIN_EXE_poller"));
    poller.env_clear().envs(variables.iter().copied()).output().expect("the poller is built")
}

/// What it said, every line of which is a JSON object.
fn lines(ended: &Output) -> Vec<Value> {
    let said = [&ended.stdout[..], &ended.stderr[..]].concat();
    let said = String::from_utf8(said).expect("it says text");
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

#[test]
fn every_problem_is_named_in_one_line_and_no_secret_is() {
    let with_canary = |start: &str, end: &str| format!("{start}{CANARY}{end}");
    let base_url = with_canary("https://user:", "@vendor.example");
    let secret_arn = with_canary("{\"api_key\":\"", "\"}");
    let settings = with_canary("{\"timezone\":\"Mars/Olympus\",\"api_key\":\"", "\"}");
    let log = with_canary("tidemark=", "");
    let ended = started_with(&[
        ("TIDEMARK_SOURCE", "fieldmotion"),
        ("TIDEMARK_BASE_URL", &base_url),
        ("TIDEMARK_SECRET_ARN", &secret_arn),
        ("TIDEMARK_STREAMS", "customers,inventory"),
        ("TIDEMARK_SETTINGS", &settings),
        ("TIDEMARK_REQUESTS_PER_SECOND", "0"),
        ("TIDEMARK_POLL_RATE", "5 minutes"),
        ("TIDEMARK_OVERLAP_SECONDS", "62"),
        ("TIDEMARK_POISON_POLICY", "ignore"),
        ("TIDEMARK_FETCHER_TIMEOUT_SECONDS", "120"),
        ("TIDEMARK_VISIBILITY_TIMEOUT_SECONDS", "719"),
        ("TIDEMARK_LOG", &log),
    ]);
    assert!(!ended.status.success());
    let lines = lines(&ended);
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert_eq!((&line["level"], &line["error_type"]), (&"ERROR".into(), &"StartFailed".into()), "{line}");
    let said = line["message"].as_str().expect("it has a message");
    for variable in [
        "TIDEMARK_STACK",
        "TIDEMARK_BASE_URL",
        "TIDEMARK_SECRET_ARN",
        "TIDEMARK_STREAMS",
        "TIDEMARK_SETTINGS",
        "TIDEMARK_REQUESTS_PER_SECOND",
        "TIDEMARK_CHECKPOINTS_TABLE",
        "TIDEMARK_LEDGER_TABLE",
        "TIDEMARK_RECORDS_TABLE",
        "TIDEMARK_QUEUE_URL",
        "TIDEMARK_POLL_RATE",
        "TIDEMARK_OVERLAP_SECONDS",
        "TIDEMARK_POISON_POLICY",
        "TIDEMARK_VISIBILITY_TIMEOUT_SECONDS",
        "TIDEMARK_LOG",
    ] {
        assert!(said.contains(variable), "{variable} is missing in: {said}");
    }
    assert!(!line.to_string().contains(CANARY), "{line}");
}

#[test]
fn an_empty_environment_and_an_unknown_source_end_the_start_and_say_what_to_set() {
    for (variables, said) in [
        (&[][..], "TIDEMARK_SOURCE is not set; set it to one of"),
        (&[("TIDEMARK_SOURCE", "acme")][..], "there is no such source; set it to one of"),
    ] {
        let ended = started_with(variables);
        assert!(!ended.status.success());
        let lines = lines(&ended);
        let message = lines.last().and_then(|line| line["message"].as_str()).unwrap_or_default();
        assert!(message.contains(said), "{lines:?}");
    }
}
