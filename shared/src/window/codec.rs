//! The bytes of a device's windows: some 19 for each reading.
//!
//! After the positions seen come `v` metrics, in the order of their names:
//! `name(v, UTF-8) revision(v) forgotten(0 | 1 at[8] id[8]) entries(v × (at: first [8], then v more; id[8] value[8]))`,
//! where `v` is a number as LEB128 and the others are little-endian.

use super::{DeviceState, Entry, Place, Series};
use crate::keyed::bytes::{CorruptedState, Reader, put_varint};
use crate::keyed::{Seen, State};
use crate::stream::batch::Position;

impl State for DeviceState {
    const NAME: &'static str = "window";
    const VERSION: u8 = 1;

    fn size_hint(&self) -> usize {
        let entries: usize = self.series.iter().map(|(_, series)| series.entries.len()).sum();
        self.seen.size_hint() + self.series.len() * 48 + entries * 20
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        self.seen.encode_into(out);
        put_varint(out, self.series.len() as u64);
        for (name, series) in &self.series {
            put_varint(out, name.len() as u64);
            out.extend(name.as_bytes());
            put_series(out, series);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let seen = Seen::decode(reader)?;
        let metrics = reader.count(11)?;
        let mut series: Vec<(String, Series)> = Vec::with_capacity(metrics);
        for _ in 0..metrics {
            let length = reader.count(1)?;
            let name = std::str::from_utf8(reader.take(length)?).map_err(|_| CorruptedState("a name is not UTF-8"))?;
            if series.last().is_some_and(|(last, _)| last.as_str() >= name) {
                return Err(CorruptedState("metrics are out of order"));
            }
            series.push((name.to_owned(), read_series(reader)?));
        }
        Ok(Self { seen, series })
    }

    fn position(&self, stream: &str) -> Option<Position> {
        self.seen.position(stream)
    }

    fn revision(&self, metric: &str) -> u64 {
        self.series(metric).map_or(0, Series::revision)
    }
}

fn put_series(out: &mut Vec<u8>, series: &Series) {
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

fn read_series(reader: &mut Reader<'_>) -> Result<Series, CorruptedState> {
    let revision = reader.varint()?;
    let forgotten = if reader.flag()? { Some(Place { at: reader.i64()?, id: reader.u64()? }) } else { None };
    let count = reader.count(17)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    for _ in 0..count {
        let at = match entries.last() {
            None => reader.i64()?,
            Some(before) => before
                .place
                .at
                .checked_add_unsigned(reader.varint()?)
                .ok_or(CorruptedState("a time exceeds 64 bits"))?,
        };
        let place = Place { at, id: reader.u64()? };
        let value = f64::from_le_bytes(reader.array()?);
        if !value.is_finite() {
            return Err(CorruptedState("a value is not finite"));
        }
        if entries.last().is_some_and(|before| before.place >= place) {
            return Err(CorruptedState("readings are out of order"));
        }
        entries.push(Entry { place, value });
    }
    Ok(Series { entries, forgotten, revision })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::MAX_SHARDS;
    use crate::keyed::codec::{DIGEST, decode, encode};
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

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
        (any::<u64>(), seen, prop::collection::btree_map("[a-zµ_]{0,12}", series, 0..4)).prop_map(
            |(stream, shards, series)| DeviceState {
                seen: Seen { stream, shards },
                series: series.into_iter().collect(),
            },
        )
    }

    /// Damage that the digest does not detect, as if a faulty program had written it.
    fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
        let digest = Sha256::digest(&bytes[DIGEST..]);
        bytes[..DIGEST].copy_from_slice(&digest[..DIGEST]);
        bytes
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(state in states()) {
            prop_assert_eq!(decode::<DeviceState>(&encode(&state)), Ok(state));
        }

        #[test]
        fn any_damage_is_detected(state in states(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut bytes = encode(&state);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode::<DeviceState>(&bytes).is_err());
            bytes.truncate(at);
            prop_assert!(decode::<DeviceState>(&bytes).is_err());
        }

        #[test]
        fn nonsense_with_a_valid_digest_is_an_error_or_the_only_encoding_of_its_state(
            state in states(),
            at in any::<prop::sample::Index>(),
            junk in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut bytes = encode(&state);
            let at = DIGEST + at.index(bytes.len() - DIGEST);
            bytes.splice(at..bytes.len().min(at + 3), junk);
            let bytes = signed(bytes);
            if let Ok(state) = decode::<DeviceState>(&bytes) {
                prop_assert_eq!(encode(&state), bytes);
            }
        }
    }

    #[test]
    fn bytes_of_another_version_are_not_a_state() {
        let mut bytes = encode(&DeviceState::default());
        bytes[DIGEST] = 2;
        assert_eq!(decode::<DeviceState>(&signed(bytes)), Err(CorruptedState("its version is unknown")));
    }

    #[test]
    fn twenty_readings_take_less_than_half_a_kilobyte() {
        let entries =
            (0..20).map(|i| Entry { place: Place { at: 1_795_218_892_020 + i * 5_000, id: i as u64 }, value: 36.6 });
        let series = Series { entries: entries.collect(), forgotten: None, revision: 1_000 };
        let state = DeviceState {
            seen: Seen { stream: 1, shards: vec![(1, Position::ZERO)] },
            series: [("temperature".to_owned(), series)].into(),
        };
        assert!(encode(&state).len() < 480, "{}", encode(&state).len());
    }
}
