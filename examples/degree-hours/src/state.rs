//! What is kept of one device between invocations, and its bytes.

use crate::outcome::WarmHour;
use myaku::keyed::State;
use myaku::keyed::bytes::{CorruptedState, Reader, put_option, put_text, put_varint};
use std::collections::BTreeMap;

/// What is kept of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DeviceState {
    /// The hour of each metric.
    pub(crate) hours: BTreeMap<String, OpenHour>,
    /// Readings up to this time may be missing, in milliseconds since the epoch.
    pub(crate) lost_until: Option<i64>,
}

/// The hour of the last reading of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OpenHour {
    /// The beginning of the hour, in milliseconds since the epoch.
    pub(crate) from_ms: i64,
    /// The time of the last reading, in milliseconds since the epoch.
    pub(crate) at: i64,
    /// The digest of its id.
    pub(crate) id: u64,
    /// Its value.
    pub(crate) value: f64,
    /// What the hour comes to so far: degrees × milliseconds above the limit.
    pub(crate) warm: f64,
    /// How many milliseconds of the hour are known.
    pub(crate) known_ms: f64,
}

impl State for DeviceState {
    type Outcome = WarmHour;

    const NAME: &'static str = "degree-hours";
    const VERSION: u8 = 1;

    fn size_hint(&self) -> usize {
        16 + self.hours.len() * 64
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        put_option(out, self.lost_until, |out, at| out.extend(at.to_le_bytes()));
        put_varint(out, self.hours.len() as u64);
        for (metric, hour) in &self.hours {
            put_text(out, metric);
            out.extend(hour.from_ms.to_le_bytes());
            out.extend(hour.at.to_le_bytes());
            out.extend(hour.id.to_le_bytes());
            for number in [hour.value, hour.warm, hour.known_ms] {
                out.extend(number.to_le_bytes());
            }
        }
    }

    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        if version != Self::VERSION {
            return Err(CorruptedState("the version of its hours is unknown"));
        }
        let lost_until = reader.option(Reader::i64)?;
        let mut hours = BTreeMap::new();
        for _ in 0..reader.count(49)? {
            let metric = reader.text()?.to_owned();
            let (from_ms, at, id) = (reader.i64()?, reader.i64()?, reader.u64()?);
            let (value, warm, known_ms) = (reader.f64()?, reader.f64()?, reader.f64()?);
            if hours.last_key_value().is_some_and(|(last, _)| *last >= metric) {
                return Err(CorruptedState("its metrics are not in order"));
            }
            hours.insert(metric, OpenHour { from_ms, at, id, value, warm, known_ms });
        }
        Ok(Self { hours, lost_until })
    }

    fn lose(&mut self, until_ms: i64) {
        self.lost_until = self.lost_until.max(Some(until_ms));
    }
}
