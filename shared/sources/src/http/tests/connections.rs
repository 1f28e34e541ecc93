//! Which connection a call travels on.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;

use super::*;

/// A server that keeps its connections; each answer is the number of the connection that it came on, counted from 1.
async fn keeping() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            tokio::spawn(keep(stream, number));
        }
    });
    url
}

async fn keep(mut stream: TcpStream, number: usize) -> io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).await?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..count]);
        if is_whole(&request) {
            request.clear();
            stream.write_all(&answer("200 OK", "", format!("[{number}]").as_bytes())).await?;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a connection is kept is real time")]
async fn wait(span: Duration) {
    tokio::time::sleep(span).await;
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    assert_eq!(Patience::default().idle, Duration::from_secs(4));
    let url = keeping().await;
    let patience = Patience { idle: Duration::from_millis(300), ..Patience::default() };
    let client = client_with(&url, patience, &[]);
    let mut numbers = Vec::new();
    for idle_ms in [0, 0, 600] {
        wait(Duration::from_millis(idle_ms)).await;
        numbers.push(String::from_utf8(post_by(&client, LIST).await.unwrap().body).unwrap());
    }
    assert_eq!(numbers, ["[1]", "[1]", "[2]"]);
}

/// A server that speaks HTTP/2, answers the first request of a connection and never another one of it: as if what lies
/// between had forgotten the connection.
async fn dying(authority: &Authority) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let count = Arc::new(AtomicUsize::new(0));
    let (acceptor, counting) = (authority.acceptor.clone(), Arc::clone(&count));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            counting.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut answered = false;
                let mut kept = Vec::new();
                while let Some(Ok((_request, mut respond))) = connection.accept().await {
                    if answered {
                        kept.push(respond);
                        continue;
                    }
                    answered = true;
                    let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                    body.send_data(b"[]".to_vec().into(), true).unwrap();
                }
            });
        }
    });
    (url, count)
}

#[tokio::test]
async fn after_an_answer_that_never_came_another_connection_is_used() {
    let authority = authority_speaking(&["localhost"], &[b"h2"], |_| {});
    let (url, count) = dying(&authority).await;
    let patience = Patience { total: Duration::from_millis(500), ..Patience::default() };
    let client = client_with(&url, patience, std::slice::from_ref(&authority.certificate));
    assert_eq!(post_by(&client, LIST).await.unwrap().body, b"[]");
    let late = post_by(&client, LIST).await.err().unwrap();
    assert!(late.cause.contains("in time"), "{late}");
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(post_by(&client, LIST).await.unwrap().body, b"[]");
    assert_eq!(count.load(Ordering::Relaxed), 2);
}
