//! Reads the lake, and checks each object against its metadata.

use super::slot::stream_prefix;
use super::{Extent, Format, Lake, LakeRecord, ObjectKey, ParseLineError, Stored, line};
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead as _, Read};

/// Bytes that are decompressed at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of a line: a record of 10 MiB, the most that Kinesis takes, as base64, its key, and what else a line has.
const LINE_BYTES_MAX: u64 = 14 << 20;
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
    let mut records = Vec::new();
    let extent = scan(key, stored, |record| records.push(record))?;
    Ok((extent, records))
}

/// Checks an object as [`read`] does, and keeps nothing of it but a line at a time: a few bytes can decompress to more
/// than a machine's memory.
///
/// # Errors
/// The object is damaged, or is not what its key and metadata say.
pub fn check(key: &ObjectKey, stored: &Stored) -> Result<Extent, ReadError> {
    scan(key, stored, drop)
}

/// Reads an object line by line, and passes on each record. Stops at the first thing that is wrong.
fn scan(key: &ObjectKey, stored: &Stored, mut take: impl FnMut(LakeRecord)) -> Result<Extent, ReadError> {
    let named = || key.to_string();
    let differs = |problem: &str| Err(ReadError::Extent { key: named(), problem: problem.to_owned() });
    let extent = Extent::from_metadata(&stored.metadata, &key.slot)
        .map_err(|problem| ReadError::Metadata { key: named(), problem })?;
    let decompress = |source| ReadError::Decompress { key: named(), source };
    let mut lines = Lines::of(key.format, &stored.body, LINES_BYTES_MAX).map_err(decompress)?;
    let (mut sha256, mut count) = (Sha256::new(), 0);
    let mut ends: Option<(Position, Position)> = None;
    let (mut ascends, mut is_of_hour) = (true, true);
    while let Some(line) = lines.next().map_err(decompress)? {
        count += 1;
        if count > extent.count {
            return differs("it has more records");
        }
        sha256.update(line);
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let record =
            line::parse(text).map_err(|source| ReadError::Line { key: named(), line: count as usize, source })?;
        ascends &= ends.is_none_or(|(_, last)| last < record.position);
        is_of_hour &= super::Hour::of(record.arrived_ms) == key.of.hour;
        ends = Some((ends.map_or(record.position, |(first, _)| first), record.position));
        take(record);
    }
    lines.end().map_err(decompress)?;
    if extent.sha256 != <[u8; 32]>::from(sha256.finalize()) {
        differs("its bytes have a different hash")
    } else if count != extent.count {
        differs("it has fewer records")
    } else if ends != Some((extent.first, extent.last)) {
        differs("it has a different first or last record")
    } else if !ascends {
        differs("its records do not ascend")
    } else if !is_of_hour {
        differs("it has records of another hour")
    } else {
        Ok(extent)
    }
}

/// The lines of an object, which is one member or one frame. Nothing may follow it, because some readers drop what
/// comes after the first.
struct Lines<'a> {
    /// It stops one byte after the most that an object may have.
    text: io::BufReader<io::Take<Inflater<'a>>>,
    line: Vec<u8>,
}

enum Inflater<'a> {
    Gzip(Box<flate2::bufread::GzDecoder<&'a [u8]>>),
    Zstd(zstd::Decoder<'a, &'a [u8]>),
}

impl Read for Inflater<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

impl<'a> Lines<'a> {
    /// The lines of `body`, which may have `bytes_max` bytes together.
    fn of(format: Format, body: &'a [u8], bytes_max: u64) -> io::Result<Self> {
        let inflater = match format {
            Format::Gzip => Inflater::Gzip(Box::new(flate2::bufread::GzDecoder::new(body))),
            Format::Zstd => Inflater::Zstd(zstd::Decoder::with_buffer(body)?.single_frame()),
        };
        let text = io::BufReader::with_capacity(CHUNK_BYTES, inflater.take(bytes_max + 1));
        Ok(Self { text, line: Vec::new() })
    }

    /// Reads the next line, with its line feed.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.text.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut self.line)?;
        if self.text.get_ref().limit() == 0 {
            return wrong("it is larger than any batch can make it");
        }
        if read as u64 > LINE_BYTES_MAX {
            return wrong("it has a line that is longer than that of any record");
        }
        Ok((read > 0).then_some(&self.line))
    }

    /// Checks, after the last line, that nothing follows.
    fn end(self) -> io::Result<()> {
        let rest = match self.text.into_inner().into_inner() {
            Inflater::Gzip(decoder) => decoder.into_inner(),
            Inflater::Zstd(decoder) => decoder.finish(),
        };
        if rest.is_empty() { Ok(()) } else { wrong("it has more than one part") }
    }
}

fn wrong<T>(problem: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::archive::{Hour, Metadata, ShardHour, Slot};

    fn packed(lines: &[u8]) -> [(Format, Vec<u8>); 2] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        io::Write::write_all(&mut gzip, lines).unwrap();
        [(Format::Gzip, gzip.finish().unwrap()), (Format::Zstd, zstd::encode_all(lines, 3).unwrap())]
    }

    fn all(format: Format, body: &[u8], bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut lines = Lines::of(format, body, bytes_max)?;
        let mut all = Vec::new();
        while let Some(line) = lines.next()? {
            all.extend_from_slice(line);
        }
        lines.end().map(|()| all)
    }

    #[test]
    fn decompression_stops_at_the_limit_and_refuses_trailing_bytes() {
        let lines = b"0000\n".repeat(200_000);
        for (format, body) in packed(&lines) {
            assert!(body.len() < 5_000);
            assert_eq!(all(format, &body, 1_000_000).unwrap(), lines);
            let error = all(format, &body, 999_999).unwrap_err();
            assert_eq!(error.to_string(), "it is larger than any batch can make it", "{format}");
            let longer = [&body[..], b"x"].concat();
            assert!(all(format, &longer, 1_000_000).is_err(), "{format}");
        }
    }

    #[test]
    fn an_object_is_read_no_further_than_its_first_damage() {
        let line = r#"{"seq":"7","sub":0,"key":"k","arrived":0,"json":1}"#;
        let many = format!("{line}\n").repeat(10_000);
        let endless = "0".repeat(LINE_BYTES_MAX as usize * 2);
        let of = ShardHour { stream: "s".into(), hour: Hour::of(0), shard: "shard".into() };
        let first = Position { sequence: "7".parse().unwrap(), sub: 0 };
        let extent = Extent { first, last: first, count: 1, sha256: [0; 32] };
        for (text, problem) in [(many, "it has more records"), (endless, "longer than that of any record")] {
            for (format, body) in packed(text.as_bytes()) {
                // The end is missing, which a reader that goes on finds out.
                let stored = Stored { body: body[..body.len() - 5].to_vec().into(), metadata: extent.to_metadata() };
                let key = ObjectKey { of: of.clone(), slot: Slot::FIRST, format };
                let error = crate::platform::errors::chain(&check(&key, &stored).unwrap_err());
                assert!(error.contains(problem), "{format}: {error}");
            }
        }
        let key = ObjectKey { of, slot: Slot::FIRST, format: Format::Zstd };
        let stored = Stored { metadata: Metadata::new(), ..Stored::default() };
        assert!(matches!(check(&key, &stored), Err(ReadError::Metadata { .. })));
    }
}
