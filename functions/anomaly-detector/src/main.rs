//! Raises an alert when a device's readings break a rule of its profile, and clears it when they do not any more.
//!
//! The rule is [`AnomalyDetector`], and [`myaku::keyed`] does what every stateful function does.

#[cfg(test)]
mod tests;

use myaku::anomaly::rules::AnomalyDetector;
use myaku::keyed::deployed::run;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run::<AnomalyDetector>("anomaly-detector").await
}
