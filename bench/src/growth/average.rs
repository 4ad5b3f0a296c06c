//! The moving average's cost by readings in the window, and by devices in the batch.

use super::{Curve, CurveBench};
use crate::events;
use crate::functions::average::Average;
use anyhow::Result;

/// A window has 2,000 readings at most: a profile with a larger one is refused.
const WINDOWS: &[usize] = &[10, 30, 100, 300, 1_000, 2_000];
const DEVICES: &[usize] = &[10, 100, 1_000, 10_000, 100_000];
/// The number of devices while windows grow, and the readings in a window while devices do.
const DEVICES_OF_WINDOWS: usize = 20;
const WINDOW_OF_DEVICES: usize = 5;

pub(super) fn curves(bench: &mut CurveBench) -> Result<Vec<Curve>> {
    let work = |devices, window| {
        let before = events::readings(devices, 0..window);
        let average = Average::new(window as u32, before)?;
        let body = events::readings(devices, window..window + 1);
        Ok((devices, body, move |body| average.handle(body)))
    };
    Ok(vec![
        bench.curve(("moving average", "readings in the window", "reading"), WINDOWS, |window| {
            work(DEVICES_OF_WINDOWS, window)
        })?,
        bench.curve(("moving average", "devices in a batch", "device"), DEVICES, |devices| {
            work(devices, WINDOW_OF_DEVICES)
        })?,
    ])
}
