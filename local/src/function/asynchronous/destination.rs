//! Sends discarded asynchronous invocations to a bucket or a topic.

use super::record::FailedInvocation;
use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use myaku::platform::aws::remote_error;
use myaku::platform::errors::RemoteError;

/// The port for an on-failure destination, which receives discarded invocations.
pub trait OnFailure: Send + Sync {
    /// Stores or publishes a discarded invocation.
    fn send(&self, failed: &FailedInvocation) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// `None` is a function without a destination.
impl<D: OnFailure> OnFailure for Option<D> {
    async fn send(&self, failed: &FailedInvocation) -> Result<(), RemoteError> {
        match self {
            Some(destination) => destination.send(failed).await,
            None => Ok(()),
        }
    }
}

/// An on-failure destination of a template.
#[derive(Clone, Debug)]
pub enum FailureDestination {
    /// A bucket, which stores the record as an object.
    Bucket {
        /// The client of its service.
        client: aws_sdk_s3::Client,
        /// Its name.
        bucket: String,
    },
    /// A topic, which publishes the record as a message.
    Topic {
        /// The client of its service.
        client: aws_sdk_sns::Client,
        /// Its ARN.
        arn: String,
    },
}

/// A destination that the local runner does not support.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the on-failure destination {0} does not run on this machine: use an S3 bucket or an SNS topic")]
pub struct UnknownDestination(String);

impl FailureDestination {
    /// The destination of an ARN, on the servers of `config`.
    pub fn new(config: &SdkConfig, arn: &str) -> Result<Self, UnknownDestination> {
        if let Some(bucket) = arn.strip_prefix("arn:aws:s3:::") {
            return Ok(Self::Bucket { client: aws_sdk_s3::Client::new(config), bucket: bucket.to_owned() });
        }
        if arn.starts_with("arn:aws:sns:") {
            return Ok(Self::Topic { client: aws_sdk_sns::Client::new(config), arn: arn.to_owned() });
        }
        Err(UnknownDestination(arn.to_owned()))
    }
}

impl OnFailure for FailureDestination {
    async fn send(&self, failed: &FailedInvocation) -> Result<(), RemoteError> {
        match self {
            Self::Bucket { client, bucket } => {
                let put = client.put_object().bucket(bucket).key(&failed.key).content_type("application/json");
                let sent = put.body(ByteStream::from(failed.body.clone().into_bytes())).send().await;
                let operation = || format!("PutObject {bucket}/{}", failed.key);
                sent.map(|_| ()).map_err(|error| remote_error(operation(), error))
            }
            Self::Topic { client, arn } => {
                let sent = client.publish().topic_arn(arn).message(&failed.body).send().await;
                sent.map(|_| ()).map_err(|error| remote_error(format!("Publish {arn}"), error))
            }
        }
    }
}
