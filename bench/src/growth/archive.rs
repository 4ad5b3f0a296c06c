//! The archiver over records in a batch, and over their size.

use super::{Curve, Grower};
use crate::archiver::Archive;
use crate::events;
use anyhow::Result;
use myaku::lake::archive::Compression;
use std::hint::black_box;

const RECORDS: &[usize] = &[1, 10, 100, 1_000, 10_000];
const PAYLOADS: &[usize] = &[50, 200, 1_000, 10_000, 100_000, 1_048_576];
/// Bytes of payloads in one batch, and records at most: so a batch is of about one size, whatever it holds.
const BATCH_BYTES: usize = 1_048_576;
const BATCH_RECORDS: usize = 1_000;
/// A payload of a wearable.
const PAYLOAD_BYTES: usize = 70;

pub(super) fn curves(grower: &mut Grower) -> Result<Vec<Curve>> {
    let work = |records, payload_bytes| {
        let archive = Archive::new(Compression::default())?;
        let handle = move |body| archive.object(body).map(|object| drop(black_box(object)));
        Ok((records, events::plain(records, payload_bytes, 1), handle))
    };
    Ok(vec![
        grower.curve(("archiver", "records in a batch", "record"), RECORDS, |records| work(records, PAYLOAD_BYTES))?,
        grower.curve(("archiver", "bytes of a payload", "record"), PAYLOADS, |bytes| {
            work((BATCH_BYTES / bytes).clamp(1, BATCH_RECORDS), bytes)
        })?,
    ])
}
