//! The transform's cost by messages in a batch, and by their size.

use super::{Curve, CurveBench};
use crate::events;
use crate::functions::transform::Transform;
use anyhow::Result;

const RECORDS: &[usize] = &[1, 10, 100, 1_000, 10_000];
const PAYLOADS: &[usize] = &[70, 200, 1_000, 10_000, 100_000, 1_048_576];
const BATCH_BYTES: usize = 1_048_576;
const BATCH_RECORDS: usize = 1_000;
const PAYLOAD_BYTES: usize = 70;

pub(super) fn curves(bench: &mut CurveBench) -> Result<Vec<Curve>> {
    let work = |records, payload_bytes| {
        let transform = Transform::new()?;
        let body = events::plain(records, payload_bytes, 1);
        Ok((records, body, move |body| transform.handle(body)))
    };
    Ok(vec![
        bench.curve(("transform", "records in a batch", "record"), RECORDS, |records| work(records, PAYLOAD_BYTES))?,
        bench.curve(("transform", "bytes of a payload", "record"), PAYLOADS, |bytes| {
            work((BATCH_BYTES / bytes).clamp(1, BATCH_RECORDS), bytes)
        })?,
    ])
}
