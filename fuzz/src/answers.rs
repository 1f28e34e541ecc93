//! Inputs: bytes that can be read and written by people, so that seeds can.
//!
//! ```text
//! <a line of choices>
//! <status>
//! <Header>: <value>
//!
//! <body>
//! ====
//! <the next answer>
//! ```

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tidemark_sources::fuzzing::Reply;

/// What stands between two answers.
const BETWEEN: &[u8] = b"\n====\n";

/// An input: a line of choices, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    choices: &'a [u8],
    /// Everything behind the first line.
    pub rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Reads the first line.
    pub fn of(data: &'a [u8]) -> Self {
        let (choices, rest) = line(data);
        Self { choices, rest }
    }

    /// The next choice, among so many.
    pub fn choose(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.choices.split_first() else { return 0 };
        self.choices = rest;
        usize::from(first.wrapping_sub(b'a')) % count
    }

    /// The next choice, of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.choose(of.len())]
    }

    /// The answers.
    pub fn replies(&self) -> Vec<Reply> {
        let mut rest = self.rest;
        let mut replies = Vec::new();
        loop {
            let end = rest.windows(BETWEEN.len()).position(|part| part == BETWEEN);
            let (one, after) = end.map_or((rest, None), |end| (&rest[..end], Some(&rest[end + BETWEEN.len()..])));
            replies.push(reply(one));
            match after {
                Some(after) => rest = after,
                None => return replies,
            }
        }
    }

    /// The rest as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.rest).into_owned()
    }

    /// The rest up to a line of its own, and what stands behind it.
    pub fn split(&self) -> (&'a [u8], &'a [u8]) {
        line(self.rest)
    }
}

fn line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}

/// An answer; what no server could send in its head is left out.
fn reply(text: &[u8]) -> Reply {
    let (status, mut rest) = line(text);
    let mut builder = Response::builder().status(StatusCode::from_bytes(status).unwrap_or(StatusCode::OK));
    loop {
        let (header, after) = line(rest);
        rest = after;
        let Some(colon) = header.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&header[..colon]);
        let value = HeaderValue::from_bytes(header[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            builder = builder.header(name, value);
        }
    }
    builder.body(rest.to_vec()).expect("each part of it was checked")
}
