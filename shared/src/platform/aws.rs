//! One configuration for all AWS clients, and the conversion of their errors to [`RemoteError`].

mod lazy;
mod trust;

pub use lazy::Lazy;

use crate::platform::errors::{Remedy, RemoteError};
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::time::Duration;

/// Attempts of one call, the first included. If all fail, the event source retries from the failed record on.
const ATTEMPTS: u32 = 3;
/// Time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for one attempt: well below the shortest time-out of a function, so that the function can still answer
/// when a call hangs.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// Time limit for all attempts together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// What Lambda sets besides the region for a function with a role.
const CREDENTIALS: [&str; 4] =
    ["AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The configuration from the environment, with time-outs. Endpoints come from `AWS_ENDPOINT_URL` and from its variants
/// for one service. In Lambda, clients trust Amazon's own certificate authorities only, unless the environment hints at
/// others; region and credentials come from the environment.
pub async fn config() -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    // The SDK reads the process's environment, so this does too.
    let lookup = |name: &str| std::env::var(name).ok();
    if let Some(client) = trust::amazon_only_client(lookup) {
        loader = loader.http_client(client);
    }
    if let Some(region) = region_of_role(lookup) {
        loader = loader.region(region).credentials_provider(EnvironmentVariableCredentialsProvider::new());
    }
    loader
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        .load()
        .await
}

/// The region, if the environment has both the region and a role's credentials, as in Lambda. The SDK's own chains of
/// providers try the environment first as well, but make a client for each of their other sources, which are not used
/// then.
fn region_of_role(lookup: impl Fn(&str) -> Option<String>) -> Option<Region> {
    let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    CREDENTIALS.into_iter().all(|name| set(name).is_some()).then(|| set("AWS_REGION"))?.map(Region::new)
}

/// What to do about a failure, by the service's error code and HTTP status. A call that failed without an answer (a
/// time-out, a broken connection) may have taken effect.
///
/// ```
/// use myaku::platform::aws::remedy;
/// use myaku::platform::errors::Remedy;
/// assert_eq!(remedy(Some("ProvisionedThroughputExceededException"), Some(400)), Remedy::SlowDown);
/// assert_eq!(remedy(Some("AccessDeniedException"), Some(400)), Remedy::GiveUp);
/// assert_eq!(remedy(None, None), Remedy::Retry);
/// ```
pub fn remedy(code: Option<&str>, status: Option<u16>) -> Remedy {
    match (code, status) {
        (
            Some(
                "ProvisionedThroughputExceededException"
                | "LimitExceededException"
                | "ThrottlingException"
                | "Throttling"
                | "RequestLimitExceeded"
                | "SlowDown",
            ),
            _,
        )
        | (_, Some(429 | 503)) => Remedy::SlowDown,
        // A conflict with another call in flight: repeating the call settles it.
        (_, Some(409)) => Remedy::Retry,
        (_, Some(400..=499)) => Remedy::GiveUp,
        _ => Remedy::Retry,
    }
}

/// Converts an SDK's error of `operation`.
pub fn remote_error<E>(operation: impl Into<String>, error: SdkError<E, HttpResponse>) -> RemoteError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let remedy = remedy(error.as_service_error().and_then(ProvideErrorMetadata::code), status);
    RemoteError::new(operation, remedy, error)
}

/// An error for an answer of `operation` that lacks `what`, which the service's contract promises.
pub fn incomplete(operation: &str, what: &str) -> RemoteError {
    RemoteError::new(operation, Remedy::Retry, format!("the answer has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdks_chains_are_skipped_only_if_the_environment_has_a_region_and_all_credentials_of_a_role() {
        let all = |_: &str| Some("eu-west-1".to_owned());
        assert_eq!(region_of_role(all), Some(Region::new("eu-west-1")));
        for missing in CREDENTIALS.into_iter().chain(["AWS_REGION"]) {
            assert_eq!(region_of_role(|name| all(name).filter(|_| name != missing)), None, "{missing}");
            let blank = |name: &str| if name == missing { Some(" ".to_owned()) } else { all(name) };
            assert_eq!(region_of_role(blank), None, "{missing}");
        }
    }
}
