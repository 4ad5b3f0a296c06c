//! The services that the template uses. Each speaks its own wire protocol, on the loopback address only.
//!
//! This process serves Kinesis, DynamoDB, S3, SNS, CloudWatch, Secrets Manager and AWS IoT; Redis is a child process. A server uses a free
//! port unless a port is given. It can stop and restart on that port without losing its data, so that a test can take a
//! service away and bring it back. A server that ends by itself is reported and started again.
//!
//! ```
//! use myaku_local::servers::{AwsEndpoints, kinesis};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let server = kinesis::start(0).await?;
//! let endpoints = AwsEndpoints::from([("kinesis", server.endpoint())]);
//! let client = aws_sdk_kinesis::Client::new(&endpoints.sdk_config());
//! client.create_stream().stream_name("readings").shard_count(1).send().await?;
//!
//! server.server().stop().await;
//! assert!(client.list_streams().send().await.is_err());
//! server.server().restart().await?;
//! assert_eq!(client.list_streams().send().await?.stream_names(), ["readings"]);
//! # Ok::<(), anyhow::Error>(())
//! # })?;
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod cloudwatch;
pub mod dynamodb;
pub mod iot_data;
pub mod issuer;
pub mod kinesis;
mod listener;
pub mod mqtt;
mod port;
pub mod redis;
mod running;
pub mod s3;
pub mod secrets;
pub mod sns;
mod supervision;
mod trouble;

pub use listener::Server;
pub use trouble::Trouble;

use crate::account::REGION;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use std::collections::BTreeMap;
use std::time::Duration;

/// The access key and secret for all servers. S3 accepts any pair whose secret is the key; the others accept anything.
pub const KEY: &str = "local";

/// Base URLs of the AWS services, by the SDKs' service id in lower case. S3 uses path-style addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsEndpoints(BTreeMap<&'static str, String>);

impl<const N: usize> From<[(&'static str, String); N]> for AwsEndpoints {
    fn from(endpoints: [(&'static str, String); N]) -> Self {
        Self(endpoints.into())
    }
}

impl AwsEndpoints {
    /// Environment variables that make every AWS SDK in a process use these servers.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let endpoints = self.0.iter().map(|(service, url)| {
            let service = service.to_ascii_uppercase().replace(' ', "_");
            (format!("AWS_ENDPOINT_URL_{service}"), url.clone())
        });
        let identity = [
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
        ];
        endpoints.chain(identity.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
    }

    /// A configuration for clients in this process. It ignores the process's environment.
    pub fn sdk_config(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static(REGION))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(KEY, KEY, None, None, "local")))
            .service_config(self.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(Duration::from_secs(8))
                    .build(),
            )
            .build()
    }
}

impl LoadServiceConfig for AwsEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        self.0.get(key.service_id().to_ascii_lowercase().as_str()).cloned()
    }
}
