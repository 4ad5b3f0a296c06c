//! What a state keeps of a reading's id: what tells it from others, and its place among the readings of one time.

use super::bytes::{CorruptedState, Reader, put_varint};
use super::id_digest;

/// The bits of the index of a value in its message. A message has fewer values.
const INDEX_BITS: u32 = 14;
const INDEX: u64 = (1 << INDEX_BITS) - 1;
/// The bits of the number of a message.
const NUMBER: u64 = (1 << 48) - 1;

/// What a state keeps of a reading's id.
///
/// Readings of one time are ordered by the numbers that their producer gave their messages, or where there are none, by
/// when the messages were received; then by the index of the value in its message. The digest is last: two messages without
/// numbers that were received in the same millisecond have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadingId {
    /// The number of the message (48 bits), then the index of the value in it (14 bits).
    pub order: u64,
    /// [`id_digest`] of the id. Two readings are the same if their digests are.
    pub digest: u64,
}

impl ReadingId {
    /// After all others of its time.
    pub const LAST: Self = Self { order: u64::MAX, digest: u64::MAX };

    /// Of a reading whose message was received at `received_at`, in milliseconds since the epoch.
    ///
    /// ```
    /// use myaku::keyed::ReadingId;
    /// let [ninth, tenth] = ["bed-17/p9@1795218902020#0", "bed-17/p10@1795218902020#0"].map(|id| ReadingId::of(id, 0));
    /// assert!(ninth < tenth);
    /// ```
    pub fn of(id: &str, received_at: i64) -> Self {
        let (identity, index) = id.rsplit_once('#').unwrap_or((id, ""));
        let index = index.parse().unwrap_or(0).min(INDEX);
        let number = number(identity).unwrap_or_else(|| received(identity, received_at));
        Self { order: (number & NUMBER) << INDEX_BITS | index, digest: id_digest(id) }
    }

    /// Appends its bytes: `digest[8] number(v, the zigzag difference to the one before) index(v)`.
    pub fn put(self, before: Option<Self>, out: &mut Vec<u8>) {
        out.extend(self.digest.to_le_bytes());
        let before = before.map_or(0, |before| before.order >> INDEX_BITS);
        let difference = (self.order >> INDEX_BITS).wrapping_sub(before) as i64;
        put_varint(out, ((difference << 1) ^ (difference >> 63)) as u64);
        put_varint(out, self.order & INDEX);
    }

    /// Reads what [`Self::put`] appended.
    ///
    /// # Errors
    /// The bytes are no id, or not the one way to write it.
    pub fn read(before: Option<Self>, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let digest = reader.u64()?;
        let zigzag = reader.varint()?;
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let before = before.map_or(0, |before| before.order >> INDEX_BITS);
        let number = before.wrapping_add(difference as u64);
        let index = reader.varint()?;
        if number > u64::MAX >> INDEX_BITS || index > INDEX {
            return Err(CorruptedState("the order of a reading has too many bits"));
        }
        Ok(Self { order: number << INDEX_BITS | index, digest })
    }

    /// Reads an id as it was kept before ids had an order.
    ///
    /// # Errors
    /// The bytes are cut short.
    pub fn read_digest(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        // The highest one stood for what is after all others.
        Ok(match reader.u64()? {
            u64::MAX => Self::LAST,
            digest => Self { order: 0, digest },
        })
    }
}

/// The number of a message from its identity (`bed-17/p9@…`): the last group of digits of the producer's own id, after the
/// low bits of the one before it. `None` if it has none, or digits among letters, as a UUID does.
fn number(identity: &str) -> Option<u64> {
    let (_, own) = identity.split_once('/')?;
    let own = own.strip_prefix(['p', 'm'])?;
    let own = own.rfind(['@', '~']).map_or(own, |end| &own[..end]);
    let (mut last, mut before, mut in_digits, mut after_digits) = (None::<u64>, None::<u64>, false, false);
    for byte in own.bytes() {
        match byte {
            b'0'..=b'9' => {
                if !in_digits {
                    (before, last) = (last, Some(0));
                }
                last = last.map(|number| number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')));
                (in_digits, after_digits) = (true, true);
            }
            b'a'..=b'z' | b'A'..=b'Z' if after_digits => return None,
            _ => {
                in_digits = false;
                after_digits &= byte.is_ascii_alphabetic();
            }
        }
    }
    let last = last?;
    Some(before.map_or(last, |before| (before & 0xffff) << 32 | last & 0xffff_ffff))
}

/// The number of a message by its receipt, and by its index in a gateway's batch, with which its delivery ends.
fn received(identity: &str, received_at: i64) -> u64 {
    let delivery = identity.split_once('/').and_then(|(_, own)| own.strip_prefix('d'));
    let index = delivery.and_then(|delivery| delivery.rsplit_once('-')?.1.parse().ok()).unwrap_or(0);
    (received_at as u64) << INDEX_BITS | INDEX.min(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether the ids, of messages received one after the other, are in this order.
    fn are_in_order(ids: &[&str]) -> bool {
        let ids: Vec<_> = ids.iter().zip(1_795_218_902_020..).map(|(id, at)| ReadingId::of(id, at)).collect();
        ids.is_sorted_by(|one, next| one.order < next.order)
    }

    #[test]
    fn readings_of_one_time_are_in_the_order_of_their_numbers_and_indices() {
        assert!(are_in_order(&["b/p1@5#0", "b/p2@5#0", "b/p9@5#0", "b/p10@5#0", "b/p10@5#1", "b/p100@5#0"]));
        assert!(are_in_order(&["b/mm-9~0a#0", "b/mm-10~f0#0"]), "whatever the hash of the values");
        assert!(are_in_order(&["b/p3:999@5#0", "b/p4:1@5#0"]), "a boot counter comes first");
        assert!(are_in_order(&["9c39#0", "9c39#1", "9c39#9", "9c39#10", "9c39#9999"]), "of one message");
    }

    #[test]
    fn without_numbers_the_order_is_that_of_the_receipt() {
        assert!(are_in_order(&["ff#0", "aa#0", "0b#0"]), "hashes");
        let uuids = ["b/m550e8400-e29b-41d4-a716-446655440000~1#0", "b/m0b8e8400-e29b-41d4-a716-446655440000~1#0"];
        assert!(are_in_order(&uuids));
        let of_batch = ["b/dff-9#0", "b/dff-10#0"].map(|id| ReadingId::of(id, 1_795_218_902_020));
        assert!(of_batch[0].order < of_batch[1].order, "items of a gateway's batch");
    }

    proptest! {
        #[test]
        fn any_id_reads_as_it_was_written(id in ".{0,40}", received_at: i64, before: Option<u64>) {
            let id = ReadingId::of(&id, received_at);
            let before = before.map(|order| ReadingId { order, digest: 0 });
            for id in [id, ReadingId::LAST] {
                let mut bytes = Vec::new();
                id.put(before, &mut bytes);
                prop_assert_eq!(ReadingId::read(before, &mut Reader::new(&bytes)), Ok(id));
            }
        }
    }
}
