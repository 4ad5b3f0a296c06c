//! A device's state as bytes: some 19 a reading, versioned, behind a digest that tells damage and serves as the
//! version for compare-and-set.
//!
//! `digest[16] version[1] stream[8] seen metrics`, where numbers are little-endian or LEB128 `v`:
//! seen: `v` times `shard[8] digits[28, two to a byte] sub[4]`; metrics: `v` times
//! `name(v, UTF-8) revision(v) forgotten(0 | 1 at[8] id[8]) entries(v × (at: first [8], then v more; id[8] value[8]))`.

use crate::stream::batch::{Position, SequenceNumber};
use crate::window::device::MAX_SHARDS;
use crate::window::{DeviceState, Entry, Place, Series};
use sha2::{Digest as _, Sha256};

/// Bytes of the digest.
pub(crate) const DIGEST: usize = 16;
const VERSION: u8 = 1;
/// Bytes of a shard and the position seen in it.
const SEEN: usize = 8 + 28 + 4;

/// Bytes that are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored state cannot be read: {0}")]
pub struct CorruptedState(&'static str);

/// About how many bytes [`encode`] makes of `state`.
pub(crate) fn size_hint(state: &DeviceState) -> usize {
    let entries: usize = state.series.iter().map(|(_, series)| series.entries.len()).sum();
    DIGEST + 16 + state.seen.len() * SEEN + state.series.len() * 48 + entries * 20
}

/// The bytes of `state`; the same state has the same bytes.
pub fn encode(state: &DeviceState) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_hint(state));
    encode_into(&mut out, state);
    out
}

/// Makes `out` the bytes of `state`, whatever it was before.
pub(crate) fn encode_into(out: &mut Vec<u8>, state: &DeviceState) {
    out.clear();
    out.resize(DIGEST, 0);
    out.push(VERSION);
    out.extend(state.stream.to_le_bytes());
    put_varint(out, state.seen.len() as u64);
    for (shard, position) in &state.seen {
        out.extend(shard.to_le_bytes());
        let digits = position.sequence.fixed_width().as_bytes();
        out.extend(digits.chunks_exact(2).map(|pair| ((pair[0] - b'0') << 4) | (pair[1] - b'0')));
        out.extend(position.sub.to_le_bytes());
    }
    put_varint(out, state.series.len() as u64);
    for (name, series) in &state.series {
        put_varint(out, name.len() as u64);
        out.extend(name.as_bytes());
        put_varint(out, series.revision);
        match series.forgotten {
            None => out.push(0),
            Some(place) => {
                out.push(1);
                out.extend(place.at.to_le_bytes());
                out.extend(place.id.to_le_bytes());
            }
        }
        put_varint(out, series.entries.len() as u64);
        let mut before = None;
        for entry in &series.entries {
            match before {
                None => out.extend(entry.place.at.to_le_bytes()),
                // Ascending, so the difference is not negative; wrapping makes it right over the whole range.
                Some(before) => put_varint(out, entry.place.at.wrapping_sub(before) as u64),
            }
            before = Some(entry.place.at);
            out.extend(entry.place.id.to_le_bytes());
            out.extend(entry.value.to_le_bytes());
        }
    }
    let digest = Sha256::digest(&out[DIGEST..]);
    out[..DIGEST].copy_from_slice(&digest[..DIGEST]);
}

/// The state that `bytes` are; strictly, so that nothing half-right is counted on.
pub fn decode(bytes: &[u8]) -> Result<DeviceState, CorruptedState> {
    let (digest, body) = bytes.split_at_checked(DIGEST).ok_or(CorruptedState("too short"))?;
    if Sha256::digest(body)[..DIGEST] != *digest {
        return Err(CorruptedState("the digest is another's"));
    }
    let mut reader = Reader(body);
    if reader.array::<1>()? != [VERSION] {
        return Err(CorruptedState("an unknown version"));
    }
    let stream = u64::from_le_bytes(reader.array()?);
    let shards = reader.count(SEEN)?;
    if shards > MAX_SHARDS {
        return Err(CorruptedState("more shards than are kept"));
    }
    let seen = (0..shards)
        .map(|_| Ok((u64::from_le_bytes(reader.array()?), reader.position()?)))
        .collect::<Result<Vec<_>, _>>()?;
    let metrics = reader.count(11)?;
    let mut series: Vec<(String, Series)> = Vec::with_capacity(metrics);
    for _ in 0..metrics {
        let length = reader.count(1)?;
        let name = std::str::from_utf8(reader.take(length)?).map_err(|_| CorruptedState("a name is no UTF-8"))?;
        if series.last().is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(CorruptedState("metrics out of order"));
        }
        series.push((name.to_owned(), reader.series()?));
    }
    if !reader.0.is_empty() {
        return Err(CorruptedState("bytes behind its end"));
    }
    Ok(DeviceState { stream, seen, series })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], CorruptedState> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(CorruptedState("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptedState> {
        self.take(N)?.try_into().map_err(|_| CorruptedState("it ends too early"))
    }

    fn flag(&mut self) -> Result<bool, CorruptedState> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(CorruptedState("a flag is neither 0 nor 1")),
        }
    }

    fn varint(&mut self) -> Result<u64, CorruptedState> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(CorruptedState("a number is not in its shortest form"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CorruptedState("a number is too long"))
    }

    /// A number of things of at least `size` bytes each, which must be there: no length is believed that memory would
    /// be set aside for.
    fn count(&mut self, size: usize) -> Result<usize, CorruptedState> {
        let count = self.varint()?;
        usize::try_from(count)
            .ok()
            .filter(|count| count.checked_mul(size).is_some_and(|bytes| bytes <= self.0.len()))
            .ok_or(CorruptedState("a count beyond its end"))
    }

    fn position(&mut self) -> Result<Position, CorruptedState> {
        let mut digits = [0; 56];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.take(28)?) {
            pair.copy_from_slice(&[b'0' + (byte >> 4), b'0' + (byte & 15)]);
        }
        // Half-bytes above 9 make no digits, and these are told as no number.
        let digits = std::str::from_utf8(&digits).unwrap_or_default();
        let sequence: SequenceNumber = digits.parse().map_err(|_| CorruptedState("no sequence number"))?;
        Ok(Position { sequence, sub: u32::from_le_bytes(self.array()?) })
    }

    fn series(&mut self) -> Result<Series, CorruptedState> {
        let revision = self.varint()?;
        let forgotten = if self.flag()? {
            Some(Place { at: i64::from_le_bytes(self.array()?), id: u64::from_le_bytes(self.array()?) })
        } else {
            None
        };
        let count = self.count(17)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let at = match entries.last() {
                None => i64::from_le_bytes(self.array()?),
                Some(before) => {
                    before.place.at.checked_add_unsigned(self.varint()?).ok_or(CorruptedState("a time beyond time"))?
                }
            };
            let place = Place { at, id: u64::from_le_bytes(self.array()?) };
            let value = f64::from_le_bytes(self.array()?);
            if !value.is_finite() {
                return Err(CorruptedState("a value is not finite"));
            }
            if entries.last().is_some_and(|before| before.place >= place) {
                return Err(CorruptedState("readings out of order"));
            }
            entries.push(Entry { place, value });
        }
        Ok(Series { entries, forgotten, revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn states() -> impl Strategy<Value = DeviceState> {
        let entries = prop::collection::btree_map(any::<(i64, u64)>(), -1e300..1e300_f64, 0..20).prop_map(|map| {
            map.into_iter().map(|((at, id), value)| Entry { place: Place { at, id }, value }).collect::<Vec<_>>()
        });
        let forgotten = proptest::option::of(any::<(i64, u64)>().prop_map(|(at, id)| Place { at, id }));
        let series = (entries, forgotten, any::<u64>()).prop_map(|(entries, forgotten, revision)| Series {
            entries,
            forgotten,
            revision,
        });
        let position = any::<(u128, u32)>()
            .prop_map(|(sequence, sub)| Position { sequence: sequence.to_string().parse().unwrap(), sub });
        let seen = prop::collection::vec((any::<u64>(), position), 0..=MAX_SHARDS);
        (any::<u64>(), seen, prop::collection::btree_map("[a-zµ_]{0,12}", series, 0..4))
            .prop_map(|(stream, seen, series)| DeviceState { stream, seen, series: series.into_iter().collect() })
    }

    /// Damage that the digest does not tell, as if a program with a fault had written it.
    fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
        let digest = Sha256::digest(&bytes[DIGEST..]);
        bytes[..DIGEST].copy_from_slice(&digest[..DIGEST]);
        bytes
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(state in states()) {
            prop_assert_eq!(decode(&encode(&state)), Ok(state));
        }

        #[test]
        fn any_damage_is_told(state in states(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut bytes = encode(&state);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode(&bytes).is_err());
            bytes.truncate(at);
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn signed_nonsense_is_an_error_or_one_states_only_encoding(
            state in states(),
            at in any::<prop::sample::Index>(),
            junk in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut bytes = encode(&state);
            let at = DIGEST + at.index(bytes.len() - DIGEST);
            bytes.splice(at..bytes.len().min(at + 3), junk);
            let bytes = signed(bytes);
            if let Ok(state) = decode(&bytes) {
                prop_assert_eq!(encode(&state), bytes);
            }
        }
    }

    #[test]
    fn another_version_is_no_state() {
        let mut bytes = encode(&DeviceState::default());
        bytes[DIGEST] = 2;
        assert_eq!(decode(&signed(bytes)), Err(CorruptedState("an unknown version")));
    }

    #[test]
    fn twenty_readings_take_less_than_half_a_kilobyte() {
        let entries =
            (0..20).map(|i| Entry { place: Place { at: 1_795_218_892_020 + i * 5_000, id: i as u64 }, value: 36.6 });
        let series = Series { entries: entries.collect(), forgotten: None, revision: 1_000 };
        let state = DeviceState {
            stream: 1,
            seen: vec![(1, Position::ZERO)],
            series: [("temperature".to_owned(), series)].into(),
        };
        assert!(encode(&state).len() < 480, "{}", encode(&state).len());
    }
}
