//! The archiver from an invocation's body to its object, compared with pure compression and with a plain handler.
//!
//! Compression is the least that any handler has to do. The plain handler is what a newcomer writes first.

mod memory;
mod ours;
mod plain;

pub(crate) use memory::peak_beyond_body;
use memory::peaks;
use ours::pack;
pub(crate) use ours::{Archive, lines};

use crate::clock::spent;
use crate::largest::{Event, Largest};
use crate::pair::compare;
use crate::row::{Bar, Case, Measured, Unit};
use anyhow::{Result, ensure};
use myaku::lake::archive::{Compression, Format, Stored};
use std::hint::black_box;
use std::rc::Rc;

/// The level at which the handler is compared with its compressor.
const GZIP_LEVEL: u32 = 6;
/// Each round is a child process.
const MEMORY_ROUNDS: usize = 5;

/// The rows of the table.
pub(crate) fn cases(Largest { single, aggregated }: &Largest) -> Vec<Case> {
    vec![
        COMPRESSION.case(single),
        Comparison { bar: 1.12, ..COMPRESSION }.case(aggregated),
        PLAIN.case(single),
        PLAIN.case(aggregated),
        memory(single),
        memory(aggregated),
    ]
}

/// A comparison of the handler at a level with another way to make the same lines.
struct Comparison {
    name: &'static str,
    /// The codec, in the words of the row.
    codec: &'static str,
    measured_as: &'static str,
    bar: f64,
    limit: &'static str,
    compression: fn() -> Result<Compression>,
    /// The name of the other way.
    other: &'static str,
    /// The other way: makes an object from a body and its lines.
    pack: fn(&[u8], &[u8]) -> Result<Stored>,
}

/// Pure compression, the least that any handler has to do.
const COMPRESSION: Comparison = Comparison {
    name: "gzip-6",
    codec: "gzip 6",
    measured_as: "CPU ÷ pure compression of the same bytes, same codec and level",
    bar: 1.15,
    limit: "Beyond the compressor, the SHA-256 of the lines alone costs 0.07: each block waits for the one before it, at the 1.8 GB/s of the processor's own instructions. Without it the ratios are 1.16 and 1.15. The MD5 of aggregates, eight at once, costs 0.03, the check which data can be stored as JSON 0.04, the event 0.03 and base64 0.02; the rest are copies and the lines. Two attempts had no effect: hashing by lines or by blocks, to use the waiting time of the chain, and pieces from 16 to 256 KB. A hash of the compressed bytes would save 0.06, but then an extent would depend on the codec.",
    compression: || Ok(Compression::new(Format::Gzip, Some(GZIP_LEVEL))?),
    other: "compression",
    pack: |_, lines| pack(lines, Format::Gzip, GZIP_LEVEL),
};

/// The plain handler.
const PLAIN: Comparison = Comparison {
    name: "plain",
    codec: "default codec and level",
    measured_as: "CPU ÷ that of the plain handler (`KinesisEvent`, prost, miniz_oxide at 6)",
    bar: 0.25,
    limit: "Most of the handler's time is compression, so the default codec and level decide.",
    compression: || Ok(Compression::default()),
    other: "the plain handler",
    pack: |body, _| plain::archive(body),
};

impl Comparison {
    fn case(self, event: &Rc<Event>) -> Case {
        let event = Rc::clone(event);
        let Self { name, codec, measured_as, bar, limit, compression, other, pack } = self;
        let path = format!("archiver handler, {}, {codec}", event.name);
        Case::new(
            format!("archiver/{}/{name}", event.name),
            (path, measured_as),
            (Unit::Times, Bar::AtMost(bar)),
            limit,
            move |rounds| {
                let archive = Archive::new(compression()?)?;
                let ours = lines(&archive.object(event.body.clone())?)?;
                ensure!(ours == lines(&pack(&event.body, &ours)?)?, "the lines of {other} differ from the handler's");
                let ratio = compare(
                    rounds,
                    || archive.spent(&event.body),
                    || spent(|| drop(black_box(pack(black_box(&event.body), black_box(&ours))))),
                );
                let [our_ms, other_ms] = [ratio.ours, ratio.other].map(|time| time.as_secs_f64() * 1e3);
                let megabytes = ours.len() as f64 / 1e6;
                let detail =
                    format!("{our_ms:.1} ms against {other_ms:.1} ms of {other}, for {megabytes:.1} MB of lines");
                Ok(Measured { value: ratio.spread, detail })
            },
        )
    }
}

fn memory(event: &Rc<Event>) -> Case {
    let event = Rc::clone(event);
    Case::new(
        format!("archiver/{}/memory", event.name),
        (
            format!("archiver memory, {}, default codec and level", event.name),
            "peak resident memory beyond the body, 6 MB event, in a process of its own",
        ),
        (Unit::Megabytes, Bar::AtMost(4.0)),
        "The batch and the object are in memory until the object is put, and so is the compressor's window.",
        move |_| peaks(&event.file, MEMORY_ROUNDS),
    )
}
