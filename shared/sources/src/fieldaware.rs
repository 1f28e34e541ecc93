//! FieldAware: a feed of events behind a token, and one detail call per event.

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};

use crate::credential::Keeper;
use crate::http::{BaseUrl, HttpClient, RequestsPerSecond};
use crate::settings::{BadSettings, Settings};

/// The settings of FieldAware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldAwareSettings {}

impl FieldAwareSettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let problems = Settings::open(text).close();
        if problems.is_empty() { Ok(Self {}) } else { Err(BadSettings(problems)) }
    }
}

/// A FieldAware account.
pub struct FieldAware<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 1>,
    settings: FieldAwareSettings,
    streams: Vec<StreamTraits>,
}

/// The streams of every FieldAware account under these settings.
pub(crate) fn streams(_settings: &FieldAwareSettings) -> Vec<StreamTraits> {
    Vec::new()
}

/// The names of the streams alone.
pub(crate) fn stream_names() -> Vec<StreamName> {
    Vec::new()
}

impl<C: Clock, K: Credentials> FieldAware<C, K> {
    /// A source for the account at `base`.
    pub fn new(base: BaseUrl, settings: FieldAwareSettings, rate: RequestsPerSecond, credentials: K, clock: C) -> Self {
        let http = HttpClient::new(base, rate, clock);
        let streams = streams(&settings);
        Self { http, credential: Keeper::new(["token"], credentials), settings, streams }
    }
}

impl<C: Clock, K: Credentials> Source for FieldAware<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FieldAware
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
