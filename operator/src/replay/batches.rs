//! Batches that a mapping gave up, as its on-failure destination in S3 keeps them: whole, as they were delivered.

use super::{Content, Name, Parcel, Parcels};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use myaku::lake::archive::Lake;
use myaku::platform::errors::chain;
use myaku::stream::batch::Batch;
use serde::Deserialize;
use std::ops::Range;

/// Where Lambda puts them.
const PREFIX: &str = "aws/lambda/";
/// Where it puts invocations that were not asked for by a mapping, which hold no records of a stream.
const ASYNC: &str = "aws/lambda/async/";

/// The batches of a bucket.
pub struct Batches<B> {
    /// The bucket's objects.
    pub bucket: B,
    /// A part of the name of the function that gave them up; all of them without.
    pub function: Option<String>,
    /// When they were given up, in milliseconds since the epoch.
    pub given_up_ms: Range<i64>,
}

/// What of an invocation record is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    request_context: RequestContext,
    /// The whole event. Destinations that keep metadata alone have none.
    #[serde(borrow, default)]
    payload: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    function_arn: String,
}

/// When a batch was given up, by the name of its object: `YYYY-MM-DDTHH.MM.SS-<uuid>`.
fn given_up_ms(key: &str) -> Option<i64> {
    let time = key.rsplit('/').next()?.get(..19)?.replace('.', ":");
    Some(format!("{time}Z").parse::<Timestamp>().ok()?.as_millisecond())
}

impl<B: Lake> Parcels for Batches<B> {
    async fn names(&self) -> Result<Vec<Name>> {
        let keys = self.bucket.list(PREFIX).await.context("the failed batches cannot be listed")?;
        let wanted = keys.into_iter().filter(|key| !key.starts_with(ASYNC)).filter_map(|key| {
            let given_up_ms = given_up_ms(&key).filter(|ms| self.given_up_ms.contains(ms))?;
            Some(Name { order: format!("{given_up_ms:015} {key}"), key })
        });
        let mut names: Vec<_> = wanted.collect();
        names.sort();
        Ok(names)
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let stored = self.bucket.get(&name.key).await.context("a failed batch cannot be fetched")?;
        let nothing = |label: String, why: &str| Parcel {
            label,
            stream: String::new(),
            content: Content::Nothing(why.to_owned()),
        };
        let unknown = || "a failed batch".to_owned();
        let Some(stored) = stored else { return Ok(nothing(unknown(), "it has expired since it was listed")) };
        let Ok(record) = serde_json::from_slice::<Record<'_>>(&stored.body) else {
            return Ok(nothing(unknown(), "it is no invocation record"));
        };
        let function = record.request_context.function_arn.split(':').nth(6).unwrap_or_default().to_owned();
        if self.function.as_ref().is_some_and(|wanted| !function.contains(wanted)) {
            return Ok(nothing(function, "another function gave it up"));
        }
        match record.payload.as_deref().map(|event| Batch::from_event(event.to_owned())) {
            Some(Ok(batch)) => {
                Ok(Parcel { label: function, stream: batch.stream.clone(), content: Content::Batch(batch) })
            }
            Some(Err(error)) => Ok(nothing(function, &format!("its payload: {}", chain(&error)))),
            None => Ok(nothing(function, "it has no payload")),
        }
    }
}
