//! The lake in S3, or in a server that speaks its protocol.

use super::{Lake, Listed, Put, Stored, Survey};
use crate::lake::archive::Metadata;
use crate::platform::aws::{self, Lazy};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use std::time::Duration;

/// Attempts at a put while another put of the same key is in flight (409). After the last one, the event source retries
/// the batch.
const CONFLICT_ATTEMPTS_MAX: u32 = 5;
/// The pause before the second attempt; it doubles before each further one, and has jitter.
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// The lake in a bucket of S3.
#[derive(Clone, Debug)]
pub struct S3Lake {
    client: Lazy<Client>,
    bucket: String,
}

impl S3Lake {
    /// The lake in `bucket`.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), bucket: bucket.into() }
    }

    fn operation(&self, name: &str, key: &str) -> String {
        format!("{name} s3://{}/{key}", self.bucket)
    }
}

impl Lake for S3Lake {
    async fn put_if_absent(&self, key: &str, object: &Stored) -> Result<Put, RemoteError> {
        let mut pause = CONFLICT_PAUSE;
        for attempt in 1.. {
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(key)
                // If an answer is lost, the SDK repeats the put, which then finds its own object: that is correct.
                .if_none_match("*")
                .set_metadata(Some(object.metadata.clone().into_iter().collect()))
                .body(ByteStream::from(object.body.clone()))
                .send()
                .await;
            let Err(error) = put else { return Ok(Put::Created) };
            match error.raw_response().map(|response| response.status().as_u16()) {
                Some(412) => return Ok(Put::Exists),
                Some(409) if attempt < CONFLICT_ATTEMPTS_MAX => {
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause *= 2;
                }
                _ => return Err(aws::remote_error(self.operation("PutObject", key), error)),
            }
        }
        Err(RemoteError::new(
            self.operation("PutObject", key),
            Remedy::Retry,
            "another put of the same key was in flight at every attempt",
        ))
    }

    async fn metadata(&self, key: &str) -> Result<Option<Metadata>, RemoteError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(Some(head.metadata.unwrap_or_default().into_iter().collect())),
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 404) => Ok(None),
            Err(error) => Err(aws::remote_error(self.operation("HeadObject", key), error)),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, RemoteError> {
        let object = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(aws::remote_error(self.operation("GetObject", key), error)),
        };
        let body = object.body.collect().await;
        let body = body.map_err(|error| RemoteError::new(self.operation("GetObject", key), Remedy::Retry, error))?;
        Ok(Some(Stored {
            body: body.into_bytes(),
            metadata: object.metadata.unwrap_or_default().into_iter().collect(),
        }))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RemoteError> {
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws::remote_error(self.operation("ListObjectsV2", prefix), error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }
}

impl Survey for S3Lake {
    async fn survey(&self, prefix: &str, max: usize) -> Result<Option<Vec<Listed>>, RemoteError> {
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws::remote_error(self.operation("ListObjectsV2", prefix), error))?;
            let listed = page
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|object| Some(Listed { key: object.key?, tag: object.e_tag.unwrap_or_default() }));
            found.extend(listed);
            if found.len() > max {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }
}
