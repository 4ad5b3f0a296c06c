//! Anomalies: readings of one metric of one device that are out of its ordinary.
//!
//! - [`score`]: a learned score, which needs neither settings nor training. What it cannot see (readings that are missing, limits
//!   that a doctor sets) is for rules beside it.
//!
//! ```
//! use myaku::anomaly::score::{ALARM, Detector};
//!
//! let mut detector = Detector::new();
//! for minute in 0..300_i32 {
//!     let pulse = 61.0 + 6.0 * (f64::from(minute) / 20.0).sin();
//!     assert!(detector.update(i64::from(minute) * 60_000, pulse).value < ALARM);
//! }
//! let score = detector.update(300 * 60_000, 140.0);
//! assert!(score.value >= ALARM);
//! assert_eq!(score.reason.unwrap().to_string(), "level: the value is above its usual peaks");
//! ```

pub mod rules;
pub mod score;
