//! Windows of a device's metrics: each result is a pure function of the *set* of its readings. Here is the moving average.
//!
//! Neither the order of arrival, nor duplicates, nor where a batch was cut changes a result. Promise 2 rests on that.
//!
//! - [`Series`]: the remembered readings of one metric; a window is a stretch of them.
//! - [`DeviceState`]: the series of one device, and its bytes.
//! - [`MovingAverage`]: the rule by which readings advance a device. [`keyed`](crate::keyed) does the rest.
//! - [`rebuild`]: restores a lost window from readings that were kept elsewhere.
//! - [`tumbling`]: aggregates over windows of time that close, which have all kinds of values.
//!
//! ```
//! use myaku::device::profile::WindowSpec;
//! use myaku::keyed::ReadingId;
//! use myaku::window::{Entry, Place, Series};
//!
//! let spec = WindowSpec::last(2);
//! let mut series = Series::default();
//! for (id, at, value) in [("a", 1_000, 60.0), ("c", 3_000, 64.0), ("b", 2_000, 62.0), ("c", 3_000, 64.0)] {
//!     series.insert(&spec, Entry { place: Place { at, id: ReadingId::of(id, at) }, value, clock: None });
//! }
//! let (average, partial) = series.average(&spec).expect("it has readings");
//! assert_eq!((average.count, average.mean, partial), (2, 63.0, false));
//! ```

mod codec;
mod device;
pub mod rebuild;
mod rule;
mod series;
pub mod tumbling;

pub use device::DeviceState;
pub use rule::{MetricWindows, MovingAverage};
pub use series::{Entry, Inserted, Place, Series};

#[cfg(test)]
mod tests;
