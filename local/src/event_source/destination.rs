//! Keeps discarded batches: each is an object in S3 with the batch's metadata and the whole event.

use super::settings::Settings;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::StreamRecord;
use serde_json::json;
use uuid::Uuid;

/// The port for an on-failure destination, which receives discarded batches.
pub trait OnFailure: Send + Sync {
    /// Stores a discarded batch.
    fn send(&self, discarded: &Discarded) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// `None` is a mapping without a destination: only a line in the log reports a discarded batch.
impl<D: OnFailure> OnFailure for Option<D> {
    async fn send(&self, discarded: &Discarded) -> Result<(), RemoteError> {
        match self {
            Some(destination) => destination.send(discarded).await,
            None => Ok(()),
        }
    }
}

/// Why a batch was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// `MaximumRetryAttempts` was reached.
    RetryAttemptsExhausted,
    /// `MaximumRecordAgeInSeconds` was reached.
    RecordAgeExceeded,
    /// One record alone exceeds the payload limit of an invocation. Lambda's documentation names no condition for it.
    PayloadTooLarge,
}

/// A discarded batch, as its destination stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>`.
    pub key: String,
    /// The invocation record as JSON. Its `payload` is the whole event, as a string.
    pub body: Bytes,
    /// How many records the batch has.
    pub records: usize,
}

/// What happened to a batch before it was discarded.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a> {
    pub(super) condition: Condition,
    pub(super) invocations: u32,
    pub(super) shard: &'a str,
    pub(super) now_ms: i64,
}

impl Discarded {
    /// The invocation record of a discarded batch. `event` is the event that the function was, or would have been,
    /// invoked with.
    pub(super) fn new(
        settings: &Settings,
        history: History<'_>,
        records: &[StreamRecord],
        event: &[u8],
        ids: [Uuid; 2],
    ) -> Self {
        let (first, last) = (&records[0], &records[records.len() - 1]);
        let body = json!({
            "requestContext": {
                "requestId": ids[0].to_string(),
                "functionArn": settings.function_arn,
                "condition": format!("{:?}", history.condition),
                "approximateInvokeCount": history.invocations,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": instant_ms(history.now_ms),
            "KinesisBatchInfo": {
                "shardId": history.shard,
                "startSequenceNumber": first.sequence.to_string(),
                "endSequenceNumber": last.sequence.to_string(),
                "approximateArrivalOfFirstRecord": instant_ms(first.arrived_ms),
                "approximateArrivalOfLastRecord": instant_ms(last.arrived_ms),
                "batchSize": records.len(),
                "streamArn": settings.stream_arn,
            },
            "payload": String::from_utf8_lossy(event),
        });
        let key = format!(
            "aws/lambda/{}/{}/{}-{}",
            settings.id,
            history.shard,
            utc(history.now_ms).strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S"),
            ids[1],
        );
        Self { key, body: Bytes::from(body.to_string()), records: records.len() }
    }
}

fn utc(ms: i64) -> Zoned {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::UTC)
}

/// A time with milliseconds, in the format of invocation records.
fn instant_ms(ms: i64) -> String {
    utc(ms).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A bucket as an on-failure destination.
#[derive(Clone, Debug)]
pub struct S3Destination {
    client: Client,
    bucket: String,
}

impl S3Destination {
    /// A destination that stores discarded batches in `bucket`.
    pub fn new(config: &aws_config::SdkConfig, bucket: impl Into<String>) -> Self {
        Self { client: Client::new(config), bucket: bucket.into() }
    }
}

impl OnFailure for S3Destination {
    async fn send(&self, discarded: &Discarded) -> Result<(), RemoteError> {
        let put = self.client.put_object().bucket(&self.bucket).key(&discarded.key);
        let sent = put.body(ByteStream::from(discarded.body.clone())).content_type("application/json").send().await;
        let operation = || format!("PutObject {}/{}", self.bucket, discarded.key);
        sent.map(|_| ()).map_err(|error| myaku::platform::aws::remote_error(operation(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_source::StartingPosition;

    /// "The S3 object containing the invocation record uses the following naming convention:
    /// aws/lambda/<ESM-UUID>/<shardID>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<Random UUID>".
    /// "For Amazon S3 destinations, Lambda also sends the entire invocation record along with the metadata."
    #[test]
    fn an_object_has_the_documented_key_and_fields_and_the_whole_event() {
        let settings = Settings::new("2b733gdc", "arn:stream", "arn:function", StartingPosition::Latest);
        let record = |sequence: &str, arrived_ms| StreamRecord {
            sequence: sequence.parse().unwrap(),
            partition_key: "k".into(),
            arrived_ms,
            data: vec![].into(),
        };
        let records = [record("7", 1_573_691_884_835), record("9", 1_573_691_885_580)];
        let condition = Condition::RetryAttemptsExhausted;
        let history = History { condition, invocations: 3, shard: "shardId-000000000001", now_ms: 1_573_691_886_021 };
        let discarded = Discarded::new(&settings, history, &records, br#"{"Records":[]}"#, [Uuid::nil(), Uuid::max()]);
        assert_eq!(
            discarded.key,
            "aws/lambda/2b733gdc/shardId-000000000001/2019/11/14/2019-11-14T00.38.06-ffffffff-ffff-ffff-ffff-ffffffffffff"
        );
        insta::assert_snapshot!(
            String::from_utf8_lossy(&discarded.body),
            @r#"{"KinesisBatchInfo":{"approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z","approximateArrivalOfLastRecord":"2019-11-14T00:38:05.580Z","batchSize":2,"endSequenceNumber":"9","shardId":"shardId-000000000001","startSequenceNumber":"7","streamArn":"arn:stream"},"payload":"{\"Records\":[]}","requestContext":{"approximateInvokeCount":3,"condition":"RetryAttemptsExhausted","functionArn":"arn:function","requestId":"00000000-0000-0000-0000-000000000000"},"responseContext":{"executedVersion":"$LATEST","functionError":"Unhandled","statusCode":200},"timestamp":"2019-11-14T00:38:06.021Z","version":"1.0"}"#
        );
    }
}
