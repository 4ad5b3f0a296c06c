//! Carries out a plan: observes the stream, executes one step at a time, and updates the alarms.
//!
//! The autoscaler is level-triggered. Whatever starts it (an alarm, a schedule, an operator), one [`Autoscaler::tick`]
//! observes the stream and does the next thing. Each call is safe to repeat, and work in progress is one conditional
//! item in the [`Ledger`]. So the stream reaches the planned size in spite of lost notifications, a crash between any
//! two calls, or concurrent invocations.

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
pub use tick::{Autoscaler, Planner, Report, TickOutcome};

#[cfg(test)]
mod tests;
