//! What is kept of a device, as bytes and back.

use super::super::tests::{spec, windows};
use super::*;
use crate::keyed::Kept;
use crate::keyed::codec::{decode, encode, signed};
use proptest::prelude::*;

type KeptDevice = Kept<MetricTimelines>;

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop_oneof![-1e300..1e300_f64, Just(f64::MAX), Just(0.0)].prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        "[a-zµ ]{0,9}".prop_map(Value::Text),
        (-180..=180_i32, -90..=90_i32).prop_map(|(x, y)| Value::Position([x.into(), y.into()])),
    ]
}

fn kept() -> impl Strategy<Value = KeptDevice> {
    let reading = ("[mn]", 0..400_i64, any::<u64>(), values());
    let readings = prop::collection::vec(reading, 0..120);
    (readings, 0..90_i64, any::<Option<i64>>()).prop_map(|(readings, lateness, lost)| {
        let (mut state, windows) = (MetricTimelines::default(), windows(lateness));
        for (name, seconds, id, value) in readings {
            let kind = super::super::timeline::kind(&value);
            // A metric has one kind, so its kind is part of its name.
            let entry = Entry { at: seconds * 1_000, id: ReadingId { order: id, digest: id }, value };
            state.insert(&format!("{name}{kind:?}"), spec(kind, &windows), entry, lost);
        }
        Kept { state, ..Kept::default() }
    })
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(kept in kept()) {
        prop_assert_eq!(decode::<MetricTimelines>(&encode(&kept)), Ok(kept));
    }

    #[test]
    fn nonsense_with_a_valid_digest_is_an_error_or_the_only_encoding_of_what_is_kept(
        kept in kept(),
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut bytes = encode(&kept);
        // Behind the header, whose earlier formats are read as well.
        let header = encode(&KeptDevice::default()).len() - 1;
        let at = header + at.index(bytes.len() - header);
        bytes.splice(at..bytes.len().min(at + 3), junk);
        let bytes = signed(bytes);
        if let Ok(kept) = decode::<MetricTimelines>(&bytes) {
            prop_assert_eq!(encode(&kept), bytes);
        }
    }
}

#[test]
fn a_metric_with_four_windows_and_two_minutes_of_pending_readings_takes_3_kilobytes() {
    let (mut state, windows) = (MetricTimelines::default(), windows(120));
    for n in 0..3_600_i32 {
        let value = Value::Number(72.0 + f64::from(n % 40) / 2.0);
        let entry = Entry { at: i64::from(n) * 1_000, id: ReadingId { order: n as u64, digest: n as u64 }, value };
        state.insert("heart_rate", spec(Kind::Number, &windows), entry, None);
    }
    assert_eq!(encode(&Kept { state, ..Kept::default() }).len(), 3_454);
}
