//! Aggregates of a device's metric over windows of time: 5 minutes, an hour, a day, overlapping ones, sessions.
//!
//! - [`Timeline`]: what is kept of one metric; its readings advance it, and it says which results are due.
//! - [`Aggregate`]: what the readings of one window come to, by their kind. Aggregates merge.
//! - [`WindowResult`]: the result of one window, which merges with others.
//! - [`Interval`]: where the windows begin and end.
//! - [`MetricTimelines`]: the timelines of one device, and their bytes.
//! - [`TumblingWindow`]: the rule by which readings advance a device. [`keyed`](crate::keyed) does the rest.
//!
//! **A function of a set.** The readings within the allowed lateness of the newest are kept, and are known by their id. Older
//! ones are folded into aggregates, in the order of their time. So every result is a function of the set of readings,
//! whatever the order in which they came.
//!
//! **By the device's own time.** The newest time that a device sent is its clock. A window closes when that clock reaches
//! its end. Then its result is due. It is due again when a reading within the lateness changes it,
//! and never after the clock is past its end by the lateness. A window without readings has no result.
//!
//! ```
//! use myaku::device::profile::{Size, Windows, document::Kind};
//! use myaku::device::reading::Value;
//! use myaku::keyed::ReadingId;
//! use myaku::window::tumbling::{Entry, MetricSpec, Summary, Timeline};
//!
//! let minute = Size::Fixed { length_ms: 60_000, step_ms: 60_000 };
//! let windows = Windows { list: vec![minute.into()], allowed_lateness_ms: 30_000 };
//! let spec = MetricSpec { kind: Kind::Number, unit: "1/min", windows: &windows };
//! let mut timeline = Timeline::new(Kind::Number, None);
//! let mut due = Vec::new();
//! for (id, at, value) in [(1, 10_000, 60.0), (2, 40_000, 64.0), (3, 65_000, 70.0), (4, 50_000, 80.0)] {
//!     let inserted = timeline.insert(spec, Entry { at, id: ReadingId { order: id, digest: id }, value: Value::Number(value) });
//!     due.push(inserted.expect("it is a number").due);
//! }
//! assert!(due[0].is_empty() && due[1].is_empty(), "the first minute is open");
//! let means = [&due[2], &due[3]].map(|due| match due[0].summary() {
//!     Some(Summary::Numbers(numbers)) => numbers.mean,
//!     _ => f64::NAN,
//! });
//! assert_eq!(means, [62.0, 68.0], "the third reading closes it, and the late one corrects it");
//! ```

mod aggregate;
mod codec;
mod device;
mod interval;
mod outcome;
mod result;
mod rule;
mod timeline;

pub use aggregate::{
    Aggregate, Booleans, BooleansSummary, CountedText, MAX_BINS, MAX_TEXTS, Numbers, NumbersSummary, Positions,
    PositionsSummary, Sketch, Summary, TOP, Texts, TextsSummary, Timed,
};
pub use device::MetricTimelines;
pub use interval::{Interval, intervals};
pub use result::{UnlikeWindows, WindowResult};
pub use rule::TumblingWindow;
pub use timeline::{Entry, Inserted, MAX_PENDING, MAX_PENDING_BYTES, MetricSpec, Timeline};

#[cfg(test)]
mod tests;
