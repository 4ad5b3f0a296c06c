//! Slots: fixed parts of the keyspace, which no reshard ever cuts.
//!
//! The keyspace of 128-bit hash keys is cut into [`Slot::COUNT`] slots. A partition key belongs to the slot of its MD5, and a
//! record that is put per slot has the slot's first hash key as its explicit hash key. So all records of a slot are in one
//! shard at any time, whatever the shards are, and a reshard moves whole slots.

use super::shard_map::hash_key;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

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

/// A set of slots.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Slots([u128; 2]);

impl Slots {
    /// Whether `slot` is in the set.
    pub const fn contains(self, slot: Slot) -> bool {
        self.0[(slot.0 >> 7) as usize] >> (slot.0 & 127) & 1 == 1
    }

    /// Whether the set has no slots.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The slots that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }

    /// The slots that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self([self.0[0] & !other.0[0], self.0[1] & !other.0[1]])
    }

    /// The slots, in the order of their hash keys.
    pub fn iter(self) -> impl Iterator<Item = Slot> {
        Slot::ALL.map(Slot).filter(move |slot| self.contains(*slot))
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::default();
        for slot in slots {
            set.0[(slot.0 >> 7) as usize] |= 1 << (slot.0 & 127);
        }
        set
    }
}

/// As ranges of two hexadecimal digits: `00-7f,90`.
impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut slots = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = slots.next() {
            let mut last = first;
            while let Some(next) = slots.next_if(|next| next.0 == last.0.wrapping_add(1)) {
                last = next;
            }
            write!(f, "{separator}{:02x}", first.0)?;
            if last != first {
                write!(f, "-{:02x}", last.0)?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromStr for Slots {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let mut slots = Vec::new();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            slots.extend((u8::from_str_radix(first, 16)?..=u8::from_str_radix(last, 16)?).map(Slot));
        }
        Ok(slots.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_is_what_it_was_made_of_also_as_text(a: std::collections::BTreeSet<u8>, b: std::collections::BTreeSet<u8>) {
            let set = |slots: &std::collections::BTreeSet<u8>| slots.iter().copied().map(Slot).collect::<Slots>();
            prop_assert_eq!(set(&a).iter().map(|slot| slot.0).collect::<std::collections::BTreeSet<_>>(), a.clone());
            prop_assert_eq!(set(&a).to_string().parse::<Slots>(), Ok(set(&a)));
            prop_assert_eq!(set(&a).and(set(&b)), set(&(&a & &b)));
            prop_assert_eq!(set(&a).without(set(&b)), set(&(&a - &b)));
        }
    }
}
