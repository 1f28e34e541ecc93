//! Answers that did not succeed, and those that hold an error instead of data.

use super::*;
use crate::http::Words;
use crate::http::body::ERROR_BYTES_MAX;

async fn believed(act: Act, terms: Terms) -> Answer {
    let server = Server::start(act).await;
    post_by(&client(&server.url(), &[]), terms).await.unwrap()
}

#[tokio::test]
async fn unsuccessful_answers_keep_their_status_and_the_start_of_their_text() {
    let kept = believed(Act::Say(answer("500 Oops", "Retry-After: 7\r\n", br#"{"error":"x"}"#)), DETAIL).await;
    assert_eq!(kept.body, br#"{"error":"x"}"#);
    assert!(!kept.status_is_final());
    assert_eq!(kept.problem().unwrap().class(Purpose::Detail), FailureClass::Transient);
    // Neither an endless nor a cut text makes it anything else than a failing vendor.
    let head = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let part = [b"1000\r\n".as_slice(), &[b'1'; 4096], b"\r\n"].concat();
    let endless = believed(Act::SayForEver(head, part), DETAIL).await;
    assert_eq!(endless.body.len(), ERROR_BYTES_MAX);
    assert_eq!(endless.problem().unwrap().class(Purpose::Detail), FailureClass::Transient);
    let cut = believed(Act::Say(b"HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\nabc".to_vec()), DETAIL).await;
    assert_eq!(cut.body, b"abc");
}

#[tokio::test]
async fn a_refusal_counts_in_the_vendors_own_words_alone() {
    use FailureClass::{Forbidden, Record, Transient, Unauthorized};
    let own = br#"{"error":"no"}"#;
    for (status, class) in [
        ("400 Bad Request", Record),
        ("401 Unauthorized", Unauthorized),
        ("403 Forbidden", Forbidden),
        ("404 Not Found", Forbidden),
        ("422 Unprocessable", Record),
    ] {
        let said = believed(Act::Say(answer(status, "", own)), DETAIL).await;
        assert_eq!((said.words, said.problem().unwrap().class(Purpose::Detail)), (Words::Vendors, class), "{status}");
        for (body, words) in [
            (&b""[..], Words::Nobodys),
            (b"<html><h1>Forbidden</h1></html>", Words::Page),
            (b"404 page not found", Words::Text),
            (br#"{"message":"Missing Authentication Token"}"#, Words::OtherJson),
        ] {
            let said = believed(Act::Say(answer(status, "", body)), DETAIL).await;
            assert_eq!(said.words, words, "{status}");
            assert_eq!(said.problem().unwrap().class(Purpose::Detail), Transient, "{status} {words:?}");
        }
    }
}

/// 64 KB on the wire that are 64 MiB.
#[tokio::test]
async fn a_compressed_error_text_is_inflated_to_its_first_2_kib_alone() {
    let text = format!(r#"{{"error":"{}"}}"#, "not logged in ".repeat(5 << 20));
    let bomb = gzip(text.as_bytes());
    let terms = Terms { purpose: Purpose::List, bytes_max: 64 << 20 };
    assert!(text.len() > terms.bytes_max && bomb.len() < 256 << 10);
    for status in ["200 OK", "401 Unauthorized", "500 Oops"] {
        let said = believed(Act::Say(answer(status, "Content-Encoding: gzip\r\n", &bomb)), terms).await;
        assert!(said.body.len() <= ERROR_BYTES_MAX + 8, "{status}: {}", said.body.len());
        let json = String::from_utf8(said.body).unwrap();
        assert!(Object::of(&json).unwrap().text("error").unwrap().starts_with("not logged in not"), "{status}");
    }
}

#[tokio::test]
async fn what_cannot_be_data_is_left_after_2_kib() {
    for start in ["<!DOCTYPE html>", "Fatal error: ", "\u{feff}\n\"an error in bare words "] {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let first = format!("{:x}\r\n{start}\r\n", start.len());
        let part = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
        let endless = Act::SayForEver([head, first.as_bytes()].concat(), part);
        let left = believed(endless, Terms { purpose: Purpose::List, bytes_max: 64 << 20 }).await;
        assert_eq!(left.body.len(), ERROR_BYTES_MAX, "{start}");
    }
    // Data are read to their end, whatever they hold.
    let list = format!(r#"[{}{{"error":"x"}}]"#, r#"{"error":"x"},"#.repeat(1000));
    let terms = Terms { purpose: Purpose::List, bytes_max: 64 << 10 };
    let read = believed(Act::Say(answer("200 OK", "", list.as_bytes())), terms).await;
    assert_eq!(read.body.len(), list.len());
}

#[tokio::test]
async fn what_stands_before_the_vendor_is_named() {
    for (headers, body, said) in [
        ("", "<html>Access denied. Your IP address 10.0.0.1 is not allowed.</html>", "allowed addresses"),
        ("", "<title>Attention Required! | Cloudflare</title>", "firewall before the vendor"),
        ("Cf-Mitigated: challenge\r\n", "<html></html>", "firewall before the vendor"),
        ("", "<html><h1>403 Forbidden</h1></html>", "what stands before its API"),
    ] {
        let answer = believed(Act::Say(answer("403 Forbidden", headers, body.as_bytes())), LIST).await;
        let failure = answer.problem().unwrap().into_failure("GET /jobs", Purpose::List);
        assert_eq!(failure.class, FailureClass::Transient);
        assert!(failure.next_step.unwrap().contains(said), "{body}: {:?}", failure.next_step);
        assert!(!failure.cause.contains("10.0.0.1"), "{failure}");
    }
}
