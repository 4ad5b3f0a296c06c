//! Keeps the moving average of each device's metrics.
//!
//! The rule is [`MovingAverage`], and [`myaku::keyed`] does what every stateful function does.

use myaku::keyed::deployed::run;
use myaku::window::MovingAverage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run::<MovingAverage>("moving-average").await
}

#[cfg(test)]
mod tests;
