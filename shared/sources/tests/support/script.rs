//! A vendor that a test writes itself: one function from request to answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use tidemark_fakes::Fake;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request, as far as a script looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Below the host.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The `Authorization` header.
    pub(crate) authorization: String,
}

impl Asked {
    /// Which page.
    pub(crate) fn page(&self) -> usize {
        self.query.get("page").map_or(1, |page| page.parse().unwrap())
    }

    /// A parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// What a script answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

/// An answer with this status and body.
pub(crate) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, body: body.into(), headers: Vec::new() }
}

impl Reply {
    /// The same with another header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Answering = dyn FnMut(&Asked) -> Reply + Send;

/// A script that listens.
pub(crate) struct Script {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Listens, with the date of this clock in every answer.
    pub(crate) async fn start(clock: &Fake, answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (clock, log) = (clock.clone(), Arc::clone(&asked));
        let answer: Arc<Mutex<Box<Answering>>> = Arc::new(Mutex::new(Box::new(answer)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(exchange(stream, clock.clone(), Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Self { url, asked }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn exchange(
    mut stream: TcpStream,
    clock: Fake,
    log: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Mutex<Box<Answering>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.ok().filter(|length| *length > 0)?;
        head.extend_from_slice(part.get(..length)?);
    }
    let asked = read(&String::from_utf8_lossy(&head));
    log.lock().unwrap().push(asked.clone());
    let Reply { status, body, headers } = answer.lock().unwrap()(&asked);
    let date = jiff::Timestamp::from_millisecond(clock.now_ms()).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let mut head = vec![format!("HTTP/1.1 {status} Status"), format!("Date: {date}"), "Connection: close".to_owned()];
    if status != 204 {
        head.push(format!("Content-Length: {}", body.len()));
    }
    head.extend(headers.into_iter().map(|(name, value)| format!("{name}: {value}")));
    let written = [head.join("\r\n").as_bytes(), b"\r\n\r\n", &body].concat();
    stream.write_all(&written).await.ok()?;
    stream.shutdown().await.ok()
}

fn read(head: &str) -> Asked {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
    });
    Asked {
        path: decoded(path),
        query: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(),
        authorization: authorization.unwrap_or_default(),
    }
}
