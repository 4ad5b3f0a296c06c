//! The bytes of an object: lines of records, compressed as they are made.

use super::json::Canonical;
use super::{Extent, line};
use crate::stream::batch::{Position, UserRecord};
use bytes::Bytes;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// Lines are collected to this many bytes, then hashed and compressed: large enough for both to run at full speed, small
/// enough to stay in the cache.
const CHUNK_BYTES: usize = 64 * 1_024;

/// Levels of zstd that are to take little memory, and the logarithm of how far back they look, in bytes: what repeats in
/// lines repeats soon, and eight times as much makes objects no smaller.
const FRUGAL_LEVEL_MAX: u32 = 3;
const FRUGAL_WINDOW_LOG: u32 = 18;

/// How objects are compressed: one gzip member or one zstd frame each, since readers exist that lose what comes after
/// the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// gzip, which everything reads.
    Gzip,
    /// Zstandard: in half of gzip's time as small, read by Athena, Spark and Trino.
    #[default]
    Zstd,
}

impl Format {
    /// Its name: `gzip` or `zstd`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The file name extension by which readers know it.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }

    /// The other way round.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        [Self::Gzip, Self::Zstd].into_iter().find(|format| format.extension() == extension)
    }

    /// The levels that it has.
    pub const fn levels(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::Gzip => 1..=9,
            Self::Zstd => 1..=19,
        }
    }

    /// The level at which an object's making and its keeping together cost little, and the batch is done soon.
    const fn level_default(self) -> u32 {
        match self {
            Self::Gzip => 6,
            Self::Zstd => 3,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Gzip, Self::Zstd].into_iter().find(|format| format.name() == text).ok_or(CompressionError::Format)
    }
}

/// A format and how hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    format: Format,
    level: u32,
}

impl Compression {
    /// `format` at `level`, or at its default level.
    pub fn new(format: Format, level: Option<u32>) -> Result<Self, CompressionError> {
        let level = level.unwrap_or(format.level_default());
        if format.levels().contains(&level) { Ok(Self { format, level }) } else { Err(CompressionError::Level(format)) }
    }

    /// Its format.
    pub const fn format(&self) -> Format {
        self.format
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::of(Format::default())
    }
}

impl Compression {
    /// `format` at its default level.
    pub(super) const fn of(format: Format) -> Self {
        Self { format, level: format.level_default() }
    }
}

/// A setting of compression that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// Neither of the formats.
    #[error("it must be gzip or zstd")]
    Format,
    /// A level that the format does not have.
    #[error("it must be from {} to {} for {}", .0.levels().start(), .0.levels().end(), .0)]
    Level(Format),
}

/// An object's bytes and what they cover. They do not depend on the slot that takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The compressed lines.
    pub body: Bytes,
    /// What they cover.
    pub extent: Extent,
}

impl Encoded {
    /// Encodes `records`, which ascend by position; `None`: there are none.
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
    fn new(Compression { format, level }: Compression) -> io::Result<Self> {
        Ok(match format {
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
