//! The SDK's clients, built once and only where they are used.
//!
//! A cold start pays for what is built here, so a function gets one configuration, one HTTP client, whose trusted
//! certificates are read once for all services, and only the service clients that it asks for.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{ConnectorBuilder, tls};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(2);
/// How long one try of a call may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long a call may take with all its tries.
const OPERATION: Duration = Duration::from_secs(15);
/// How long an invocation may take: as long as a function may work.
#[cfg(feature = "operator")]
const INVOCATION: Duration = Duration::from_mins(15);
/// How often a call is tried.
const ATTEMPTS: u32 = 3;

/// The way to AWS: configuration, credentials and HTTP client, shared by all adapters.
///
/// Calls are tried 3 times in the SDK's standard mode, with jitter and a retry quota.
pub struct Sdk {
    config: SdkConfig,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
}

impl Sdk {
    /// Reads region, credentials and endpoint from where the AWS tools look for them: in a function its environment.
    /// `AWS_ENDPOINT_URL` sends every call to an emulator; `HTTPS_PROXY` and the like are respected.
    pub async fn load() -> Self {
        Self::of(settled(aws_config::defaults(BehaviorVersion::latest()), ProxyConfig::from_env()).load().await)
    }

    /// The same for a person: with a profile and a region of that person's AWS configuration, where they are named.
    #[cfg(feature = "operator")]
    pub async fn of_person(profile: Option<&str>, region: Option<&str>) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        Self::of(settled(loader, ProxyConfig::from_env()).load().await)
    }

    /// The way to an emulator at `endpoint`, with a made-up region, as the root of its one account.
    pub async fn local(endpoint: &str) -> Self {
        Self::local_as(endpoint, "test", "test", None).await
    }

    /// The same with other credentials of the emulator's.
    pub async fn local_as(endpoint: &str, key_id: &str, secret: &str, session: Option<&str>) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new(key_id, secret, session.map(str::to_owned), None, "an emulator"))
            .endpoint_url(endpoint);
        Self::of(settled(loader, ProxyConfig::disabled()).load().await)
    }

    /// The configuration all clients share.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.get_or_init(|| aws_sdk_dynamodb::Client::new(&self.config)).clone()
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub(crate) fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    pub(crate) fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.config)
    }

    #[cfg(feature = "operator")]
    pub(crate) fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    #[cfg(feature = "operator")]
    pub(crate) fn dynamodb_streams(&self) -> aws_sdk_dynamodbstreams::Client {
        aws_sdk_dynamodbstreams::Client::new(&self.config)
    }

    #[cfg(feature = "operator")]
    pub(crate) fn scheduler(&self) -> aws_sdk_scheduler::Client {
        aws_sdk_scheduler::Client::new(&self.config)
    }

    #[cfg(feature = "operator")]
    pub(crate) fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    #[cfg(feature = "operator")]
    pub(crate) fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.config)
    }

    /// For invocations, which last as long as the function works and are not tried again.
    #[cfg(feature = "operator")]
    pub(crate) fn lambda(&self) -> aws_sdk_lambda::Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(INVOCATION).build();
        let config = aws_sdk_lambda::config::Builder::from(&self.config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled());
        aws_sdk_lambda::Client::from_conf(config.build())
    }

    fn of(config: SdkConfig) -> Self {
        Self { config, dynamodb: OnceLock::new() }
    }
}

/// Shows the endpoint and nothing of the credentials.
impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sdk")
            .field("region", &self.config.region())
            .field("endpoint_url", &self.config.endpoint_url())
            .finish_non_exhaustive()
    }
}

fn settled(loader: ConfigLoader, proxy: ProxyConfig) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    loader
        .http_client(http_client(proxy))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}

/// The client that the SDK would otherwise build once per service, reading the trusted certificates each time.
fn http_client(proxy: ProxyConfig) -> SharedHttpClient {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(provider.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(proxy.clone()));
        connector.build()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn debug_output_shows_no_credentials() {
        let shown = format!("{:?}", Sdk::local("http://127.0.0.1:1").await);
        assert!(shown.contains("127.0.0.1:1") && !shown.to_lowercase().contains("credential"), "{shown}");
    }
}
