//! Reading the lake back.

use super::slot::stream_prefix;
use super::{Extent, Format, Lake, ObjectKey, ParseLineError, Stored, line};
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _};

/// Bytes that an object may unpack to: more than any batch makes. Of the 6 MiB that Lambda hands over, base64 leaves 4.5; the
/// smallest record of an aggregate takes six bytes, and its line 130 and a key, which in JSON has 1,536 bytes at most.
const LINES_BYTES_MAX: u64 = 2 << 30;

/// A record as the lake has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeRecord {
    /// Its place in its shard.
    pub position: Position,
    /// Its partition key.
    pub partition_key: String,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes, exactly as its producer sent them.
    pub data: Vec<u8>,
}

/// Why an object of the lake cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The lake did not answer.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// There is no such object.
    #[error("{0} is not there")]
    Missing(String),
    /// Its metadata are missing or not those of an object in its slot.
    #[error("{key}: {problem}")]
    Metadata {
        /// The object.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// It does not decompress.
    #[error("{key} does not decompress")]
    Decompress {
        /// The object.
        key: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A line of it is none.
    #[error("{key}, line {line}")]
    Line {
        /// The object.
        key: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: ParseLineError,
    },
    /// It is not what its metadata say, or its records do not ascend.
    #[error("{key} is not what its metadata say: {problem}")]
    Extent {
        /// The object.
        key: String,
        /// How it differs.
        problem: String,
    },
}

/// The objects of a stream, in the order of their keys. What is no object of the lake is left out.
pub async fn list(lake: &impl Lake, stream: &str) -> Result<Vec<ObjectKey>, RemoteError> {
    let keys = lake.list(&stream_prefix(stream)).await?;
    Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
}

/// Gets an object and reads it, as [`read`] does.
pub async fn read_object(lake: &impl Lake, key: &ObjectKey) -> Result<(Extent, Vec<LakeRecord>), ReadError> {
    let stored = lake.get(&key.to_string()).await?.ok_or_else(|| ReadError::Missing(key.to_string()))?;
    read(key, &stored)
}

/// The records of an object, with its extent: their number, their ends and the hash of their bytes are checked against the
/// metadata, and that they ascend and are of the hour that the key names.
pub fn read(key: &ObjectKey, stored: &Stored) -> Result<(Extent, Vec<LakeRecord>), ReadError> {
    let named = || key.to_string();
    let extent = Extent::from_metadata(&stored.metadata, &key.slot)
        .map_err(|problem| ReadError::Metadata { key: named(), problem })?;
    let lines = decompress(key.format, &stored.body, LINES_BYTES_MAX)
        .map_err(|source| ReadError::Decompress { key: named(), source })?;
    let mut records = Vec::new();
    for (index, text) in lines.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let record = line::parse(text).map_err(|source| ReadError::Line { key: named(), line: index + 1, source })?;
        records.push(record);
    }
    let problem = if extent.sha256 != <[u8; 32]>::from(Sha256::digest(&lines)) {
        "its bytes have another hash"
    } else if extent.count != records.len() as u64 {
        "it has another number of records"
    } else if records.first().map(|record| record.position) != Some(extent.first)
        || records.last().map(|record| record.position) != Some(extent.last)
    {
        "its ends are others"
    } else if !records.is_sorted_by(|a, b| a.position < b.position) {
        "its records do not ascend"
    } else if records.iter().any(|record| super::Hour::of(record.arrived_ms) != key.of.hour) {
        "it has records of another hour"
    } else {
        return Ok((extent, records));
    };
    Err(ReadError::Extent { key: named(), problem: problem.to_owned() })
}

/// One member or frame and nothing behind it: readers exist that lose what comes after the first. A few bytes can be packed
/// from more than a machine has: beyond `bytes_max` it is not read.
fn decompress(format: Format, body: &[u8], bytes_max: u64) -> io::Result<Vec<u8>> {
    let wrong = |problem| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    let mut lines = Vec::new();
    let rest = match format {
        Format::Gzip => {
            let mut decoder = flate2::bufread::GzDecoder::new(body);
            decoder.by_ref().take(bytes_max + 1).read_to_end(&mut lines)?;
            decoder.into_inner()
        }
        Format::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body)?.single_frame();
            decoder.by_ref().take(bytes_max + 1).read_to_end(&mut lines)?;
            decoder.finish()
        }
    };
    if lines.len() as u64 > bytes_max {
        return wrong("it is larger than any batch makes it");
    }
    if rest.is_empty() { Ok(lines) } else { wrong("more than one part") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_to_more_than_it_may_is_not_unpacked() {
        let lines = vec![b'0'; 1_000_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, &lines).unwrap();
        let packed = [(Format::Gzip, gzip.finish().unwrap()), (Format::Zstd, zstd::encode_all(&*lines, 3).unwrap())];
        for (format, body) in packed {
            assert!(body.len() < 2_000);
            assert_eq!(decompress(format, &body, 1_000_000).unwrap(), lines);
            let error = decompress(format, &body, 999_999).unwrap_err();
            assert_eq!(error.to_string(), "it is larger than any batch makes it", "{format}");
            let behind = [&body[..], b"x"].concat();
            assert!(decompress(format, &behind, 1_000_000).is_err(), "{format}");
        }
    }
}
