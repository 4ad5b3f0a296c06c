//! Slots: fixed parts of the keyspace, which no reshard ever cuts.
//!
//! The keyspace of 128-bit hash keys is cut into [`Slot::COUNT`] slots. A partition key belongs to the slot of its MD5, and a
//! record that is put per slot has the slot's first hash key as its explicit hash key. So all records of a slot are in one
//! shard at any time, whatever the shards are, and a reshard moves whole slots.

use super::shard_map::hash_key;

/// A slot of the keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl Slot {
    /// How many slots there are. A constant: another number would move devices to other slots.
    pub const COUNT: usize = 256;
    /// All slots, in the order of their hash keys.
    pub const ALL: std::ops::RangeInclusive<u8> = 0..=u8::MAX;

    /// The slot of a partition key.
    ///
    /// ```
    /// use myaku::stream::slot::Slot;
    /// assert_eq!(Slot::of("bed-17"), Slot(0xe4));
    /// ```
    pub fn of(partition_key: &str) -> Self {
        Self::of_hash(hash_key(partition_key))
    }

    /// The slot of a hash key.
    pub const fn of_hash(hash: u128) -> Self {
        Self((hash >> 120) as u8)
    }

    /// The slot's first hash key: the explicit hash key of its records.
    ///
    /// ```
    /// use myaku::stream::slot::Slot;
    /// assert_eq!(Slot(0xe4).hash_key(), 0xe4 << 120);
    /// ```
    pub const fn hash_key(self) -> u128 {
        (self.0 as u128) << 120
    }

    /// The slots whose records are in a shard with these first and last hash keys. A shard that is narrower than a slot can
    /// have none.
    ///
    /// ```
    /// use myaku::stream::slot::Slot;
    /// let in_shard = |first, last| Slot::within((first, last)).collect::<Vec<_>>();
    /// assert_eq!(in_shard(0, (2 << 120) - 1), [Slot(0), Slot(1)]);
    /// // The boundary cuts slot 2: all of its records are where its first hash key is.
    /// assert_eq!(in_shard(1, 2 << 120), [Slot(1), Slot(2)]);
    /// assert_eq!(in_shard((2 << 120) + 1, (3 << 120) - 1), []);
    /// ```
    pub fn within((first, last): (u128, u128)) -> impl Iterator<Item = Self> {
        Self::ALL.map(Self).filter(move |slot| (first..=last).contains(&slot.hash_key()))
    }
}
