//! Devices: what the registry says about them, what their messages mean, and whether they are heard.
//!
//! In reading order:
//!
//! - [`profile`]: the document that describes a kind of device: its formats and their versions, calibration, units,
//!   ranges, which clock to trust, and the window of each metric.
//! - [`registry`]: devices and profiles, read through caches. A change is live within a minute.
//! - [`event_time`]: which time a measurement gets, when the device's clock and the arrival disagree.
//! - [`reading`]: the uniform [`Reading`](reading::Reading) that all formats become.
//! - [`decoding`]: from a record of the stream to its readings.
//! - [`presence`]: who is connected, and who has fallen silent.
//!
//! ```
//! use myaku::device::event_time::{ClockRule, ClockSource, Times};
//!
//! let rule = ClockRule { trust: ClockSource::Device, allowed_skew_ms: 1_000, allowed_delay_ms: 60_000 };
//! let a_minute_late = Times { device: Some(40_000), ingest: 100_000, arrival: 100_100 };
//! assert_eq!(rule.choose(&a_minute_late)?.clock, ClockSource::Device);
//! # Ok::<(), myaku::device::event_time::BeyondBelief>(())
//! ```

pub mod decoding;
pub mod event_time;
pub mod presence;
pub mod profile;
pub mod reading;
pub mod registry;
