//! Dead letters in S3, one object each.

use super::{DeadLetter, DeadLetterReader, DeadLetterStore, Reason, prefix};
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;

/// A bucket of dead letters. A writer needs the permission `s3:PutObject` under [`super::PREFIX`], and no other.
#[derive(Clone, Debug)]
pub struct S3DeadLetters {
    client: Lazy<Client>,
    bucket: String,
}

impl S3DeadLetters {
    /// The letters of `bucket`.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), bucket: bucket.into() }
    }
}

impl DeadLetterStore for S3DeadLetters {
    async fn put(&self, letter: &DeadLetter) -> Result<(), RemoteError> {
        let key = letter.key();
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .content_type("application/json")
            .body(ByteStream::from(letter.to_json()))
            .send()
            .await
            .map_err(|error| remote_error(format!("PutObject {}/{key}", self.bucket), error))?;
        Ok(())
    }
}

impl DeadLetterReader for S3DeadLetters {
    async fn keys(&self, reason: Option<Reason>) -> Result<Vec<String>, RemoteError> {
        let prefix = prefix(reason);
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| remote_error(format!("ListObjectsV2 {}/{prefix}", self.bucket), error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }

    async fn get(&self, key: &str) -> Result<DeadLetter, RemoteError> {
        let operation = || format!("GetObject {}/{key}", self.bucket);
        let object = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let object = object.map_err(|error| remote_error(operation(), error))?;
        let body = object.body.collect().await.map_err(|error| RemoteError::new(operation(), Remedy::Retry, error))?;
        DeadLetter::from_json(&body.into_bytes()).map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))
    }
}
