//! Moving averages: the window of a device's metric, as a pure function of the *set* of its readings.
//!
//! Neither the order of arrival, nor duplicates, nor where a batch was cut changes a result. Promise 2 rests on it.

mod device;
pub mod rebuild;
mod series;
pub mod state;

pub use device::{Advance, Change, DeviceState, Incoming, Loss, Origin, advance};
pub use series::{Entry, Inserted, Place, Series, id_digest};

#[cfg(test)]
mod tests;
