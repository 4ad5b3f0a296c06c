//! Times of arrival in milliseconds, as in AWS.
//!
//! ferrokinesis 0.7 stores them in whole seconds, so that a record seems to arrive up to a second before it was sent.

use super::request::BODY_BYTES_MAX;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use ferrokinesis::sequence;
use ferrokinesis::store::Store;
use ferrokinesis::types::StoredRecord;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What names the stream of a call.
#[derive(Deserialize)]
struct Call {
    #[serde(rename = "StreamName")]
    name: Option<String>,
    #[serde(rename = "StreamARN")]
    arn: Option<String>,
}

/// One record that was put, as the answers to `PutRecord` and `PutRecords` name it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    sequence_number: Option<String>,
    shard_id: Option<String>,
}

/// Gives the records of a put the time `arrived_ms`. `answer` is the server's answer to the call with this body. No
/// other call may read the records meanwhile.
pub(super) async fn stamp(store: &Store, call: &[u8], answer: Response, arrived_ms: i64) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (Some(call), Some(value)) = (read::<Call>(call), read::<Value>(&body)) else {
        return Response::from_parts(parts, Body::from(body));
    };
    let from_arn = call.arn.as_deref().and_then(|arn| Some(arn.rsplit_once('/')?.1));
    let stream = call.name.as_deref().or(from_arn).unwrap_or_default();
    let puts = match value.get("Records") {
        Some(records) => Vec::deserialize(records).unwrap_or_default(),
        None => Put::deserialize(&value).into_iter().collect(),
    };
    for put in puts {
        let Put { sequence_number: Some(number), shard_id: Some(shard) } = put else { continue };
        let Ok((_, shard)) = sequence::resolve_shard_id(&shard) else { continue };
        let key = format!("{}/{number}", sequence::shard_ix_to_hex(shard));
        let found = store.get_records_range_limited(stream, &key, &format!("{key}\0"), 1).await;
        let Some((_, record)) = found.into_iter().next() else { continue };
        let stamped = StoredRecord { approximate_arrival_timestamp: arrived_ms as f64 / 1_000.0, ..record };
        if let Err(error) = store.put_record(stream, &key, &stamped).await {
            tracing::warn!(stream, key, ?error, "cannot note the time at which a record arrived");
        }
    }
    Response::from_parts(parts, Body::from(body))
}

/// Reads JSON, or CBOR, which the SDK for Java sends.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok().or_else(|| ciborium::from_reader(body).ok())
}

#[cfg(test)]
mod tests {
    use super::super::super::AwsEndpoints;
    use aws_sdk_kinesis::Client;
    use aws_sdk_kinesis::primitives::Blob;
    use aws_sdk_kinesis::types::PutRecordsRequestEntry;
    use myaku::platform::clock::{Now as _, SystemClock};
    use myaku::stream::source::kinesis::KinesisSource;
    use myaku::stream::source::{ReadFrom, Source as _};

    #[tokio::test]
    async fn a_record_arrives_between_the_call_that_puts_it_and_its_answer_to_the_millisecond() {
        let kinesis = super::super::start(0).await.unwrap();
        let config = AwsEndpoints::from([("kinesis", kinesis.endpoint())]).sdk_config();
        let client = Client::new(&config);
        client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let put = || client.put_record().stream_name("s").partition_key("k").data(Blob::new("x")).send();
        while put().await.is_err() {
            tokio::task::yield_now().await;
        }
        // Each within a part of a second of its own.
        let mut between = Vec::new();
        for part_ms in [250, 500, 750] {
            while SystemClock.now_ms() % 1_000 / 250 != part_ms / 250 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let before = SystemClock.now_ms();
            put().await.unwrap();
            let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("y")).build().unwrap();
            client.put_records().stream_name("s").records(entry).send().await.unwrap();
            let after = SystemClock.now_ms();
            between.extend([(before, after), (before, after)]);
        }
        let source = KinesisSource::new(&config, "s");
        let mut cursor = source.open("shardId-000000000000", ReadFrom::TrimHorizon).await.unwrap();
        let records = source.read(&mut cursor, 100).await.unwrap().records;
        assert_eq!(records.len(), 7);
        for (record, (before, after)) in records.iter().skip(1).zip(between) {
            let arrived = record.arrived_ms;
            assert!((before..=after).contains(&arrived), "{arrived} is not from {before} to {after}");
        }
    }
}
