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
use crate::pair::{Ratio, beside};
use crate::row::{Bar, Case, Measured, Unit};
use anyhow::ensure;
use myaku::archive::{Compression, Format};
use std::hint::black_box;
use std::rc::Rc;

/// The level at which the handler is held against its compressor.
const GZIP_LEVEL: u32 = 6;
/// A child process each.
const MEMORY_ROUNDS: usize = 5;

/// All of them.
pub(crate) fn cases(Largest { single, aggregated }: &Largest) -> Vec<Case> {
    vec![
        beside_compression(single, Bar::AtMost(1.15)),
        beside_compression(aggregated, Bar::AtMost(1.12)),
        beside_plain(single),
        beside_plain(aggregated),
        memory(single),
        memory(aggregated),
    ]
}

fn beside_compression(event: &Rc<Event>, bar: Bar) -> Case {
    let event = Rc::clone(event);
    Case::new(
        format!("archiver/{}/gzip-6", event.name),
        (
            format!("archiver handler, {}, gzip 6", event.name),
            "CPU ÷ pure compression of the same bytes, same codec and level",
        ),
        (Unit::Times, bar),
        "Of what is beside the compressor, the SHA-256 of the lines is 0.07 by itself, at the 1.8 GB/s of the processor's own instructions, and an aggregate's MD5 0.03, eight at once; the rest is the event, base64, what may stand as JSON, and the lines. A hash of the compressed bytes would save 0.06, and tie what an extent says to a codec.",
        move |rounds| {
            let archive = Archive::new(Compression::new(Format::Gzip, Some(GZIP_LEVEL))?)?;
            let lines = lines(&archive.object(event.body.clone())?)?;
            let ratio = beside(
                rounds,
                || archive.spent(&event.body),
                || spent(|| drop(black_box(pack(black_box(&lines), Format::Gzip, GZIP_LEVEL)))),
            );
            Ok(measured(&ratio, lines.len(), "compression"))
        },
    )
}

fn beside_plain(event: &Rc<Event>) -> Case {
    let event = Rc::clone(event);
    Case::new(
        format!("archiver/{}/plain", event.name),
        (
            format!("archiver handler, {}, default codec and level", event.name),
            "CPU ÷ that of the plain handler (`KinesisEvent`, prost, miniz_oxide at 6)",
        ),
        (Unit::Times, Bar::AtMost(0.25)),
        "The default codec and level decide: what is left of the handler is compression.",
        move |rounds| {
            let archive = Archive::new(Compression::default())?;
            let ours = lines(&archive.object(event.body.clone())?)?;
            ensure!(ours == lines(&plain::archive(&event.body)?)?, "the plain handler writes other lines");
            let ratio = beside(
                rounds,
                || archive.spent(&event.body),
                || spent(|| drop(black_box(plain::archive(black_box(&event.body))))),
            );
            Ok(measured(&ratio, ours.len(), "the plain handler"))
        },
    )
}

fn measured(ratio: &Ratio, lines: usize, other: &str) -> Measured {
    let (ours, theirs, bytes) = (ratio.ours.as_secs_f64() * 1e3, ratio.other.as_secs_f64() * 1e3, lines as f64 / 1e6);
    Measured {
        value: ratio.spread,
        detail: format!("{ours:.1} ms beside {theirs:.1} ms of {other}, for {bytes:.1} MB of lines"),
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
