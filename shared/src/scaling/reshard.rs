//! Carrying a reshard plan out: observing, one step at a time, and the alarms that follow.
//!
//! Level-triggered: whatever wakes it (an alarm, a schedule, a hand), one [`Autoscaler::tick`] looks at the stream as it is
//! and does the next thing. Each call is safe to repeat, what is under way is one conditional item in the [`Ledger`], and
//! so a lost notification, a crash between any two calls or two invocations at once change nothing about where it ends.

pub mod alarms;
pub mod control;
pub mod ledger;
pub mod metrics;
mod observe;
mod tick;

pub use alarms::AlarmStore;
pub use control::StreamControl;
pub use ledger::Ledger;
pub use metrics::Metrics;
pub use observe::{Readers, observe};
pub use tick::{Autoscaler, Outcome, Planner, Report};

#[cfg(test)]
mod tests;
