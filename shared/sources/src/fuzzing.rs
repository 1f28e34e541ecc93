//! Answers from memory instead of from the network, for the fuzz targets in `fuzz/`.
//!
//! Everything but the wire is real: what a target plays is read as if a vendor had sent it, and what it is asked is what a
//! vendor would have been sent. The script belongs to one thread.

use std::cell::RefCell;

use reqwest::{Response, Url};

use crate::http::Request;

/// One request as it would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its address, query included.
    pub url: String,
    /// The form that it posts; none for a GET.
    pub form: Option<String>,
    /// The header that carries the credential.
    pub credential: Option<Vec<u8>>,
}

/// What is answered.
pub type Reply = ::http::Response<Vec<u8>>;

/// Answers each request.
type Script = Box<dyn FnMut(Asked) -> Reply>;

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// Answers all requests of this thread from here on.
pub fn play(script: impl FnMut(Asked) -> Reply + 'static) {
    SCRIPT.set(Some(Box::new(script)));
}

/// What the script answers; none where nothing is played.
pub(crate) fn answered(request: &Request<'_>, url: &Url) -> Option<Response> {
    let asked = Asked {
        url: url.to_string(),
        form: request.form.clone(),
        credential: request.credential.as_ref().map(|(_, value)| value.as_bytes().to_vec()),
    };
    SCRIPT.with_borrow_mut(|script| Some(script.as_mut()?(asked).into()))
}
