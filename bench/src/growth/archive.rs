//! The archiver's cost by records in a batch, and by their size.

use super::{Curve, CurveBench};
use crate::archiver::Archive;
use crate::events;
use anyhow::Result;
use myaku::lake::archive::Compression;
use std::hint::black_box;

const RECORDS: &[usize] = &[1, 10, 100, 1_000, 10_000];
const PAYLOADS: &[usize] = &[50, 200, 1_000, 10_000, 100_000, 1_048_576];
/// The bytes of payloads in one batch, and the most records, so that batches of all payload sizes have about one size.
const BATCH_BYTES: usize = 1_048_576;
const BATCH_RECORDS: usize = 1_000;
/// The size of a wearable's payload.
const PAYLOAD_BYTES: usize = 70;

pub(super) fn curves(bench: &mut CurveBench) -> Result<Vec<Curve>> {
    let work = |records, payload_bytes| {
        let archive = Archive::new(Compression::default())?;
        let handle = move |body| archive.object(body).map(|object| drop(black_box(object)));
        Ok((records, events::plain(records, payload_bytes, 1), handle))
    };
    Ok(vec![
        bench.curve(("archiver", "records in a batch", "record"), RECORDS, |records| work(records, PAYLOAD_BYTES))?,
        bench.curve(("archiver", "bytes of a payload", "record"), PAYLOADS, |bytes| {
            work((BATCH_BYTES / bytes).clamp(1, BATCH_RECORDS), bytes)
        })?,
    ])
}
