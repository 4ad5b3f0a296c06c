//! Reference models: small, and obviously right because they keep everything and compute it anew.
//!
//! They see what is put on the streams and what takes effect in the stores, in the order in which it does, and say what
//! must never be.

mod averages;
mod lake;
mod readings;

pub(crate) use averages::{Averages, METRICS, metric_name, value_of, window};
pub(crate) use lake::LakeModel;
pub(crate) use readings::{Name, Readings, name};

use crate::invariants::Violation;

/// What a model says to what happened.
pub(crate) type Checked = Result<(), Violation>;
