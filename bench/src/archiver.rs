//! The archiver from an invocation's body to its object, beside the least that anybody has to do, and beside what is
//! written on a first day.

mod memory;
mod ours;
mod plain;

pub(crate) use memory::peak_beyond_body;
use memory::peaks;
use ours::pack;
pub(crate) use ours::{Archive, lines};

use crate::clock::spent;
use crate::largest::{Event, Largest};
use crate::pair::beside;
use crate::row::{Bar, Case, Measured, Unit};
use anyhow::{Result, ensure};
use myaku::lake::archive::{Compression, Format, Stored};
use std::hint::black_box;
use std::rc::Rc;

/// The level at which the handler is held against its compressor.
const GZIP_LEVEL: u32 = 6;
/// A child process each.
const MEMORY_ROUNDS: usize = 5;

/// All of them.
pub(crate) fn cases(Largest { single, aggregated }: &Largest) -> Vec<Case> {
    vec![
        COMPRESSION.case(single),
        Beside { bar: 1.12, ..COMPRESSION }.case(aggregated),
        PLAIN.case(single),
        PLAIN.case(aggregated),
        memory(single),
        memory(aggregated),
    ]
}

/// The handler at a level, beside another way to the same lines.
struct Beside {
    name: &'static str,
    /// What the row says of the codec.
    codec: &'static str,
    measured_as: &'static str,
    bar: f64,
    limit: &'static str,
    compression: fn() -> Result<Compression>,
    /// What the other way is called.
    other: &'static str,
    /// The other way, from a body and its lines to an object.
    pack: fn(&[u8], &[u8]) -> Result<Stored>,
}

/// The least that anybody has to do.
const COMPRESSION: Beside = Beside {
    name: "gzip-6",
    codec: "gzip 6",
    measured_as: "CPU ÷ pure compression of the same bytes, same codec and level",
    bar: 1.15,
    limit: "Of what is beside the compressor, the SHA-256 of the lines is 0.07 by itself: a chain, at the 1.8 GB/s of the processor's own instructions. Without it the ratios are 1.16 and 1.15. An aggregate's MD5 is 0.03, eight at once; what may stand as JSON 0.04, the event 0.03, base64 0.02, and the rest are copies and the lines. Tried to no effect: hashing by lines or by blocks, so that the chain's waits are filled, and pieces from 16 to 256 KB. A hash of the compressed bytes would save 0.06, and tie what an extent says to a codec.",
    compression: || Ok(Compression::new(Format::Gzip, Some(GZIP_LEVEL))?),
    other: "compression",
    pack: |_, lines| pack(lines, Format::Gzip, GZIP_LEVEL),
};

/// What is written on a first day.
const PLAIN: Beside = Beside {
    name: "plain",
    codec: "default codec and level",
    measured_as: "CPU ÷ that of the plain handler (`KinesisEvent`, prost, miniz_oxide at 6)",
    bar: 0.25,
    limit: "The default codec and level decide: what is left of the handler is compression.",
    compression: || Ok(Compression::default()),
    other: "the plain handler",
    pack: |body, _| plain::archive(body),
};

impl Beside {
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
                ensure!(ours == lines(&pack(&event.body, &ours)?)?, "{other} has other lines");
                let ratio = beside(
                    rounds,
                    || archive.spent(&event.body),
                    || spent(|| drop(black_box(pack(black_box(&event.body), black_box(&ours))))),
                );
                let [our_ms, other_ms] = [ratio.ours, ratio.other].map(|time| time.as_secs_f64() * 1e3);
                let megabytes = ours.len() as f64 / 1e6;
                let detail =
                    format!("{our_ms:.1} ms beside {other_ms:.1} ms of {other}, for {megabytes:.1} MB of lines");
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
        "The batch and the object itself are in memory until it is put, beside the compressor's window.",
        move |_| peaks(&event.file, MEMORY_ROUNDS),
    )
}
