//! FSM Navigator: numbered pages of whole rows, behind an API key.

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};

use crate::credential::Keeper;
use crate::http::{BaseUrl, HttpClient, RequestsPerSecond};
use crate::settings::{BadSettings, Settings};

/// The settings of FsmNavigator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsmNavigatorSettings {}

impl FsmNavigatorSettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let problems = Settings::open(text).close();
        if problems.is_empty() { Ok(Self {}) } else { Err(BadSettings(problems)) }
    }
}

/// A FsmNavigator account.
pub struct FsmNavigator<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 1>,
    settings: FsmNavigatorSettings,
    streams: Vec<StreamTraits>,
}

/// The streams of every FsmNavigator account under these settings.
pub(crate) fn streams(_settings: &FsmNavigatorSettings) -> Vec<StreamTraits> {
    Vec::new()
}

/// The names of the streams alone.
pub(crate) fn stream_names() -> Vec<StreamName> {
    Vec::new()
}

impl<C: Clock, K: Credentials> FsmNavigator<C, K> {
    /// A source for the account at `base`.
    pub fn new(
        base: BaseUrl,
        settings: FsmNavigatorSettings,
        rate: RequestsPerSecond,
        credentials: K,
        clock: C,
    ) -> Self {
        let http = HttpClient::new(base, rate, clock);
        let streams = streams(&settings);
        Self { http, credential: Keeper::new(["api_key"], credentials), settings, streams }
    }
}

impl<C: Clock, K: Credentials> Source for FsmNavigator<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FsmNavigator
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
