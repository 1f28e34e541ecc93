//! The only HTTP client.
//!
//! What it refuses, for every vendor alike: a certificate that does not verify, TLS below 1.2, plain `http` to another
//! machine, a redirect, a proxy from the environment, an answer beyond its size limit (counted after decompression,
//! while it streams) or beyond the deadline. It tries once: tries again are the engine's business.
//!
//! How one could get it wrong: put a body, an address or a header into an error. They hold ids, personal data or
//! credentials; `Problem` is the only way out of here, and it shows none.

mod allowance;
mod base_url;
mod headers;
mod problem;
mod rate;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode, redirect, retry, tls};
use tidemark_engine::ports::Clock;
use tidemark_engine::stamp::UtcMillis;
use tokio::sync::OnceCell;

use self::allowance::Allowance;
pub use self::base_url::{BadBaseUrl, BaseUrl};
pub(crate) use self::problem::{Problem, Purpose};
use self::rate::Gate;
pub(crate) use self::rate::Turn;
pub use self::rate::{BadRate, RequestsPerSecond};

/// How large one record's answer may be.
pub(crate) const DETAIL_BYTES_MAX: usize = 4 << 20;
/// How large a page of a list may be.
pub(crate) const PAGE_BYTES_MAX: usize = 16 << 20;
/// How large a list of all changed ids may be.
pub(crate) const ID_LIST_BYTES_MAX: usize = 64 << 20;
/// How much of an answer is read that did not succeed: enough for its error text.
const ERROR_BYTES_MAX: usize = 64 << 10;

const USER_AGENT: &str = concat!("tidemark/", env!("CARGO_PKG_VERSION"));

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until the connection stands, TLS included.
    pub(crate) connect: Duration,
    /// Until the last byte of the answer.
    pub(crate) total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(30) }
    }
}

/// What one call is for and how large its answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// How large the answer may be, after decompression.
    pub(crate) bytes_max: usize,
}

/// One request, before it is addressed to the configured host.
pub(crate) struct Request<'a> {
    /// The function or address pattern, for logs; never a record's address.
    pub(crate) call: &'a str,
    /// The path below the base URL; each segment is percent-encoded so that it stays one, and an empty last one makes
    /// a slash at the end.
    pub(crate) segments: &'a [&'a str],
    /// The query, not yet encoded.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The header that bears the credential, if one does.
    pub(crate) credential: Option<(HeaderName, HeaderValue)>,
    /// The form to post, already encoded.
    pub(crate) form: Option<String>,
    /// What it is for and how large the answer may be.
    pub(crate) terms: Terms,
}

/// An answer that arrived whole, whatever its status; redirects never come this far.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Its headers, for what one vendor alone says in them.
    pub(crate) headers: HeaderMap,
    /// How long the vendor asks to be left alone, by the header of that name; at most a quarter of an hour.
    pub(crate) retry_after: Option<Duration>,
    /// When the vendor answered, on its clock.
    pub(crate) date: Option<UtcMillis>,
    /// The body; of an unsuccessful answer its first 64 KiB, or nothing where the status says it all.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What is wrong by the status alone.
    pub(crate) fn problem(&self) -> Option<Problem> {
        (!self.status.is_success()).then_some(Problem::Status { status: self.status, retry_after: self.retry_after })
    }

    /// Whether no text in the body can change what the status says.
    pub(crate) fn status_is_final(&self) -> bool {
        says_it_all(self.status) || (self.status == StatusCode::SERVICE_UNAVAILABLE && self.retry_after.is_some())
    }
}

/// Speaks to one vendor, at one address, at its pace.
pub(crate) struct HttpClient<C> {
    /// Made for the first request: reading the system's certificates takes longer than the rest of a cold start, and an
    /// invocation that finds nothing to ask never needs them.
    client: OnceCell<Client>,
    base: BaseUrl,
    gate: Gate,
    clock: C,
    patience: Patience,
    trusted: Vec<Certificate>,
    reads_throttled: bool,
}

impl<C: Clock> HttpClient<C> {
    /// A client for the vendor at `base`.
    pub(crate) fn new(base: BaseUrl, rate: RequestsPerSecond, clock: C) -> Self {
        let gate = Gate::new(rate, clock.now());
        Self {
            client: OnceCell::new(),
            base,
            gate,
            clock,
            patience: Patience::default(),
            trusted: Vec::new(),
            reads_throttled: false,
        }
    }

    /// The same, reading the text of an answer 429, too: for a vendor that says there how long to wait.
    pub(crate) fn reading_throttled(self) -> Self {
        Self { reads_throttled: true, ..self }
    }

    /// The same with other limits of time, and trusting these certificates instead of the system's: verification itself
    /// cannot be turned off by anyone.
    #[cfg(test)]
    fn with(self, patience: Patience, trusted: &[Certificate]) -> Self {
        Self { patience, trusted: trusted.to_vec(), ..self }
    }

    async fn client(&self) -> Result<&Client, Problem> {
        self.client.get_or_try_init(async || self.build().map_err(Problem::NoClient)).await
    }

    fn build(&self) -> reqwest::Result<Client> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .no_proxy()
            .tls_backend_rustls()
            .tls_version_min(tls::Version::TLS_1_2)
            .https_only(!self.base.is_plain())
            .http2_max_header_list_size(32 << 10)
            .connect_timeout(self.patience.connect)
            .timeout(self.patience.total);
        if self.base.is_plain() {
            // No TLS is spoken, so no root is trusted and none needs to be on this system.
            builder = builder.tls_certs_only([]);
        } else if !self.trusted.is_empty() {
            builder = builder.tls_certs_only(self.trusted.iter().cloned());
        }
        builder.build()
    }

    /// Now, on the local clock.
    pub(crate) fn now(&self) -> UtcMillis {
        self.clock.now()
    }

    /// Waits until the rate allows one more request. What depends on the time of sending is made after this.
    pub(crate) async fn turn(&self) -> Turn {
        self.gate.turn(&self.clock).await
    }

    /// Waits until the rate and what was [heeded](Self::heed) allow one more request.
    ///
    /// # Errors
    /// [`Problem::Spent`] when the vendor allows none for longer than is worth waiting.
    pub(crate) async fn steered_turn(&self) -> Result<Turn, Problem> {
        self.gate.steered_turn(&self.clock).await
    }

    /// Takes from an answer how many calls the vendor still allows, for the steered turns to come.
    pub(crate) fn heed(&self, answer: &Answer) {
        if let Some(allowance) = Allowance::of(&answer.headers, self.clock.now()) {
            self.gate.heed(allowance);
        }
    }

    /// Sends one request to an address below the base URL: a POST when it has a form, else a GET.
    ///
    /// # Errors
    /// A [`Problem`]: no whole answer within the limits, or a redirect.
    pub(crate) async fn send(&self, _used_up: Turn, request: Request<'_>) -> Result<Answer, Problem> {
        let started_at = self.clock.now();
        let mut url = self.base.join(request.segments);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let client = self.client().await?;
        let mut builder = match request.form {
            Some(form) => client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form),
            None => client.get(url),
        };
        if let Some((name, mut value)) = request.credential {
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        let response = builder.send().await.map_err(Problem::of)?;
        let answer = self.read(response, request.terms).await?;
        tracing::debug!(
            call = request.call,
            status = answer.status.as_u16(),
            body_bytes = answer.body.len(),
            took_ms = self.clock.now().millis_since(started_at),
            "vendor called"
        );
        Ok(answer)
    }

    async fn read(&self, response: Response, terms: Terms) -> Result<Answer, Problem> {
        let status = response.status();
        if status.is_redirection() {
            return Err(Problem::Redirect(status));
        }
        let headers = response.headers().clone();
        let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if header_bytes > problem::HEADER_KIB_MAX << 10 {
            return Err(Problem::HeadersTooLarge);
        }
        let date = headers::date(&headers);
        let retry_after = headers::retry_after(&headers, self.clock.now());
        let body = if status.is_success() {
            whole_body(response, terms.bytes_max).await?
        } else if says_it_all(status) && !(self.reads_throttled && status == StatusCode::TOO_MANY_REQUESTS) {
            Vec::new()
        } else {
            start_of_body(response).await
        };
        Ok(Answer { status, headers, retry_after, date, body })
    }
}

/// Statuses beside which no text matters.
fn says_it_all(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
}

/// The body, as long as it keeps to its limit. A length that is announced (and true only of a body that is not
/// compressed) is believed when it is too large, never as an excuse to stop counting.
async fn whole_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
    if announced > bytes_max {
        return Err(Problem::TooLarge { bytes_max });
    }
    let mut body = Vec::with_capacity(announced.min(ERROR_BYTES_MAX));
    while let Some(part) = response.chunk().await.map_err(Problem::of)? {
        if part.len() > bytes_max - body.len() {
            return Err(Problem::TooLarge { bytes_max });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// As much of an unsuccessful answer as comes: its status is what counts, so that neither its length nor its end
/// matters.
async fn start_of_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = ERROR_BYTES_MAX - body.len();
        body.extend_from_slice(part.get(..room).unwrap_or(&part));
        if part.len() >= room {
            break;
        }
    }
    body
}
