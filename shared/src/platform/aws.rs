//! One configuration for every AWS client, and their errors as the domain sees them.

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

/// Attempts of one call, the first included. What still fails is retried by the event source, from the failed record on.
const ATTEMPTS: u32 = 3;
/// To open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For one attempt: well under the shortest function time-out, so that a hung call becomes an answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// For all attempts together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// What Lambda has beside the region for a function with a role.
const CREDENTIALS: [&str; 4] =
    ["AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The configuration of the environment, with time-outs. Endpoints come from `AWS_ENDPOINT_URL` and its kin. In Lambda,
/// AWS is trusted on the word of Amazon's own authorities, unless the environment hints at others, and region and
/// credentials are those in the environment.
pub async fn config() -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    // The environment of the SDK is the process's own.
    let lookup = |name: &str| std::env::var(name).ok();
    if let Some(client) = trust::amazon_alone(lookup) {
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

/// The region, if the environment has it and the credentials of a role, as Lambda's has. The environment comes first in the
/// SDK's chains as well; they make clients of each of their other sources, which are not asked then.
fn region_of_role(lookup: impl Fn(&str) -> Option<String>) -> Option<Region> {
    let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    CREDENTIALS.into_iter().all(|name| set(name).is_some()).then(|| set("AWS_REGION"))?.map(Region::new)
}

/// What to do about a failure, by the service's error code and HTTP status; a failure without an answer
/// (time-out, broken connection) is one whose effect may have happened.
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
        // A conflict in flight; the same call decides it.
        (_, Some(409)) => Remedy::Retry,
        (_, Some(400..=499)) => Remedy::GiveUp,
        _ => Remedy::Retry,
    }
}

/// An SDK error of `operation` as the domain sees it.
pub fn remote_error<E>(operation: impl Into<String>, error: SdkError<E, HttpResponse>) -> RemoteError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let remedy = remedy(error.as_service_error().and_then(ProvideErrorMetadata::code), status);
    RemoteError::new(operation, remedy, error)
}

/// An error that says what the service answered where an answer lacks what its contract promises.
pub fn incomplete(operation: &str, what: &str) -> RemoteError {
    RemoteError::new(operation, Remedy::Retry, format!("the answer has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chains_are_left_out_only_where_the_environment_has_a_region_and_all_of_a_roles_credentials() {
        let all = |_: &str| Some("eu-west-1".to_owned());
        assert_eq!(region_of_role(all), Some(Region::new("eu-west-1")));
        for missing in CREDENTIALS.into_iter().chain(["AWS_REGION"]) {
            assert_eq!(region_of_role(|name| all(name).filter(|_| name != missing)), None, "{missing}");
            let blank = |name: &str| if name == missing { Some(" ".to_owned()) } else { all(name) };
            assert_eq!(region_of_role(blank), None, "{missing}");
        }
    }
}
