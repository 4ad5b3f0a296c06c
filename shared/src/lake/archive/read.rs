//! Reads the lake, and checks each object against its metadata.

use super::slot::stream_prefix;
use super::{Extent, Format, Lake, LakeRecord, ObjectKey, ParseLineError, Stored, line};
use crate::platform::errors::RemoteError;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _};

/// Bytes that an object may decompress to: more than any batch can produce. An invocation of Lambda has 6 MiB, which
/// are 4.5 MiB without base64. The smallest record of an aggregate takes six bytes, and its line takes 130 bytes and a
/// key, which has at most 1,536 bytes in JSON.
const LINES_BYTES_MAX: u64 = 2 << 30;

/// Why an object of the lake cannot be read, or trusted.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A call to the lake failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The object does not exist.
    #[error("{0} does not exist")]
    Missing(String),
    /// Its metadata are missing, or are not those of an object in its slot.
    #[error("{key}: {problem}")]
    Metadata {
        /// The object.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be decompressed.
    #[error("cannot decompress {key}")]
    Decompress {
        /// The object.
        key: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One of its lines is not a line of the lake.
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
    /// It does not match its metadata, or its records do not ascend.
    #[error("{key} does not match its metadata: {problem}")]
    Extent {
        /// The object.
        key: String,
        /// How it differs.
        problem: String,
    },
}

/// Lists the objects of a stream, in the order of their keys. Other objects of the bucket are left out.
pub async fn list(lake: &impl Lake, stream: &str) -> Result<Vec<ObjectKey>, RemoteError> {
    let keys = lake.list(&stream_prefix(stream)).await?;
    Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
}

/// Gets an object and reads it, as [`read`] does.
pub async fn read_object(lake: &impl Lake, key: &ObjectKey) -> Result<(Extent, Vec<LakeRecord>), ReadError> {
    let stored = lake.get(&key.to_string()).await?.ok_or_else(|| ReadError::Missing(key.to_string()))?;
    read(key, &stored)
}

/// Reads the extent and the records of an object, and checks them: the number of records, the first and the last one,
/// and the hash of the lines must be those of the metadata. The records must ascend, and have arrived in the key's
/// hour.
///
/// # Errors
/// The object is damaged, or is not what its key and metadata say.
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
        "its bytes have a different hash"
    } else if extent.count != records.len() as u64 {
        "it has a different number of records"
    } else if records.first().map(|record| record.position) != Some(extent.first)
        || records.last().map(|record| record.position) != Some(extent.last)
    {
        "it has a different first or last record"
    } else if !records.is_sorted_by(|a, b| a.position < b.position) {
        "its records do not ascend"
    } else if records.iter().any(|record| super::Hour::of(record.arrived_ms) != key.of.hour) {
        "it has records of another hour"
    } else {
        return Ok((extent, records));
    };
    Err(ReadError::Extent { key: named(), problem: problem.to_owned() })
}

/// Decompresses one member or frame. Nothing may follow it, because some readers drop what comes after the first. A few
/// bytes can decompress to more than a machine's memory, so reading stops after `bytes_max`.
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
        return wrong("it is larger than any batch can make it");
    }
    if rest.is_empty() { Ok(lines) } else { wrong("it has more than one part") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompression_stops_at_the_limit_and_refuses_trailing_bytes() {
        let lines = vec![b'0'; 1_000_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, &lines).unwrap();
        let packed = [(Format::Gzip, gzip.finish().unwrap()), (Format::Zstd, zstd::encode_all(&*lines, 3).unwrap())];
        for (format, body) in packed {
            assert!(body.len() < 2_000);
            assert_eq!(decompress(format, &body, 1_000_000).unwrap(), lines);
            let error = decompress(format, &body, 999_999).unwrap_err();
            assert_eq!(error.to_string(), "it is larger than any batch can make it", "{format}");
            let longer = [&body[..], b"x"].concat();
            assert!(decompress(format, &longer, 1_000_000).is_err(), "{format}");
        }
    }
}
