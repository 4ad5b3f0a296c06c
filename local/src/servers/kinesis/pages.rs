//! Pages: an answer of `GetRecords` ends at 10 MiB, and the next call goes on from there.
//!
//! ferrokinesis 0.7 ends an answer by its number of records alone. A consumer with a backlog of large records would
//! get an answer that no client and no layer here accepts, and would get it again for ever.
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>

use super::request::{REQUEST_BYTES_MAX, operation};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use ferrokinesis::store::Store;
use ferrokinesis::{sequence, shard_iterator};
use serde_json::Value;

/// "The maximum size of data that `GetRecords` can return is 10 MiB": data and partition keys here.
const PAGE_BYTES_MAX: usize = 10 << 20;
/// "Specify a value of up to 10,000", which is also what a request without a limit gets.
const PAGE_RECORDS_MAX: usize = 10_000;
/// How many records are looked at together: few, because each may have a mebibyte.
const STEP: usize = 16;

/// The app, whose `GetRecords` returns no more than a page. It must not be asked during a put.
pub(super) fn with_pages(app: Router, store: Store) -> Router {
    app.layer(from_fn_with_state(store, end_page))
}

async fn end_page(State(store): State<Store>, request: Request, next: Next) -> Response {
    if operation(&request) != "GetRecords" {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(mut body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let encoding = if kind.contains("cbor") { Encoding::Cbor } else { Encoding::Json };
    if let Some(mut call) = encoding.read(&body)
        && let Some(records) = records_of_page(&store, &call).await
    {
        // The server's answer has the iterator to go on with, because it ends where the page ends.
        call["Limit"] = records.into();
        body = encoding.write(&call).into();
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// How many records the page of a call has, if it ends by its bytes. A call that the server refuses has none.
async fn records_of_page(store: &Store, call: &Value) -> Option<usize> {
    let (_, stream, shard, from) = shard_iterator::decode_shard_iterator(call["ShardIterator"].as_str()?).ok()?;
    let (_, shard) = sequence::resolve_shard_id(&shard).ok()?;
    let limit = call["Limit"].as_u64().map_or(PAGE_RECORDS_MAX, |limit| limit as usize);
    // The store's keys begin with the shard, and ascend by sequence number.
    let mut from = format!("{}/{from}", sequence::shard_ix_to_hex(shard));
    let to = sequence::shard_ix_to_hex(shard + 1);
    let (mut records, mut bytes) = (0, 0);
    while records < limit {
        let step = store.get_records_range_limited(&stream, &from, &to, STEP).await;
        for (_, record) in &step {
            bytes += record.data.len() / 4 * 3 + record.partition_key.len();
            if bytes > PAGE_BYTES_MAX && records > 0 {
                return Some(records.min(limit));
            }
            records += 1;
        }
        let last = step.last().filter(|_| step.len() == STEP)?;
        // The first text after the last key.
        from = format!("{}\0", last.0);
    }
    None
}

/// How a body is written.
#[derive(Clone, Copy)]
enum Encoding {
    Json,
    /// The SDK for Java's.
    Cbor,
}

impl Encoding {
    fn read(self, body: &[u8]) -> Option<Value> {
        match self {
            Self::Json => serde_json::from_slice(body).ok(),
            Self::Cbor => ciborium::from_reader(body).ok(),
        }
    }

    fn write(self, call: &Value) -> Vec<u8> {
        match self {
            Self::Json => call.to_string().into_bytes(),
            Self::Cbor => {
                let mut body = Vec::new();
                // Writing into memory cannot fail.
                let _ = ciborium::into_writer(call, &mut body);
                body
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::AwsEndpoints;
    use super::super::{options, start_with};
    use super::*;
    use aws_sdk_kinesis::Client;
    use aws_sdk_kinesis::primitives::Blob;
    use aws_sdk_kinesis::types::ShardIteratorType;
    use ferrokinesis::store::StoreOptions;
    use std::sync::Arc;

    const MEBIBYTE: usize = 1 << 20;
    const RECORDS: usize = 40;

    #[tokio::test]
    async fn a_backlog_of_40_mebibytes_is_read_in_pages_of_ten() {
        let unlimited = StoreOptions { enforce_limits: false, ..options() };
        let kinesis = start_with(0, unlimited, u64::MAX, Arc::default()).await.unwrap();
        let client = Client::new(&AwsEndpoints::from([("kinesis", kinesis.endpoint())]).sdk_config());
        client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let put = |data: Vec<u8>| client.put_record().stream_name("s").partition_key("k").data(Blob::new(data)).send();
        while put(vec![0]).await.is_err() {
            tokio::task::yield_now().await;
        }
        for number in 1..=RECORDS {
            put(vec![number as u8; MEBIBYTE]).await.unwrap();
        }
        let iterator = client.get_shard_iterator().stream_name("s").shard_id("shardId-000000000000");
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut iterator = iterator.shard_iterator;
        let (mut seen, mut pages) = (Vec::new(), Vec::new());
        while seen.len() <= RECORDS {
            let page = client.get_records().set_shard_iterator(iterator).send().await.unwrap();
            let bytes: usize = page.records().iter().map(|record| record.data().as_ref().len()).sum();
            seen.extend(page.records().iter().map(|record| usize::from(record.data().as_ref()[0])));
            pages.push(bytes);
            iterator = page.next_shard_iterator;
        }
        assert_eq!(seen, (0..=RECORDS).collect::<Vec<_>>(), "each record once, in order");
        assert!(pages.iter().all(|bytes| *bytes <= PAGE_BYTES_MAX), "{pages:?}");
        assert_eq!(pages.len(), 5, "{pages:?}");
    }

    #[test]
    fn a_call_is_read_and_written_in_the_encoding_that_it_has() {
        let call = serde_json::json!({ "ShardIterator": "AAA", "Limit": 7 });
        for encoding in [Encoding::Json, Encoding::Cbor] {
            assert_eq!(encoding.read(&encoding.write(&call)), Some(call.clone()));
        }
    }
}
