//! What is kept for ever: every record as it was sent, and every record that could not be used.
//!
//! - [`archive`]: the lake in S3. Each record of a stream is in it exactly once, whatever is delivered twice, cut
//!   differently, late, or written by an invocation that should be dead.
//! - [`dead_letter`]: records that cannot be processed, with their bytes and a [reason](dead_letter::Reason). Their key is
//!   made of their position, so writing one again changes nothing.
//!
//! Both are keyed by the position of a record in its shard, and both put with `If-None-Match`: the store decides what is
//! there, and neither a counter nor a lock does.
//!
//! ```
//! use myaku::lake::archive::Hour;
//!
//! let hour = Hour::of_ms(1_795_218_892_020);
//! assert_eq!(hour.next().start_ms() - hour.start_ms(), 3_600_000);
//! ```

pub mod archive;
pub mod dead_letter;
