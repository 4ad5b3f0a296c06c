//! Measures the codecs on the lake's lines: the size of the object, and the CPU time of writing and reading, at each
//! level. The default codec is chosen by the cost that follows from these figures.

use crate::archiver::{Archive, lines};
use crate::clock::spent;
use crate::events;
use crate::row::Spread;
use anyhow::{Result, ensure};
use myaku::lake::archive::{Compression, Format};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const LEVELS: &[(Format, u32)] = &[
    (Format::Gzip, 1),
    (Format::Gzip, 2),
    (Format::Gzip, 4),
    (Format::Gzip, 6),
    (Format::Gzip, 9),
    (Format::Zstd, 1),
    (Format::Zstd, 3),
    (Format::Zstd, 6),
    (Format::Zstd, 9),
    (Format::Zstd, 19),
];
/// The payload of the reference load's messages.
const PAYLOAD_BYTES: usize = 1_000;
/// The most rounds, since the highest level takes seconds.
const ROUNDS_MAX: usize = 5;
/// As many records as fit into the largest event.
const RECORDS: usize = 2_600;

/// A codec at a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Codec {
    pub(crate) name: String,
    pub(crate) level: u32,
    /// Whether it is the archiver's default.
    pub(crate) is_default: bool,
    /// The size of the object divided by the size of the lines.
    pub(crate) left: f64,
    /// CPU time of the whole handler per record, in nanoseconds.
    pub(crate) write_ns: f64,
    /// CPU time of decompression per record, in nanoseconds.
    pub(crate) read_ns: f64,
}

/// The results, and the size of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Codecs {
    pub(crate) payload_bytes: usize,
    /// The average size of a record's line.
    pub(crate) line_bytes: f64,
    pub(crate) levels: Vec<Codec>,
}

/// Measures all levels alternately.
pub(crate) fn measure(rounds: usize) -> Result<Codecs> {
    let body = events::plain(RECORDS, PAYLOAD_BYTES, 1);
    let archives = LEVELS.iter().map(|&(format, level)| Archive::new(Compression::new(format, Some(level))?));
    let archives = archives.collect::<Result<Vec<_>>>()?;
    let mut times = vec![(Vec::new(), Vec::new()); LEVELS.len()];
    for _ in 0..rounds.min(ROUNDS_MAX) {
        for (archive, (writes, reads)) in archives.iter().zip(&mut times) {
            let mut object = None;
            let copy = body.clone();
            writes.push(seconds(|| object = archive.object(copy).ok()));
            let object = object.unwrap_or_default();
            reads.push(seconds(|| drop(std::hint::black_box(lines(&object)))));
        }
    }
    let all = lines(&archives[0].object(body.clone())?)?;
    let mut levels = Vec::new();
    for ((&(format, level), archive), (writes, reads)) in LEVELS.iter().zip(&archives).zip(times) {
        let object = archive.object(body.clone())?;
        ensure!(lines(&object)? == all, "{format} {level} makes other lines than the first level");
        let each_ns = |times| Spread::of(times).median * 1e9 / RECORDS as f64;
        levels.push(Codec {
            name: format.name().to_owned(),
            level,
            is_default: Compression::new(format, Some(level))? == Compression::default(),
            left: object.body.len() as f64 / all.len() as f64,
            write_ns: each_ns(writes),
            read_ns: each_ns(reads),
        });
    }
    Ok(Codecs { payload_bytes: PAYLOAD_BYTES, line_bytes: all.len() as f64 / RECORDS as f64, levels })
}

fn seconds(work: impl FnOnce()) -> f64 {
    let took: Duration = spent(work);
    took.as_secs_f64()
}
