//! Aggregates the readings of each device over windows of time.
//!
//! The rule is [`TumblingWindow`], and [`myaku::keyed`] does what every stateful function does.

use myaku::keyed::deployed::run;
use myaku::window::tumbling::TumblingWindow;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run::<TumblingWindow>("tumbling-window").await
}

#[cfg(test)]
mod tests;
