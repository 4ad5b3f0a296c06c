//! The demo: sends real traffic through the whole template, and checks the promises against the results.
//!
//! In reading order:
//!
//! - [`traffic`]: devices and their messages; also a load at a steady rate, for `myaku traffic`.
//! - [`run`]: one run from the registry to the report. It consists of [`steps`].
//! - [`disturb`] and [`burst`]: what is done to the pipeline during a run, and before it.
//! - [`evidence`]: what a run left in every store, read back.
//! - [`verify`]: the verdict on each promise, computed independently of the pipeline's own code.
//! - [`latency`], [`presence`], [`alerts`], [`notices`], [`report`]: what else is measured, and how everything is printed.

pub mod alerts;
pub mod burst;
pub mod disturb;
pub mod evidence;
pub mod fingerprint;
pub mod latency;
pub mod notices;
mod options;
pub mod presence;
mod progress;
pub mod registry;
pub mod report;
pub mod routes;
pub mod run;
pub mod steps;
pub mod traffic;
pub mod verify;

pub use options::Options;
pub use progress::Progress;
