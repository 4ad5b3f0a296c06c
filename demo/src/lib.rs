//! The demo: real traffic through the whole template, and the promises checked against what came out.
//!
//! In reading order:
//!
//! - [`traffic`]: devices, and the messages that they send; also at a steady rate, for `myaku traffic`.
//! - [`run`]: registry, traffic and disturbances, then quiet, then the evidence. It is made of [`steps`].
//! - [`disturb`] and [`burst`]: what is done to the pipeline meanwhile.
//! - [`evidence`]: what a run left behind, read back from every store.
//! - [`verify`]: the verdict: each promise, computed independently of the pipeline's own code.
//! - [`latency`], [`presence`], [`report`]: what else is measured, and how all of it is printed.

pub mod burst;
pub mod disturb;
pub mod evidence;
pub mod fingerprint;
pub mod latency;
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
