//! Checks the objects of the lake: records that are archived are read back, and records that are read are archived in
//! the same way.

use crate::lake::archive::{
    Compression, EncodedObject, Extent, Format, Hour, LakeRecord, ObjectKey, ShardHour, Slot, Stored, read,
};
use crate::stream::batch::{Position, UserRecord};
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};

const ARRIVED_MS: i64 = 1_795_218_892_020;

/// Uses the bytes as the lines of an object, as its body, and as records to archive.
pub fn lake(bytes: &[u8]) {
    if let Some(records) = read_lines(bytes) {
        assert_eq!(archive(&records), records);
    }
    // Compressed zeros can expand thirty thousand times, and the size of an object is not limited except by its batch.
    let compressed = &bytes[..bytes.len().min(512)];
    for format in [Format::Gzip, Format::Zstd] {
        let extent = Extent { first: position(1), last: position(1), count: 1, sha256: [0; 32] };
        let body = Stored { body: compressed.to_vec().into(), metadata: extent.to_metadata() };
        assert!(read(&object_key(ARRIVED_MS, format), &body).is_err(), "a body with a wrong hash is accepted");
    }
    let data = bytes.split(|byte| *byte == b'\n').chain([bytes]);
    let records = data.zip(1..).map(|(data, sequence)| LakeRecord {
        position: position(sequence),
        partition_key: String::from_utf8_lossy(&data[..data.len().min(9)]).into_owned(),
        arrived_ms: ARRIVED_MS,
        data: data.to_vec(),
    });
    let records: Vec<_> = records.collect();
    assert_eq!(archive(&records), records);
}

fn position(sequence: u32) -> Position {
    Position { sequence: sequence.to_string().parse().unwrap_or(Position::ZERO.sequence), sub: sequence }
}

fn object_key(arrived_ms: i64, format: Format) -> ObjectKey {
    let of = ShardHour { stream: "ingest".to_owned(), hour: Hour::of(arrived_ms), shard: "shard".to_owned() };
    ObjectKey { of, slot: Slot::FIRST, format }
}

/// Reads the records of an object with these lines, if they are valid.
fn read_lines(bytes: &[u8]) -> Option<Vec<LakeRecord>> {
    let texts = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
    let values: Vec<Value> = texts.map(serde_json::from_slice).collect::<Result<_, _>>().ok()?;
    let position = |value: &Value| {
        let sub = u32::try_from(value["sub"].as_u64()?).ok()?;
        Some(Position { sequence: value["seq"].as_str()?.parse().ok()?, sub })
    };
    let (first, last) = (position(values.first()?)?, position(values.last()?)?);
    let extent = Extent { first, last, count: values.len() as u64, sha256: Sha256::digest(bytes).into() };
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).ok()?;
    let stored = Stored { body: gzip.finish().ok()?.into(), metadata: extent.to_metadata() };
    let (read_extent, records) = read(&object_key(values[0]["arrived"].as_i64()?, Format::Gzip), &stored).ok()?;
    assert_eq!((read_extent, records.len()), (extent, values.len()));
    Some(records)
}

fn user_record(record: &LakeRecord) -> UserRecord<'_> {
    let LakeRecord { position, partition_key, arrived_ms, data } = record;
    UserRecord {
        record: 0,
        sequence: &position.sequence,
        sub: position.sub,
        partition_key,
        arrived_ms: *arrived_ms,
        data,
    }
}

/// Archives records, checks the lines as another reader sees them, and reads the records back.
fn archive(records: &[LakeRecord]) -> Vec<LakeRecord> {
    let users: Vec<_> = records.iter().map(user_record).collect();
    let compression = Compression::new(Format::Gzip, Some(1)).unwrap_or_default();
    let Ok(Some(EncodedObject { body, extent })) = EncodedObject::of(&users, compression) else {
        panic!("nothing is archived")
    };
    let mut text = String::new();
    assert!(GzDecoder::new(&body[..]).read_to_string(&mut text).is_ok(), "the lines are not text");
    assert_eq!(text.lines().count(), records.len());
    for (line, record) in text.lines().zip(records) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { panic!("not JSON: {line}") };
        // The writer sorts members, so the bytes are the same in another order.
        let mut written = value.get("json").map(|json| json.to_string().into_bytes());
        if let Some(bytes) = &mut written {
            bytes.sort_unstable();
        }
        let mut sent = record.data.clone();
        sent.sort_unstable();
        assert!(written.is_none_or(|written| written == sent), "the JSON is changed: {line}");
    }
    let stored = Stored { body, metadata: extent.to_metadata() };
    match read(&object_key(records[0].arrived_ms, Format::Gzip), &stored) {
        Ok((again, records)) => {
            assert_eq!(again, extent);
            records
        }
        Err(error) => panic!("{error}"),
    }
}
