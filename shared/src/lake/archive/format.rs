//! How the objects of the lake are compressed.

use std::fmt;
use std::str::FromStr;

/// The format of an object: one gzip member or one zstd frame, because some readers drop what comes after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// gzip, which every reader supports.
    Gzip,
    /// Zstandard: as small as gzip in half the time. Athena, Spark and Trino read it.
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

    /// The file name extension by which readers recognise it.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }

    /// The format that has this extension.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        [Self::Gzip, Self::Zstd].into_iter().find(|format| format.extension() == extension)
    }

    /// The levels that it supports.
    pub const fn levels(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::Gzip => 1..=9,
            Self::Zstd => 1..=19,
        }
    }

    /// The level at which making an object and storing it cost little together, and the batch is soon done.
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

/// A format and its level.
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

    /// `format` at its default level.
    pub(super) const fn of(format: Format) -> Self {
        Self { format, level: format.level_default() }
    }

    /// Its format.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Its level, which the format supports.
    pub(super) const fn level(self) -> u32 {
        self.level
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::of(Format::default())
    }
}

/// A setting of compression that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// Not the name of a format.
    #[error("it must be gzip or zstd")]
    Format,
    /// A level that the format does not support.
    #[error("it must be from {} to {} for {}", .0.levels().start(), .0.levels().end(), .0)]
    Level(Format),
}
