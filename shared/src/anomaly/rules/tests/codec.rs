//! A state that is stored and read again goes on as if it had not been.

use super::*;

const RULES: &str = r#"{"name": "a", "when": {"threshold": {"above": 60, "meanSeconds": 60}}, "forSeconds": 20, "clearSeconds": 20},
    {"name": "b", "when": {"change": {"above": 30, "seconds": 60}}},
    {"name": "c", "when": {"drift": {"above": 10, "seconds": 600}}},
    {"name": "d", "when": {"flat": {"within": 5, "seconds": 60}}},
    {"name": "e", "when": {"forecast": {"above": 90, "withinSeconds": 300}}},
    {"name": "f", "when": {"score": {}}},
    {"name": "g", "when": {"gap": {"seconds": 25}}},
    {"name": "h", "when": {"count": {"atLeast": 3, "seconds": 60, "above": 80}}}"#;

proptest! {
    #[test]
    fn a_state_reads_as_it_was_written_after_any_reading(
        readings in proptest::collection::vec((0..30_i64, 0..100_u8), 0..160),
        lost in proptest::option::of(0..160_usize),
    ) {
        let profile = profile("number", RULES);
        let (mut kept, mut stored) = (DetectorState::default(), DetectorState::default());
        let mut at = 0;
        for (n, (after, value)) in readings.into_iter().enumerate() {
            at += after;
            if lost == Some(n) {
                kept.lose();
                stored.lose();
            }
            let reading = [(at, Value::Number(value.into()))];
            prop_assert_eq!(found(&profile, &mut stored, &reading), found(&profile, &mut kept, &reading));
            let mut bytes = Vec::new();
            stored.encode_into(&mut bytes);
            let mut reader = Reader::new(&bytes);
            stored = DetectorState::decode(DetectorState::VERSION, &mut reader).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(reader.is_at_end());
            let mut again = Vec::new();
            stored.encode_into(&mut again);
            prop_assert_eq!(bytes, again);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_and_no_panic(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut state = DetectorState::default();
        let value = |n: i64| (n * 7, Value::Number((n % 13).pow(2) as f64));
        found(&profile("number", RULES), &mut state, &(0..150).map(value).collect::<Vec<_>>());
        let mut bytes = Vec::new();
        state.encode_into(&mut bytes);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(read) = DetectorState::decode(DetectorState::VERSION, &mut Reader::new(&bytes)) {
            let mut again = Vec::new();
            read.encode_into(&mut again);
            prop_assert_eq!(&again[..], &bytes[..again.len()], "there is one way to write a state");
        }
        prop_assert!(DetectorState::decode(DetectorState::VERSION, &mut Reader::new(&bytes[..place])).is_err());
    }
}
