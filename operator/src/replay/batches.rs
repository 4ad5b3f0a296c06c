//! Reads the batches that an event source mapping gave up.
//!
//! Its on-failure destination in S3 keeps them whole, as they were delivered.

use super::parcel::{Content, Name, Parcel, Parcels};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use myaku::lake::archive::Lake;
use myaku::platform::errors::chain;
use myaku::stream::batch::Batch;
use serde::Deserialize;
use std::ops::Range;

/// The prefix under which Lambda stores failed invocations.
const PREFIX: &str = "aws/lambda/";
/// The prefix of asynchronous invocations, which hold no records of a stream.
const ASYNC: &str = "aws/lambda/async/";

/// The failed batches of a bucket.
pub struct Batches<B> {
    /// The bucket's objects.
    pub bucket: B,
    /// Only batches of functions with this text in their name; of all functions if `None`.
    pub function: Option<String>,
    /// When the mapping gave them up, in milliseconds since the epoch.
    pub given_up_ms: Range<i64>,
}

/// The part of an invocation record that a replay needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    request_context: RequestContext,
    /// The whole event. Queues and topics as destinations get the metadata alone.
    #[serde(borrow, default)]
    payload: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    function_arn: String,
}

/// Parses when a batch was given up from the name of its object: `YYYY-MM-DDTHH.MM.SS-<uuid>`.
fn given_up_ms(key: &str) -> Option<i64> {
    let time = key.rsplit('/').next()?.get(..19)?.replace('.', ":");
    Some(format!("{time}Z").parse::<Timestamp>().ok()?.as_millisecond())
}

impl<B: Lake> Parcels for Batches<B> {
    async fn names(&self) -> Result<Vec<Name>> {
        let keys =
            self.bucket.list(PREFIX).await.with_context(|| format!("cannot list the failed batches under {PREFIX}"))?;
        let wanted = keys.into_iter().filter(|key| !key.starts_with(ASYNC)).filter_map(|key| {
            let given_up_ms = given_up_ms(&key).filter(|ms| self.given_up_ms.contains(ms))?;
            Some(Name { order: format!("{given_up_ms:015} {key}"), key })
        });
        let mut names: Vec<_> = wanted.collect();
        names.sort();
        Ok(names)
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let stored =
            self.bucket.get(&name.key).await.with_context(|| format!("cannot fetch the failed batch {}", name.key))?;
        let unsendable = |label: String, why: &str| Parcel {
            label,
            stream: String::new(),
            content: Content::Unsendable(why.to_owned()),
        };
        let unknown = || "a failed batch".to_owned();
        let Some(stored) = stored else { return Ok(unsendable(unknown(), "it expired after it was listed")) };
        let Ok(record) = serde_json::from_slice::<Record<'_>>(&stored.body) else {
            return Ok(unsendable(unknown(), "not an invocation record of Lambda"));
        };
        let function = record.request_context.function_arn.split(':').nth(6).unwrap_or_default().to_owned();
        if self.function.as_ref().is_some_and(|wanted| !function.contains(wanted)) {
            return Ok(unsendable(function, "a batch of another function"));
        }
        match record.payload.as_deref().map(|event| Batch::from_event(event.to_owned())) {
            Some(Ok(batch)) => {
                Ok(Parcel { label: function, stream: batch.stream.clone(), content: Content::Batch(batch) })
            }
            Some(Err(error)) => Ok(unsendable(function, &format!("its payload cannot be read: {}", chain(&error)))),
            None => Ok(unsendable(function, "it has no payload")),
        }
    }
}
