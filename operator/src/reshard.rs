//! Looks at a stream's shards and changes them by hand, as the autoscaler does it by itself.
//!
//! An operator observes the stream ([`observe()`]), sees its keyspace and load ([`draw`]), reads what a policy would do
//! and why ([`describe`]), and does it ([`apply()`], [`even`]). Plans and steps are those of [`myaku::scaling`], so a
//! stream that is sized by hand and one that the autoscaler sizes follow the same rules, and both may be at work on one
//! stream.

mod apply;
mod observe;
mod policy;
mod status;

pub use apply::{apply, even};
pub use observe::observe;
pub use policy::{policy_from_env, read_policy};
pub use status::{describe, draw};
