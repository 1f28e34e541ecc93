//! Fieldly: numbered pages of whole rows, behind OAuth2 client credentials.

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};

use crate::credential::Keeper;
use crate::http::{BaseUrl, HttpClient, RequestsPerSecond};
use crate::settings::{BadSettings, Settings};

/// The settings of Fieldly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldlySettings {}

impl FieldlySettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let problems = Settings::open(text).close();
        if problems.is_empty() { Ok(Self {}) } else { Err(BadSettings(problems)) }
    }
}

/// A Fieldly account.
pub struct Fieldly<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 2>,
    settings: FieldlySettings,
    streams: Vec<StreamTraits>,
}

/// The streams of every Fieldly account under these settings.
pub(crate) fn streams(_settings: &FieldlySettings) -> Vec<StreamTraits> {
    Vec::new()
}

/// The names of the streams alone.
pub(crate) fn stream_names() -> Vec<StreamName> {
    Vec::new()
}

impl<C: Clock, K: Credentials> Fieldly<C, K> {
    /// A source for the account at `base`.
    pub fn new(base: BaseUrl, settings: FieldlySettings, rate: RequestsPerSecond, credentials: K, clock: C) -> Self {
        let http = HttpClient::new(base, rate, clock);
        let streams = streams(&settings);
        Self { http, credential: Keeper::new(["client_id", "client_secret"], credentials), settings, streams }
    }
}

impl<C: Clock, K: Credentials> Source for Fieldly<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::Fieldly
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, _request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        Err(SourceFailure::new(FailureClass::Forbidden, format!("{stream}")))
    }

    async fn fetch(&self, stream: &StreamName, _id: &RecordId) -> Result<Detail, SourceFailure> {
        Err(SourceFailure::new(FailureClass::Forbidden, format!("{stream}")))
    }
}
