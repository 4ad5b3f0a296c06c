//! Adds up by how much and for how long a cold room is too warm.
//!
//! The rule is [`DegreeHours`], and [`myaku::keyed`] does what every stateful function does.

mod outcome;
mod rule;
mod state;
#[cfg(test)]
mod tests;

use myaku::keyed::deployed::run;
use rule::DegreeHours;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run::<DegreeHours>("degree-hours").await
}
