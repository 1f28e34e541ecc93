//! The only HTTP client.
//!
//! What it refuses, for every vendor alike: a certificate that does not verify, TLS below 1.2, plain `http` to another
//! machine, a redirect (but for a slash), a proxy from the environment, an answer beyond its size limit (counted after
//! decompression, while it streams) or beyond the deadline, and a refusal that is not in the vendor's own words. It tries
//! once: tries again are the engine's business.
//!
//! How one could get it wrong: put a body, an address or a header into an error. They hold ids, personal data or
//! credentials; `Problem` is the only way out of here, and it shows none.

mod allowance;
mod base_url;
mod body;
mod headers;
mod problem;
mod rate;
mod redirect;
#[cfg(test)]
mod tests;
mod words;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url, retry, tls};
use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::ports::Clock;

use self::allowance::Allowance;
pub use self::base_url::{BadBaseUrl, BaseUrl};
pub(crate) use self::problem::Problem;
use self::rate::Gate;
pub(crate) use self::rate::Turn;
pub use self::rate::{BadRate, RequestsPerSecond};
use self::redirect::Target;
use self::words::Blocker;
pub(crate) use self::words::{ALLOW_LIST_STEP, OwnError, Words, speaks_of_address};
pub(crate) use crate::purpose::Purpose;

/// How large one record's answer may be.
pub(crate) const DETAIL_BYTES_MAX: usize = 4 << 20;
/// How large a page of a list may be.
pub(crate) const PAGE_BYTES_MAX: usize = 16 << 20;
/// How large a list of all changed ids may be.
pub(crate) const ID_LIST_BYTES_MAX: usize = 64 << 20;

/// How often a connection that carries a call is asked whether it still stands, and for how long an answer is awaited.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("tidemark/", env!("CARGO_PKG_VERSION"));

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until the connection stands, TLS included.
    pub(crate) connect: Duration,
    /// Until the last byte of the answer.
    pub(crate) total: Duration,
    /// How long a connection may have been idle to be used again. Servers and what stands before them close idle ones,
    /// some after 5 s; a call that is sent at that moment is lost.
    pub(crate) idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(30), idle: Duration::from_secs(4) }
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
    /// The header that carries the credential, if one does.
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
    /// How long the vendor asks for no calls, by the header of that name; at most a quarter of an hour.
    pub(crate) retry_after: Option<Duration>,
    /// When the vendor answered, on its clock.
    pub(crate) date: Option<VendorMillis>,
    /// The body; of an unsuccessful answer its first 2 KiB, and nothing where the status says it all. An error of the
    /// vendor's own that is longer is JSON nevertheless: cut, and closed again.
    pub(crate) body: Vec<u8>,
    /// Whose words the body of an unsuccessful answer is.
    pub(crate) words: Words,
    /// What probably answered in the vendor's place.
    blocker: Option<Blocker>,
}

impl Answer {
    /// What is wrong by the status, and by whose words come with it.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let Self { status, retry_after, words, blocker, .. } = *self;
        (!status.is_success()).then_some(Problem::Status { status, retry_after, words, blocker })
    }

    /// Whether no text in the body can change what the status says.
    pub(crate) fn status_is_final(&self) -> bool {
        says_it_all(self.status) || problem::asks_to_wait(self.status, self.retry_after)
    }
}

/// Speaks to one vendor, at one address, at its pace.
pub(crate) struct HttpClient<C> {
    /// Made for the first request: reading the system's certificates takes longer than the rest of a cold start, and an
    /// invocation that finds nothing to ask never needs them. Made again after an answer that did not come: its
    /// connection may be dead, and would be used again.
    client: Mutex<Option<Client>>,
    base: BaseUrl,
    gate: Gate,
    clock: C,
    patience: Patience,
    trusted: Vec<Certificate>,
    reads_throttled: bool,
    own_error: OwnError,
    slash_is_told: AtomicBool,
}

impl<C: Clock> HttpClient<C> {
    /// A client for the vendor at `base`. A refusal is believed only where `own_error` says of the answer's JSON that it is
    /// the vendor's own error.
    pub(crate) fn new(base: BaseUrl, rate: RequestsPerSecond, own_error: OwnError, clock: C) -> Self {
        let gate = Gate::new(rate, clock.now());
        Self {
            client: Mutex::default(),
            base,
            gate,
            clock,
            patience: Patience::default(),
            trusted: Vec::new(),
            reads_throttled: false,
            own_error,
            slash_is_told: AtomicBool::new(false),
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

    /// Where the vendor is.
    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    fn client(&self) -> Result<Client, Problem> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let built = self.build().map_err(Problem::NoClient)?;
        Ok(client.insert(built).clone())
    }

    /// Lets go of the connections after a problem that a dead one may have made.
    fn forget_connections(&self, problem: Problem) -> Problem {
        if matches!(problem, Problem::Late(_) | Problem::Broken(_)) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        problem
    }

    fn build(&self) -> reqwest::Result<Client> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .no_proxy()
            .tls_backend_rustls()
            .tls_version_min(tls::Version::TLS_1_2)
            .https_only(!self.base.is_plain())
            .http2_max_header_list_size(32 << 10)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_idle_timeout(self.patience.idle)
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
    pub(crate) fn now(&self) -> LocalMillis {
        self.clock.now()
    }

    /// Waits until the rate allows one more request. What depends on the time of sending is made after this.
    pub(crate) async fn turn(&self) -> Turn {
        self.gate.turn(&self.clock).await
    }

    /// Waits until the rate and what was [respected](Self::respect) allow one more request.
    ///
    /// # Errors
    /// [`Problem::Spent`] when the vendor allows none for longer than is worth waiting.
    pub(crate) async fn steered_turn(&self) -> Result<Turn, Problem> {
        self.gate.steered_turn(&self.clock).await
    }

    /// Takes from an answer how many calls the vendor still allows, for the steered turns to come.
    pub(crate) fn respect(&self, answer: &Answer) {
        if let Some(allowance) = Allowance::of(&answer.headers, self.clock.now()) {
            self.gate.respect(allowance);
        }
    }

    /// Sends one request to an address below the base URL: a POST when it has a form, else a GET.
    ///
    /// A GET that is redirected to the same address but for a slash at its end is sent there once, and the setting is
    /// reported as a wrong setting; every other redirect is refused.
    ///
    /// # Errors
    /// A [`Problem`]: no whole answer within the limits, a redirect, or an address that cannot be called.
    pub(crate) async fn send(&self, _used_up: Turn, request: Request<'_>) -> Result<Answer, Problem> {
        let started_at = self.clock.now();
        let url = self.url(&request)?;
        let mut response = self.ask(&request, url.clone()).await?;
        if response.status().is_redirection() {
            let target = Target::of(&url, response.headers());
            if target != Target::Slash || request.form.is_some() {
                return Err(Problem::Redirect { status: response.status(), target });
            }
            self.tell_of_slash(request.call);
            let _used_up = self.gate.turn(&self.clock).await;
            response = self.ask(&request, redirect::with_other_slash(&url)).await?;
        }
        let answer = self.read(response, request.terms).await.map_err(|problem| self.forget_connections(problem))?;
        tracing::debug!(
            call = request.call,
            status = answer.status.as_u16(),
            body_bytes = answer.body.len(),
            took_ms = self.clock.now().millis_since(started_at),
            "vendor called"
        );
        Ok(answer)
    }

    fn url(&self, request: &Request<'_>) -> Result<Url, Problem> {
        if request.segments.iter().any(|segment| !base_url::can_be_a_segment(segment)) {
            return Err(Problem::Unaddressable);
        }
        let mut url = self.base.join(request.segments);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        Ok(url)
    }

    async fn ask(&self, request: &Request<'_>, url: Url) -> Result<Response, Problem> {
        #[cfg(feature = "fuzzing")]
        if let Some(response) = crate::fuzzing::answered(request, &url) {
            return Ok(response);
        }
        let client = self.client()?;
        let builder: RequestBuilder = match &request.form {
            Some(form) => client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone()),
            None => client.get(url),
        };
        let builder = match &request.credential {
            Some((name, value)) => {
                let mut value = value.clone();
                value.set_sensitive(true);
                builder.header(name, value)
            }
            None => builder,
        };
        builder.send().await.map_err(|error| self.forget_connections(Problem::of(error)))
    }

    fn tell_of_slash(&self, call: &str) {
        if !self.slash_is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                call,
                "the vendor redirects this address to the same one with another end (a slash more or less), which costs a \
                 second call each time: compare base URL and paths in the source's settings with its documentation"
            );
        }
    }

    async fn read(&self, response: Response, terms: Terms) -> Result<Answer, Problem> {
        let status = response.status();
        if status.is_redirection() {
            // A second one: it leads in circles.
            return Err(Problem::Redirect { status, target: Target::Nowhere });
        }
        if matches!(
            status,
            StatusCode::ACCEPTED | StatusCode::PARTIAL_CONTENT | StatusCode::MULTI_STATUS | StatusCode::IM_USED
        ) {
            return Err(Problem::Part { status });
        }
        let headers = response.headers().clone();
        let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if header_bytes > problem::HEADER_KIB_MAX << 10 {
            return Err(Problem::HeadersTooLarge);
        }
        let date = headers::date(&headers);
        let retry_after = headers::retry_after(&headers, self.clock.now());
        let (mut words, mut blocker) = (Words::Vendors, None);
        let body = if status.is_success() {
            body::whole(response, terms.bytes_max, self.own_error).await?
        } else if says_it_all(status) && !self.reads_throttled {
            Vec::new()
        } else {
            let start = body::start(response).await;
            blocker = Blocker::of(&headers, &start);
            words = Words::of(&start, self.own_error);
            body::error_text(&start, self.own_error).map_or(start, String::into_bytes)
        };
        Ok(Answer { status, headers, retry_after, date, body, words, blocker })
    }
}

/// Whether no text matters beside a status.
fn says_it_all(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
}
