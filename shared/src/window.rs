//! Moving averages: the window of a device's metric, as a pure function of the *set* of its readings.
//!
//! Neither the order of arrival, nor duplicates, nor where a batch was cut changes a result. Promise 2 rests on it.

mod average;
mod device;
pub mod rebuild;
mod series;
mod spec;
pub mod state;

pub use average::Average;
pub use device::{Advance, Change, DeviceState, Incoming, Loss, Origin, advance};
pub use series::{Entry, Inserted, Place, Series, id_digest};
pub use spec::{MAX_READINGS, WindowSpec};

#[cfg(test)]
mod tests;
