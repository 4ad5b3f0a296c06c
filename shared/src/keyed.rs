//! What every stateful function has in common: the state of each device, and the order of effects and commits.
//!
//! A stateful function is a pure [`Rule`] (its settings per device, its state, and how readings advance it), its wiring
//! and its README. Everything else is here, once.
//!
//! In reading order:
//!
//! - [`Rule`], [`State`] and [`Seen`]: what a function brings, and the positions that each state remembers.
//! - [`handle()`]: one batch, from its records to the commit, over a [`Context`] of [`Ports`].
//! - [`SettingsSource`]: which settings a device has; the registry is one.
//! - [`states`]: the port to stored state, with adapters for Redis and memory. [`codec`] and [`bytes`]
//!   are the format of what is stored.
//!
//! **Effects before state.** For each batch: load the state of its devices, compute purely, write the result rows, and
//! only then commit the new states, each by compare-and-set on the version that was loaded. A crash before the commit
//! repeats the same rows. An invocation that should be dead (a zombie) fails to commit, and its rows replace nothing newer.
//!
//! **Redelivery.** A state remembers the last position of each shard, so a record that is delivered again changes nothing.
//! A reading that was sent twice has the same id, which the rule's state knows.
//!
//! **Loss.** Redis can lose its last writes, or everything. A row carries the position and the revision of the state that it
//! was computed from. A row that is ahead of the loaded state shows that the state lost something: then the rows are
//! computed again, and flagged as partial.
//!
//! ```
//! use myaku::keyed::Seen;
//! use myaku::stream::batch::Position;
//!
//! let at = |sub| Position { sub, ..Position::ZERO };
//! let mut seen = Seen::of_stream("readings");
//! seen.advance("shardId-000000000000", at(7));
//! assert!(seen.contains("shardId-000000000000", at(7)), "delivered again");
//! assert!(!seen.contains("shardId-000000000000", at(8)));
//! ```

pub mod bytes;
pub mod codec;
mod device;
mod digest;
mod handle;
mod input;
mod rule;
mod seen;
mod settings;
pub mod states;

pub use digest::id_digest;
pub use handle::{Context, GROUP, Ports, handle};
pub use rule::{Advance, Change, Incoming, Loss, Origin, Rule, State};
pub use seen::{MAX_SHARDS, Seen};
pub use settings::{Found, SettingsSource};
