//! HTTP/1.1 on a bare socket, so that an answer can be cut, stretched or withheld at any byte.
//!
//! A library server would refuse to send half a header or a body shorter than announced, and this fake exists to send
//! them. It reads only what a client of these vendors writes: a request line, headers and a body of announced length.

use std::time::Duration;

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_BODY_BYTES: usize = 8 << 20;
const FILLER: [u8; 16 << 10] = [b'['; 16 << 10];

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, for example `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query without its question mark, empty if there is none.
    pub query: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of a header; the name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered, and how it travels.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type of the body.
    pub content_type: String,
    /// Further headers, in order.
    pub headers: Vec<(String, String)>,
    /// The whole body, whatever the delivery makes of it.
    pub body: Vec<u8>,
    /// How the bytes are sent.
    pub delivery: Delivery,
}

impl Reply {
    /// An answer that arrives whole.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// A JSON answer that arrives whole.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "application/json", body)
    }
}

/// How the bytes of an answer are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// As HTTP wants it.
    Whole,
    /// The connection closes without a byte.
    Nothing,
    /// Only the first bytes of the status line and headers.
    CutHead {
        /// How many.
        after_bytes: usize,
    },
    /// All headers, but fewer bytes of the body than announced.
    CutBody {
        /// How many.
        after_bytes: usize,
        /// Ends with a reset instead of an orderly close.
        reset: bool,
    },
    /// The body dribbles.
    Slow {
        /// Bytes at a time.
        bytes: usize,
        /// Pause after each.
        every: Duration,
    },
    /// A body of no announced length, this long, in place of the real one.
    Endless {
        /// Where even this ends.
        bytes: usize,
    },
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Reads the next request; `None` when the client has closed the connection between two.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Request>> {
        let head_bytes = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.unread.len() > MAX_HEAD_BYTES {
                return Err(invalid("head too long"));
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return if self.unread.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        let head = self.unread.drain(..head_bytes).collect();
        let mut request = parse_head(&String::from_utf8(head).map_err(|_| invalid("head is not text"))?)?;
        if request.header("transfer-encoding").is_some() {
            return Err(invalid("transfer encodings are not read here"));
        }
        let body_bytes = match request.header("content-length") {
            Some(text) => text.parse().map_err(|_| invalid("content-length is not a number"))?,
            None => 0,
        };
        if body_bytes > MAX_BODY_BYTES {
            return Err(invalid("body too long"));
        }
        if request.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while self.unread.len() < body_bytes {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        request.body = self.unread.drain(..body_bytes).collect();
        Ok(Some(request))
    }

    /// Completes when the client has closed its end.
    pub(crate) async fn gone(&self) {
        let mut byte = [0];
        match self.stream.peek(&mut byte).await {
            Ok(0) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }

    /// Sends an answer; `true` when the connection can carry another one.
    pub(crate) async fn deliver(&mut self, reply: &Reply, date: Option<&str>, close: bool) -> io::Result<bool> {
        let head = head_of(reply, date, close);
        match reply.delivery {
            Delivery::Whole => {
                self.stream.write_all(&[head.as_bytes(), &reply.body].concat()).await?;
                Ok(!close)
            }
            Delivery::Nothing => Ok(false),
            Delivery::CutHead { after_bytes } => {
                let cut = head.as_bytes().split_at_checked(after_bytes).map_or(head.as_bytes(), |(start, _)| start);
                self.stream.write_all(cut).await?;
                Ok(false)
            }
            Delivery::CutBody { after_bytes, reset } => {
                let cut = reply.body.split_at_checked(after_bytes).map_or(&*reply.body, |(start, _)| start);
                self.stream.write_all(&[head.as_bytes(), cut].concat()).await?;
                if reset {
                    self.stream.set_zero_linger()?;
                }
                Ok(false)
            }
            Delivery::Slow { bytes, every } => {
                self.stream.write_all(head.as_bytes()).await?;
                for part in reply.body.chunks(bytes.max(1)) {
                    self.stream.write_all(part).await?;
                    pause(every).await;
                }
                Ok(!close)
            }
            Delivery::Endless { bytes } => {
                self.stream.write_all(head.as_bytes()).await?;
                let mut left = bytes;
                while left > 0 {
                    let part = FILLER.split_at_checked(left).map_or(&FILLER[..], |(start, _)| start);
                    let size = format!("{:x}\r\n", part.len());
                    self.stream.write_all(&[size.as_bytes(), part, b"\r\n"].concat()).await?;
                    left -= part.len();
                }
                self.stream.write_all(b"0\r\n\r\n").await?;
                Ok(!close)
            }
        }
    }
}

/// How late tokio's timer may be: it counts in whole milliseconds, and so does the system call that it waits with.
const TIMER_GRAIN: Duration = Duration::from_millis(3);

/// Lets time pass: only for answers that shall be late. The end of it is waited for on a thread, so that a latency
/// is the one that was asked for.
#[expect(clippy::disallowed_methods, reason = "a slow vendor is slow in real time")]
pub(crate) async fn pause(duration: Duration) {
    let until = Instant::now() + duration;
    tokio::time::sleep(duration.saturating_sub(TIMER_GRAIN)).await;
    let rest = move || std::thread::sleep(until.saturating_duration_since(Instant::now()));
    // It fails only when the fake is shut down, and then nobody waits for the answer.
    drop(tokio::task::spawn_blocking(rest).await);
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn parse_head(head: &str) -> io::Result<Request> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(_version)) = (words.next(), words.next(), words.next()) else {
        return Err(invalid("no request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Request { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), headers, body: Vec::new() })
}

fn head_of(reply: &Reply, date: Option<&str>, close: bool) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason_of(reply.status));
    let mut header = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    if let Some(date) = date {
        header("Date", date);
    }
    header("Content-Type", &reply.content_type);
    for (name, value) in &reply.headers {
        header(name, value);
    }
    if matches!(reply.delivery, Delivery::Endless { .. }) {
        header("Transfer-Encoding", "chunked");
    } else {
        header("Content-Length", &reply.body.len().to_string());
    }
    header("Connection", if close { "close" } else { "keep-alive" });
    head.push_str("\r\n");
    head
}

fn reason_of(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Answer",
    }
}
