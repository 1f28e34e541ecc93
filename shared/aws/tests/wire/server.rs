//! An HTTP server that answers each request with the next line of its script.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tidemark_aws::Sdk;

/// One answer, made from the request's body.
pub(crate) enum Answer {
    /// This status and body.
    Body(u16, Box<dyn Fn(&Value) -> String + Send>),
    /// None: the connection is closed, as when an answer is lost.
    Lost,
}

pub(crate) fn body(status: u16, text: &str) -> Answer {
    let text = text.to_owned();
    Answer::Body(status, Box::new(move |_| text.clone()))
}

pub(crate) fn ok(answer: impl Fn(&Value) -> Value + Send + 'static) -> Answer {
    Answer::Body(200, Box::new(move |request| answer(request).to_string()))
}

/// A refusal by code, as the JSON protocols of AWS write it.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    body(status, &serde_json::json!({ "__type": code, "message": message }).to_string())
}

/// The server's script and what it was asked.
#[derive(Clone)]
pub(crate) struct Server {
    requests: Arc<Mutex<Vec<Value>>>,
    pub(crate) endpoint: String,
}

impl Server {
    /// Starts a server. A request past the end of the script is answered with a refusal.
    pub(crate) fn answering(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it has an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut script: VecDeque<Answer> = script.into_iter().collect();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let Some(request) = read(&stream) else { continue };
                seen.lock().expect("nobody panics with it").push(request.clone());
                match script.pop_front().unwrap_or_else(|| refusal(400, "ScriptIsOver", "no answer is left")) {
                    Answer::Body(status, text) => write(stream, status, &text(&request)),
                    Answer::Lost => drop(stream),
                }
            }
        });
        Self { requests, endpoint }
    }

    pub(crate) async fn sdk(&self) -> Sdk {
        Sdk::local(&self.endpoint).await
    }

    /// The bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().expect("nobody panics with it").clone()
    }
}

fn read(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn write(mut stream: TcpStream, status: u16, text: &str) {
    let head = "content-type: application/x-amz-json-1.0\r\nconnection: close\r\n";
    let written = write!(stream, "HTTP/1.1 {status} Scripted\r\n{head}content-length: {}\r\n\r\n{text}", text.len());
    written.and_then(|()| stream.flush()).expect("the client reads its answer");
}
