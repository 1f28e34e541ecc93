//! The client against a server that misbehaves on purpose.

mod connections;
mod errors;
mod redirects;

use std::error::Error as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::Certificate;
use reqwest::header::{HeaderName, HeaderValue};
use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Clock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

use crate::json::Object;

use super::{Answer, BaseUrl, HttpClient, Patience, Purpose, Request, RequestsPerSecond, Terms};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> LocalMillis {
        LocalMillis::new(1_767_225_600_000)
    }

    async fn sleep(&self, _span: Duration) {}
}

/// What a server does after it read a request.
#[derive(Clone)]
enum Act {
    /// Writes this and closes.
    Say(Vec<u8>),
    /// Writes the first, then the second over and over until the client leaves.
    SayForEver(Vec<u8>, Vec<u8>),
    /// Writes the first, then the second every few milliseconds until the client leaves.
    Dribble(Vec<u8>, Vec<u8>),
    /// Writes this, then nothing more, and keeps the connection.
    Stall(Vec<u8>),
    /// Answers a request for this path so, and every other one with an empty array.
    At(&'static str, Vec<u8>),
}

/// A server on loopback; `requests` yields what it was sent, head and body.
struct Server {
    port: u16,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    async fn start(act: Act) -> Self {
        Self::start_with(act, None).await
    }

    async fn start_with(act: Act, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (act, tls, sender) = (act.clone(), tls.clone(), sender.clone());
                tokio::spawn(async move {
                    // A client that leaves in the middle is what many of these tests are about.
                    let _left = match tls {
                        None => serve(stream, act, sender).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, act, sender).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self { port, requests }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/a", self.port)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    act: Act,
    requests: mpsc::UnboundedSender<String>,
) -> io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !is_whole(&request) {
        let count = stream.read(&mut part).await?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..count]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    requests.send(request).unwrap();
    match act {
        Act::At(at, bytes) => {
            let bytes = if path == at { bytes } else { answer("200 OK", "", b"[]") };
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Act::Say(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Act::SayForEver(start, part) => {
            stream.write_all(&start).await?;
            loop {
                stream.write_all(&part).await?;
            }
        }
        Act::Dribble(start, part) => {
            stream.write_all(&start).await?;
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                stream.write_all(&part).await?;
            }
        }
        Act::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            std::future::pending().await
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    body.len() >= length
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

const DETAIL: Terms = Terms { purpose: Purpose::Detail, bytes_max: 1000 };
const LIST: Terms = Terms { purpose: Purpose::List, bytes_max: 1000 };

fn client(base: &str, trusted: &[Certificate]) -> HttpClient<Stopped> {
    client_with(base, Patience::default(), trusted)
}

fn client_with(base: &str, patience: Patience, trusted: &[Certificate]) -> HttpClient<Stopped> {
    let rate = RequestsPerSecond::parse("100000").unwrap();
    HttpClient::new(BaseUrl::parse(base).unwrap(), rate, own_error, Stopped).with(patience, trusted)
}

/// The errors of these tests' vendor: `{"error":"a text"}`.
fn own_error(json: &str) -> bool {
    Object::of(json).is_some_and(|object| object.text("error").is_some())
}

async fn post(base: &str, terms: Terms) -> Result<Answer, SourceFailure> {
    post_by(&client(base, &[]), terms).await
}

/// A call by GET of `/a/<segments>`.
async fn get_by(
    client: &HttpClient<Stopped>,
    segments: &[&str],
    query: &[(&str, &str)],
) -> Result<Answer, SourceFailure> {
    let turn = client.turn().await;
    let credential = Some((HeaderName::from_static("x-api-key"), HeaderValue::from_static("s3cret-key")));
    let request = Request { call: "GET /jobs", segments, query, credential, form: None, terms: LIST };
    client.send(turn, request).await.map_err(|problem| problem.into_failure("GET /jobs", LIST.purpose))
}

async fn post_by(client: &HttpClient<Stopped>, terms: Terms) -> Result<Answer, SourceFailure> {
    let turn = client.turn().await;
    let form = "id=s3cret-id&_api_md5=s3cret-md5".to_owned();
    let result = client
        .send(
            turn,
            Request {
                call: "Jobs_getById",
                segments: &["Jobs_getById"],
                query: &[],
                credential: None,
                form: Some(form),
                terms,
            },
        )
        .await;
    result.map_err(|problem| problem.into_failure("Jobs_getById", terms.purpose))
}

/// The failure of a call to a server that does this, checked to show nothing that it should not.
async fn failure(act: Act, terms: Terms) -> SourceFailure {
    let mut server = Server::start(act).await;
    let failure = post(&server.url(), terms).await.err().expect("the call should fail");
    assert!(server.requests.try_recv().is_ok(), "the request never arrived");
    let mut shown = vec![format!("{failure} {failure:?}")];
    let mut below = failure.source();
    while let Some(error) = below {
        shown.push(format!("{error} {error:?}"));
        below = error.source();
    }
    let shown = shown.join(" ");
    for secret in ["s3cret", "127.0.0.1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    failure
}

#[tokio::test]
async fn a_form_arrives_as_it_was_made_and_its_answer_whole() {
    let headers = "Date: Thu, 01 Jan 2026 00:00:01 GMT\r\n";
    let mut server = Server::start(Act::Say(answer("200 OK", headers, b"[\"1\"]"))).await;
    let answer = post(&server.url(), LIST).await.unwrap();
    assert!(answer.problem().is_none());
    assert_eq!(answer.body, b"[\"1\"]");
    assert_eq!(answer.date, Some(VendorMillis::new(1_767_225_601_000)));
    let request = server.requests.recv().await.unwrap().to_lowercase();
    assert!(request.starts_with("post /a/jobs_getbyid http/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.contains(&format!("user-agent: tidemark/{}\r\n", env!("CARGO_PKG_VERSION"))), "{request}");
    assert!(request.ends_with("\r\n\r\nid=s3cret-id&_api_md5=s3cret-md5"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_target_never_called() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let mut target = Server::start(Act::Say(answer("200 OK", "", b"[]"))).await;
        let location = format!("Location: {}/s3cret\r\n", target.url());
        let failure = failure(Act::Say(answer(status, &location, b"")), DETAIL).await;
        assert_eq!(failure.class, FailureClass::Transient, "{status}");
        assert!(failure.cause.contains("redirect"), "{failure}");
        assert!(target.requests.try_recv().is_err(), "{status} was followed");
    }
}

#[tokio::test]
async fn an_endless_body_is_left_at_its_limit() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let part = [b"200\r\n".as_slice(), &[b'1'; 512], b"\r\n"].concat();
    let endless = Act::SayForEver(head, part);
    assert_eq!(failure(endless.clone(), LIST).await.class, FailureClass::Transient);
    let detail = failure(endless, DETAIL).await;
    assert_eq!(detail.class, FailureClass::Record);
    assert!(detail.cause.contains("more than 1000 bytes"), "{detail}");
}

#[tokio::test]
async fn a_body_without_length_ends_with_its_connection_and_within_its_limit() {
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n[1]".to_vec();
    let server = Server::start(Act::Say(until_close)).await;
    assert_eq!(post(&server.url(), LIST).await.unwrap().body, b"[1]");
    let endless = Act::SayForEver(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'1'; 512]);
    assert_eq!(failure(endless, DETAIL).await.class, FailureClass::Record);
}

#[tokio::test]
async fn the_limit_is_exact() {
    let server = Server::start(Act::Say(answer("200 OK", "", &[b'1'; 1000]))).await;
    assert_eq!(post(&server.url(), DETAIL).await.unwrap().body.len(), 1000);
    assert_eq!(failure(Act::Say(answer("200 OK", "", &[b'1'; 1001])), DETAIL).await.class, FailureClass::Record);
}

#[tokio::test]
async fn an_announced_length_beyond_the_limit_is_enough_to_refuse() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n".to_vec();
    assert_eq!(failure(Act::Stall(head), DETAIL).await.class, FailureClass::Record);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_answers_are_read_and_counted_unpacked() {
    let headers = "Content-Encoding: gzip\r\n";
    let server = Server::start(Act::Say(answer("200 OK", headers, &gzip(b"[1,2]")))).await;
    assert_eq!(post(&server.url(), LIST).await.unwrap().body, b"[1,2]");
    let bomb = gzip(&vec![b'1'; 4 << 20]);
    assert!(bomb.len() < 10 << 10, "the bomb should be small on its way");
    let detail = failure(Act::Say(answer("200 OK", headers, &bomb)), DETAIL).await;
    assert_eq!(detail.class, FailureClass::Record);
}

#[tokio::test]
async fn a_cut_or_garbled_compressed_answer_is_a_failure() {
    let headers = "Content-Encoding: gzip\r\n";
    let whole = gzip(b"[1,2,3,4,5,6,7,8,9]");
    let half = &whole[..whole.len() / 2];
    for body in [half, b"plain", b""] {
        let server = Server::start(Act::Say(answer("200 OK", headers, body))).await;
        match post(&server.url(), DETAIL).await {
            Err(failure) => assert_eq!(failure.class, FailureClass::Transient, "{failure}"),
            Ok(answer) => assert!(answer.body.is_empty(), "only nothing may be read from nothing"),
        }
    }
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_cut_and_a_longer_one_ends_where_announced() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1]".to_vec();
    let cut = failure(Act::Say(short), DETAIL).await;
    assert_eq!(cut.class, FailureClass::Transient);
    assert!(cut.cause.contains("cut short"), "{cut}");
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1],2]".to_vec();
    let server = Server::start(Act::Say(long)).await;
    assert_eq!(post(&server.url(), DETAIL).await.unwrap().body, b"[1]");
}

#[tokio::test]
async fn a_chunked_body_cut_anywhere_is_a_failure() {
    let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n";
    for cut in [20, 48, 53, 57, whole.len() - 2] {
        let failure = failure(Act::Say(whole[..cut].to_vec()), LIST).await;
        assert_eq!(failure.class, FailureClass::Transient, "cut after {cut} bytes");
    }
}

#[tokio::test]
async fn an_answer_that_dribbles_or_never_comes_ends_with_the_deadline() {
    let patience = Patience { total: Duration::from_millis(200), ..Patience::default() };
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for act in [
        Act::Stall(Vec::new()),
        Act::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n".to_vec()),
        Act::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1,".to_vec()),
        Act::Dribble(head.into(), b"1\r\n1\r\n".to_vec()),
    ] {
        let server = Server::start(act).await;
        let late = post_by(&client_with(&server.url(), patience, &[]), DETAIL).await.err().unwrap();
        assert_eq!(late.class, FailureClass::Transient);
        assert!(late.cause.contains("in time"), "{late}");
    }
}

#[tokio::test]
async fn headers_beyond_their_limit_are_refused() {
    let headers = format!("X-Filler: {}\r\n", "x".repeat(33 << 10));
    let failure = failure(Act::Say(answer("200 OK", &headers, b"[]")), DETAIL).await;
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(failure.cause.contains("32 KiB of headers"), "{failure}");
    let endless = Act::SayForEver(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Filler: x\r\n".to_vec());
    assert_eq!(super::tests::failure(endless, DETAIL).await.class, FailureClass::Transient);
}

#[tokio::test]
async fn what_is_no_http_is_a_failure() {
    for bytes in [&b"SSH-2.0-OpenSSH\r\n"[..], b"\0\0\0\0", b"", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] {
        assert_eq!(failure(Act::Say(bytes.to_vec()), LIST).await.class, FailureClass::Transient);
    }
}

#[tokio::test]
async fn nobody_listening_is_a_failure_without_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    drop(listener);
    let failure = post(&base, LIST).await.err().unwrap();
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(failure.cause.contains("could not be reached"), "{failure}");
}

#[tokio::test]
async fn a_status_that_says_it_all_is_not_read_further() {
    let head = "HTTP/1.1 429 Slow Down\r\nRetry-After: 30\r\nContent-Length: 100\r\n\r\n";
    let server = Server::start(Act::Stall(head.into())).await;
    let answer = post(&server.url(), DETAIL).await.unwrap();
    assert!(answer.status_is_final());
    let throttled = FailureClass::Throttled { retry_after: Some(Duration::from_secs(30)) };
    assert_eq!(answer.problem().unwrap().class(Purpose::Detail), throttled);
}

#[tokio::test]
async fn the_text_of_a_429_is_read_for_those_who_ask_for_it() {
    let server = Server::start(Act::Say(answer("429 Slow Down", "", br#"{"retry_after":60}"#))).await;
    assert_eq!(post(&server.url(), LIST).await.unwrap().body, b"");
    let kept = post_by(&client(&server.url(), &[]).reading_throttled(), LIST).await.unwrap();
    assert_eq!(kept.body, br#"{"retry_after":60}"#);
    assert!(kept.status_is_final());
}

/// An authority, and what it certified for a server.
struct Authority {
    certificate: Certificate,
    acceptor: TlsAcceptor,
}

fn authority(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Authority {
    authority_speaking(names, &[], change)
}

/// The same for a server that speaks these protocols.
fn authority_speaking(names: &[&str], alpn: &[&[u8]], change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = CertificateParams::new(names).unwrap();
    change(&mut leaf);
    let leaf = leaf.signed_by(&key, &root).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_protocol_versions(&[&version::TLS12, &version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let certificate = Certificate::from_der(root.der()).unwrap();
    Authority { certificate, acceptor: TlsAcceptor::from(Arc::new(config)) }
}

/// A call to a server with this certificate by a client that trusts its authority or nobody, and what the server was
/// sent.
async fn post_over_tls(authority: &Authority, is_trusted: bool) -> (Result<Answer, SourceFailure>, Option<String>) {
    let act = Act::Say(answer("200 OK", "Connection: close\r\n", b"[1]"));
    let mut server = Server::start_with(act, Some(authority.acceptor.clone())).await;
    let stranger = self::authority(&["localhost"], |_| {});
    let trusted = if is_trusted { &authority.certificate } else { &stranger.certificate };
    let client = client(&format!("https://localhost:{}", server.port), std::slice::from_ref(trusted));
    let result = post_by(&client, LIST).await;
    (result, server.requests.try_recv().ok())
}

#[tokio::test]
async fn a_certificate_must_verify_before_anything_is_sent() {
    let good = authority(&["localhost"], |_| {});
    let (answered, sent) = post_over_tls(&good, true).await;
    assert_eq!(answered.unwrap().body, b"[1]");
    assert!(sent.is_some());

    let expired = authority(&["localhost"], |leaf| leaf.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let other_host = authority(&["cp13.fieldmotion.com"], |_| {});
    for (name, authority, is_trusted) in
        [("unknown issuer", &good, false), ("expired", &expired, true), ("another host's", &other_host, true)]
    {
        let (answered, sent) = post_over_tls(authority, is_trusted).await;
        let failure = answered.err().unwrap_or_else(|| panic!("{name}: accepted"));
        assert_eq!(failure.class, FailureClass::Transient, "{name}");
        assert!(failure.cause.contains("could not be reached"), "{name}: {failure}");
        assert_eq!(sent, None, "{name}: something was sent");
    }
}

#[tokio::test]
async fn plain_http_is_never_an_answer_to_https() {
    let mut server = Server::start(Act::Say(answer("200 OK", "", b"[]"))).await;
    let patience = Patience { connect: Duration::from_millis(300), ..Patience::default() };
    let trusted = authority(&["localhost"], |_| {}).certificate;
    let client = client_with(&format!("https://localhost:{}", server.port), patience, &[trusted]);
    let failure = post_by(&client, LIST).await.err().unwrap();
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(server.requests.try_recv().is_err());
}
