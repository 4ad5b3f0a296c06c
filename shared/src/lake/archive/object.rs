//! Encodes the records of an object as lines, and compresses the lines as it writes them.

use super::json::Canonical;
use super::{Compression, Extent, Format, line};
use crate::stream::batch::{Position, UserRecord};
use bytes::Bytes;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};

/// Lines are hashed and compressed in chunks of about this many bytes: large enough for both to run at full speed,
/// small enough to stay in the CPU cache.
const CHUNK_BYTES: usize = 64 * 1_024;

/// Up to this level, zstd should take little memory.
const FRUGAL_LEVEL_MAX: u32 = 3;
/// The window of these levels: how far back zstd looks for repetition, as the base-2 logarithm of bytes. Lines repeat
/// soon, so that a window eight times as large makes objects no smaller.
const FRUGAL_WINDOW_LOG: u32 = 18;

/// An object's bytes and what they cover. They do not depend on the slot that the object fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedObject {
    /// The compressed lines.
    pub body: Bytes,
    /// What the lines cover.
    pub extent: Extent,
}

impl EncodedObject {
    /// Encodes `records`, which ascend by position; `None` if there are none.
    pub fn of(records: &[UserRecord<'_>], compression: Compression) -> io::Result<Option<Self>> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(None) };
        let (first, last): (Position, Position) = (first.position(), last.position());
        let mut sink = Sink::new(compression)?;
        let mut sha256 = Sha256::new();
        let mut canonical = Canonical::default();
        let mut chunk = Vec::with_capacity(CHUNK_BYTES * 2);
        for record in records {
            line::write(&mut chunk, record, &mut canonical)?;
            if chunk.len() >= CHUNK_BYTES {
                sha256.update(&chunk);
                sink.write_all(&chunk)?;
                chunk.clear();
            }
        }
        sha256.update(&chunk);
        sink.write_all(&chunk)?;
        let extent = Extent { first, last, count: records.len() as u64, sha256: sha256.finalize().into() };
        Ok(Some(Self { body: sink.finish()?.into(), extent }))
    }
}

enum Sink {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Sink {
    fn new(compression: Compression) -> io::Result<Self> {
        let level = compression.level();
        Ok(match compression.format() {
            Format::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(level))),
            Format::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), level as i32)?;
                encoder.include_checksum(true)?;
                if level <= FRUGAL_LEVEL_MAX {
                    encoder.window_log(FRUGAL_WINDOW_LOG)?;
                }
                Self::Zstd(encoder)
            }
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
