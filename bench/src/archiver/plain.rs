//! The archiver as a competent newcomer writes it, with the usual crates: `aws_lambda_events` for the event, prost for
//! aggregates, serde for lines, and `miniz_oxide` at level 6 for gzip, which is flate2's default.
//!
//! `miniz_oxide` is called directly, because flate2 has only one backend in a build. It compresses all lines at once,
//! and so saves the calls for each line that flate2's writer would make.

use anyhow::{Context as _, Result};
use aws_lambda_events::kinesis::KinesisEvent;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use myaku::lake::archive::Stored;
use prost::Message as _;
use serde::Serialize;
use serde_json::value::RawValue;

const MAGIC: &[u8] = &[0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;
const GZIP_HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
const LEVEL: u8 = 6;

#[derive(Clone, PartialEq, prost::Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: &'a str,
    sub: usize,
    key: &'a str,
    arrived: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64: Option<String>,
}

/// Makes an object from an invocation's body, as `lambda_runtime` with such a handler does.
pub(super) fn archive(body: &[u8]) -> Result<Stored> {
    let event: KinesisEvent = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))?;
    let mut lines = Vec::new();
    for record in &event.records {
        let kinesis = &record.kinesis;
        let (seq, arrived) = (&kinesis.sequence_number, kinesis.approximate_arrival_timestamp.timestamp_millis());
        if let Some(aggregate) = aggregate(&kinesis.data) {
            for (sub, Record { partition_key_index, data, .. }) in aggregate.records.iter().enumerate() {
                let key = aggregate.partition_key_table.get(*partition_key_index as usize);
                write_line(
                    &mut lines,
                    seq,
                    sub,
                    key.context("the aggregate has no partition key with this index")?,
                    arrived,
                    data,
                )?;
            }
        } else {
            write_line(&mut lines, seq, 0, &kinesis.partition_key, arrived, &kinesis.data)?;
        }
    }
    Ok(Stored { body: gzip(&lines).into(), ..Stored::default() })
}

fn aggregate(data: &[u8]) -> Option<AggregatedRecord> {
    let (message, digest) = data.strip_prefix(MAGIC)?.split_last_chunk::<DIGEST_BYTES>()?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    AggregatedRecord::decode(message).ok()
}

fn write_line(lines: &mut Vec<u8>, seq: &str, sub: usize, key: &str, arrived: i64, data: &[u8]) -> Result<()> {
    let json = serde_json::from_slice::<&RawValue>(data).ok();
    let b64 = json.is_none().then(|| STANDARD.encode(data));
    serde_json::to_writer(&mut *lines, &Line { seq, sub, key, arrived, json, b64 })?;
    lines.push(b'\n');
    Ok(())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GZIP_HEADER.to_vec();
    out.append(&mut miniz_oxide::deflate::compress_to_vec(bytes, LEVEL));
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    // The format stores the length modulo 2³².
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}
