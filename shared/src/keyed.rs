//! What every stateful function has in common: the state of each device, and the order of commits and effects.
//!
//! A stateful function is a pure [`Rule`] (its settings per device, its state, and how readings advance it), its wiring
//! and its README. Everything else is here, once.
//!
//! In reading order:
//!
//! - [`Rule`] and [`State`]: what a function brings, with the [`Outcome`](crate::results::Outcome) that it writes. [`Kept`] is a state with what every function has to know of a device.
//! - [`handle()`]: one batch, from its records to the acknowledgement, over a [`Context`] of [`Ports`].
//! - [`fence`]: finds out whether states were lost. [`progress`] is the port to what that is judged by.
//! - [`states`]: the port to stored states, with adapters for Redis and memory. [`codec`] and [`bytes`] are the format of what
//!   is stored.
//! - [`live()`]: reads present values from the states, for readers who cannot wait for the next row.
//! - `deployed` (feature `stateful`): runs a rule as a function in Lambda.
//! - `trial` (feature `testing`): runs a rule under every fault, for its tests.
//! - [`SettingsSource`]: which settings a device has; the registry is one. [`Shards`]: which slots a shard has.
//!
//! **Slots.** A device belongs to a [slot](crate::stream::slot), and its readings are put per slot. So it is in one shard at
//! any time, whose batches come in order, and the positions of its records grow.
//!
//! **Each batch, in this order.** (1) Read the progress. (2) Load the fences of all slots of the shard, and the states of the
//! batch's devices. (3) Judge the fences: declare a loss, or begin again. (4) Compute the devices, purely. (5) Commit each slot,
//! whole or not at all; begin again with the slots where another invocation was faster. (6) Report what was found, and write the rows that are due. (7) Note
//! in the progress what is acknowledged. (8) Acknowledge.
//!
//! **Redelivery.** A state remembers the last position of its device, so a record that is delivered again changes nothing. A
//! reading that was sent twice has the same id, which the rule's state knows. A row that was due, and whose record is not yet
//! acknowledged, is written again.
//!
//! **Loss.** Redis can lose its last writes, or everything. Each slot has a fence in Redis, and the progress is in DynamoDB. A
//! fence below the progress shows that the slot's states have lost something. Then the time of the newest reading
//! that was acknowledged is noted in the progress, and in each state of the slot when it is next touched: readings up to that
//! time may be missing, and results whose windows reach so far back are partial.
//!
//! ```
//! use myaku::keyed::fence::{Fence, Fences, Verdict, judge};
//! use myaku::keyed::progress::Progress;
//! use myaku::stream::batch::Position;
//! use myaku::stream::slot::{Slot, Slots};
//!
//! let (slot, position) = (Slot::of("bed-17"), Position { sub: 7, ..Position::ZERO });
//! let slots: Slots = [slot].into_iter().collect();
//! let progress = Progress::default().after("shardId-000000000000", position, 1_795_218_892_020, slots);
//! let fence = Fence { position, lost_until: None };
//! let complete = Fences::from([("shardId-000000000000".to_owned(), fence)]);
//! assert_eq!(judge(slot, &complete, &progress, None), Verdict::Complete);
//! assert_eq!(judge(slot, &Fences::new(), &progress, None), Verdict::Lost(1_795_218_892_020), "Redis has lost its memory");
//! ```

pub mod bytes;
pub mod codec;
#[cfg(feature = "stateful")]
pub mod deployed;
mod device;
mod digest;
pub mod fence;
mod handle;
mod input;
mod kept;
mod live;
mod origin;
mod pending;
pub mod progress;
mod reading_id;
mod rule;
mod settings;
mod shards;
pub mod states;
#[cfg(test)]
mod sums;
#[cfg(any(test, feature = "testing"))]
pub mod trial;

pub use digest::id_digest;
pub use handle::{Context, GROUP, Limits, Ports, handle};
pub use kept::{Kept, LastRow};
pub use live::{Live, LiveState, live, live_states};
pub use origin::Origin;
pub use pending::{MetricInterval, Pending, PendingFinding, PendingHistory};
pub use reading_id::ReadingId;
pub use rule::{Closed, Counts, Incoming, OutcomeOf, Rule, State, Step};
pub use settings::{Found, SettingsSource};
pub use shards::{ListShards, Shards};
