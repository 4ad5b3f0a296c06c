//! AWS IoT's rules on this machine: topics, their SQL, and what a rule does with a message.

pub mod sql;
pub mod topic;
