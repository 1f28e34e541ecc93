//! The fetcher as it is built, at its most talkative.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const CANARY: &str = "canary-7f3a";

/// A request of the runtime, and its connection.
struct Asked {
    line: String,
    body: String,
    stream: TcpStream,
}

/// The next request of the fetcher's runtime.
fn next(lambda: &TcpListener) -> Asked {
    let (stream, _) = lambda.accept().expect("the runtime calls");
    let mut reader = BufReader::new(stream.try_clone().expect("one more handle"));
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line of a head");
        if line.trim().is_empty() {
            break;
        }
        head.push(line.to_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("its body");
    let line = head.first().cloned().unwrap_or_default();
    Asked { line, body: String::from_utf8_lossy(&body).into_owned(), stream }
}

fn answer(mut asked: Asked, headers: &str, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    asked.stream.write_all(format!("{head}{body}").as_bytes()).expect("it reads");
}

/// A message with a row, which the runtime would write whole.
#[test]
fn no_body_is_logged_at_any_level() {
    let lambda = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:fieldly";
    let mut fetcher = Command::new(env!("CARGO_BIN_EXE_fetcher"))
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", lambda.local_addr().expect("it listens").to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "fetcher"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("TIDEMARK_STACK", "tidemark"),
            ("TIDEMARK_SOURCE", "fieldly"),
            ("TIDEMARK_BASE_URL", "http://127.0.0.1:9"),
            ("TIDEMARK_SECRET_ARN", arn),
            ("TIDEMARK_STREAMS", "all"),
            ("TIDEMARK_SETTINGS", "{}"),
            ("TIDEMARK_REQUESTS_PER_SECOND", "2"),
            ("TIDEMARK_LEDGER_TABLE", "ledger"),
            ("TIDEMARK_RECORDS_TABLE", "records"),
            ("TIDEMARK_DELETED_RETENTION_DAYS", "30"),
            ("TIDEMARK_FETCHER_TIMEOUT_SECONDS", "120"),
            ("TIDEMARK_LOG", "trace"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the fetcher is built");
    let message = json!({"version": 99, "rows": {"1": {"body": {"name": CANARY}}}}).to_string();
    let event = json!({"Records": [{"messageId": "m-1", "body": message}]}).to_string();
    let asked = next(&lambda);
    assert!(asked.line.contains("/invocation/next"), "{}", asked.line);
    answer(asked, "Lambda-Runtime-Aws-Request-Id: r-1\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n", &event);
    let answered = next(&lambda);
    assert!(answered.line.contains("/invocation/r-1/"), "{}", answered.line);
    let outcome: Value = serde_json::from_str(&answered.body).expect("it answers JSON");
    let is_given_back = outcome["batchItemFailures"][0]["itemIdentifier"] == "m-1" || outcome["errorType"].is_string();
    assert!(is_given_back, "{outcome}");
    answer(answered, "", "");
    // It asks for the next event: all that there is to say of this one is said.
    drop(next(&lambda));
    fetcher.kill().expect("it still runs");
    let ended = fetcher.wait_with_output().expect("it ended");
    let said = String::from_utf8_lossy(&[&ended.stdout[..], &ended.stderr[..]].concat()).into_owned();
    assert!(said.contains("not_ours") && said.contains("m-1"), "the message was worked on: {said}");
    assert!(!said.contains(CANARY), "{said}");
}
