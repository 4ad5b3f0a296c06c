//! Slots, hours, and the keys that are made of them.
//!
//! A key is a pure function of where its records arrived and of the slot that they fill, so that two invocations that
//! write the same records compete for the same key.

use super::Format;
use crate::stream::batch::Position;
use std::fmt;
use std::str::FromStr;

/// The root of everything archived.
const ROOT: &str = "raw/";
/// The upper end of an open-ended slot in a key. It sorts after all digits.
const END: &str = "end";
const MS_PER_HOUR: i64 = 3_600_000;
/// The last whole hour that `jiff` has a date for, at the end of the year 9999.
const HOUR_MAX: i64 = 70_389_501;

/// An hour of arrival, by the stream's clock, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

impl Hour {
    /// The hour of a time in milliseconds since the epoch. A time outside 1970 to 9999 gets the nearest hour inside.
    pub fn of(arrived_ms: i64) -> Self {
        Self(arrived_ms.div_euclid(MS_PER_HOUR).clamp(0, HOUR_MAX))
    }

    /// When it begins, in milliseconds since the epoch.
    pub const fn start_ms(self) -> i64 {
        self.0 * MS_PER_HOUR
    }

    /// The hour after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self((self.0 + 1).min(HOUR_MAX))
    }
}

/// `dt=YYYY-MM-DD/hh=HH`
impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.start_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let time = jiff::tz::Offset::UTC.to_datetime(time);
        write!(f, "dt={:04}-{:02}-{:02}/hh={:02}", time.year(), time.month(), time.day(), time.hour())
    }
}

impl FromStr for Hour {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseKeyError(text.to_owned());
        let (date, hour) = text.strip_prefix("dt=").and_then(|rest| rest.split_once("/hh=")).ok_or_else(bad)?;
        let time: jiff::Timestamp = format!("{date}T{hour}:00:00Z").parse().map_err(|_| bad())?;
        let parsed = Self::of(time.as_millisecond());
        // There is one valid spelling: the one that `Display` writes.
        if parsed.to_string() == text { Ok(parsed) } else { Err(bad()) }
    }
}

/// One shard in one hour of arrival. Each has slots of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardHour {
    /// The stream's name.
    pub stream: String,
    /// The hour of arrival.
    pub hour: Hour,
    /// The shard's id.
    pub shard: String,
}

impl ShardHour {
    /// The prefix of its objects' keys.
    pub fn prefix(&self) -> String {
        format!("{}{}/", hour_prefix(&self.stream, self.hour), self.shard)
    }
}

/// The prefix of the keys of a stream's objects of one hour.
pub fn hour_prefix(stream: &str, hour: Hour) -> String {
    format!("{}{hour}/", stream_prefix(stream))
}

/// The prefix of the keys of a stream's objects. A stream that was deleted and created again has new sequence numbers,
/// so it needs another name.
pub fn stream_prefix(stream: &str) -> String {
    format!("{ROOT}stream={stream}/")
}

/// An open interval of positions: all that are after one position and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// It begins after this position.
    pub after: Position,
    /// It ends before this position; `None` if it is open-ended.
    pub before: Option<Position>,
}

impl Slot {
    /// The first slot of each shard's hour, which contains every position.
    pub const FIRST: Self = Self::beyond(Position::ZERO);

    /// The open-ended slot after the position `after`.
    pub const fn beyond(after: Position) -> Self {
        Self { after, before: None }
    }

    /// Whether it contains `position`.
    pub fn contains(&self, position: Position) -> bool {
        self.after < position && self.before.is_none_or(|before| position < before)
    }

    /// Whether it has no upper end.
    pub const fn is_open_ended(&self) -> bool {
        self.before.is_none()
    }
}

/// `<after>-<before>`, of fixed width except for `end`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.after)?;
        match self.before {
            Some(before) => before.fmt(f),
            None => f.write_str(END),
        }
    }
}

impl FromStr for Slot {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseKeyError(text.to_owned());
        let (after, before) = text.split_once('-').ok_or_else(bad)?;
        let before = if before == END { None } else { Some(before.parse().map_err(|_| bad())?) };
        let slot = Self { after: after.parse().map_err(|_| bad())?, before };
        if slot.to_string() == text { Ok(slot) } else { Err(bad()) }
    }
}

/// The key of an object of the lake:
/// `raw/stream=<name>/dt=YYYY-MM-DD/hh=HH/<shard>/<after>-<before>.ndjson.zst`, or `.gz`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Where its records arrived.
    pub of: ShardHour,
    /// The slot that it fills.
    pub slot: Slot,
    /// How it is compressed. All objects of a stream have the same format, so that each slot has one key.
    pub format: Format,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}.ndjson.{}", self.of.prefix(), self.slot, self.format.extension())
    }
}

impl FromStr for ObjectKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (stream, rest) = text.strip_prefix(ROOT)?.strip_prefix("stream=")?.split_once('/')?;
            let (rest, name) = rest.rsplit_once('/')?;
            let (hour, shard) = rest.rsplit_once('/')?;
            let (slot, extension) = name.split_once(".ndjson.")?;
            let of = ShardHour { stream: stream.to_owned(), hour: hour.parse().ok()?, shard: shard.to_owned() };
            Some(Self { of, slot: slot.parse().ok()?, format: Format::of_extension(extension)? })
        };
        parse().ok_or_else(|| ParseKeyError(text.to_owned()))
    }
}

/// A text that is not the key of an object of the lake, or the part of a key that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not name an object of the lake")]
pub struct ParseKeyError(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(sequence: u128, sub: u32) -> Position {
        Position { sequence: sequence.to_string().parse().unwrap(), sub }
    }

    fn key(arrived_ms: i64, slot: Slot) -> ObjectKey {
        let of =
            ShardHour { stream: "ingest".into(), hour: Hour::of(arrived_ms), shard: "shardId-000000000006".into() };
        ObjectKey { of, slot, format: Format::Gzip }
    }

    #[test]
    fn a_key_names_the_stream_the_hour_the_shard_and_the_slot() {
        insta::assert_snapshot!(
            key(1_795_218_892_020, Slot::FIRST),
            @"raw/stream=ingest/dt=2026-11-20/hh=23/shardId-000000000006/00000000000000000000000000000000000000000000000000000000.0000000000-end.ndjson.gz"
        );
        let slot = Slot { after: position(7, 1), before: Some(position(49_541_296_383_533_603_670_305_612_607, 2)) };
        insta::assert_snapshot!(
            key(1_795_219_199_999, slot),
            @"raw/stream=ingest/dt=2026-11-20/hh=23/shardId-000000000006/00000000000000000000000000000000000000000000000000000007.0000000001-00000000000000000000000000049541296383533603670305612607.0000000002.ndjson.gz"
        );
    }

    #[test]
    fn an_hour_ends_where_the_next_begins_and_an_impossible_time_is_clamped() {
        let hour = Hour::of(1_795_219_199_999);
        assert_eq!(Hour::of(1_795_219_200_000), hour.next());
        assert_eq!(Hour::of(hour.start_ms()), hour);
        assert_eq!(Hour::of(-1).to_string(), "dt=1970-01-01/hh=00");
        assert_eq!(Hour::of(i64::MIN), Hour::of(0));
        assert_eq!(Hour::of(i64::MAX).to_string(), "dt=9999-12-30/hh=21");
    }

    #[test]
    fn the_key_of_another_object_does_not_parse() {
        let good = key(0, Slot::FIRST).to_string();
        assert!(good.parse::<ObjectKey>().is_ok());
        for bad in [
            good.replace("raw/", "aggregates/"),
            good.replace("hh=00", "hh=0"),
            good.replace(".gz", ".bz2"),
            good.replace("-end", ""),
            good.replace("-end", "-END"),
            good.replacen('0', "", 40),
            "raw/stream=ingest/_format".to_owned(),
            String::new(),
        ] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_round_trips(
            after in any::<(u128, u32)>(),
            before in prop::option::of(any::<(u128, u32)>()),
            arrived_ms in 0..253_402_300_799_999_i64,
        ) {
            let before = before.map(|(sequence, sub)| position(sequence, sub));
            let key = key(arrived_ms, Slot { after: position(after.0, after.1), before });
            prop_assert_eq!(key.to_string().parse::<ObjectKey>().unwrap(), key);
        }
    }
}
