//! Reference models: small, and obviously right because they keep everything and compute each result from all of it.
//!
//! They observe every put on the streams and every effect in the stores, in order, and return a violation for whatever
//! must never happen.

mod averages;
mod lake;
mod readings;

pub(crate) use averages::{Averages, METRICS, metric_name, value_of, window};
pub(crate) use lake::LakeModel;
pub(crate) use readings::{Name, Readings, name};

use crate::invariants::Violation;

/// A model's verdict on an event.
pub(crate) type Checked = Result<(), Violation>;
