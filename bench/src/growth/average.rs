//! The moving average over readings in the window, and over devices in the batch.

use super::{Curve, Grower};
use crate::events;
use crate::functions::average::Average;
use anyhow::Result;

/// A window holds 2,000 readings at most: a profile that asks for more is refused.
const WINDOWS: &[usize] = &[10, 30, 100, 300, 1_000, 2_000];
const DEVICES: &[usize] = &[10, 100, 1_000, 10_000, 100_000];
/// Devices in the batch where windows grow, and readings in the window where devices do.
const DEVICES_OF_WINDOWS: usize = 20;
const WINDOW_OF_DEVICES: usize = 5;

pub(super) fn curves(grower: &mut Grower) -> Result<Vec<Curve>> {
    let work = |devices, window| {
        let before = events::readings(devices, 0..window);
        let average = Average::new(window as u32, before)?;
        let body = events::readings(devices, window..window + 1);
        Ok((devices, body, move |body| average.handle(body)))
    };
    Ok(vec![
        grower.curve(("moving average", "readings in the window", "reading"), WINDOWS, |window| {
            work(DEVICES_OF_WINDOWS, window)
        })?,
        grower.curve(("moving average", "devices in a batch", "device"), DEVICES, |devices| {
            work(devices, WINDOW_OF_DEVICES)
        })?,
    ])
}
