//! The checksums of a batch's aggregates, compared with a crate that computes one after the other.

use crate::clock::spent;
use crate::largest::Event;
use crate::pair::compare;
use crate::row::{Bar, Case, Measured, Unit};
use md5::{Digest as _, Md5};
use myaku::stream::batch::Batch;
use myaku::stream::kpl;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

/// Compares our verification and deaggregation with verification alone by the crate.
pub(crate) fn cases(aggregated: &Rc<Event>) -> Vec<Case> {
    let event = Rc::clone(aggregated);
    let case = Case::new(
        "checksum/aggregated",
        ("MD5 and deaggregation of a batch's aggregates", "throughput ÷ that of the md-5 crate's MD5 alone"),
        (Unit::Times, Bar::AtLeast(3.0)),
        "If one MD5 follows the other, each step waits for the one before it.",
        move |rounds| {
            let batch = Batch::from_event(event.body.clone())?;
            let records: Vec<&[u8]> = batch.records.iter().map(|record| &*record.data).collect();
            let plain = || {
                for record in &records {
                    black_box(Md5::digest(black_box(record)));
                }
            };
            let ours = || drop(black_box(kpl::decode_all(black_box(&records))));
            let ratio = compare(rounds, || spent(plain), || spent(ours));
            let bytes: usize = records.iter().map(|record| record.len()).sum();
            let speed = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
            let detail = format!("{:.0} MB/s against {:.0} MB/s", speed(ratio.other), speed(ratio.ours));
            Ok(Measured { value: ratio.spread, detail })
        },
    );
    vec![case]
}
