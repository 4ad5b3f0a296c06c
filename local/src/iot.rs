//! AWS IoT's rules on this machine: topics, the SQL of rules, and their actions.

mod action;
mod engine;
mod rule;
pub mod sql;
pub mod topic;

pub use action::{Action, Targets};
pub use engine::Engine;
pub use rule::Rule;
