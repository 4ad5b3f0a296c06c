//! A detector as bytes and back.

use super::*;
use crate::anomaly::score::Score;
use crate::keyed::codec::{decode, encode, signed};
use crate::keyed::{Kept, State};
use crate::results::MetricResult;
use proptest::prelude::*;

/// The state of a function that keeps one detector, and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
struct One(Detector);

impl State for One {
    type Outcome = MetricResult;

    const NAME: &'static str = "one";
    const VERSION: u8 = VERSION;

    fn size_hint(&self) -> usize {
        BYTES_MAX
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        self.0.encode_into(out);
    }

    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self> {
        Detector::decode(version, reader).map(Self)
    }

    fn lose(&mut self, _: i64) {}
}

fn kept(detector: &Detector) -> Vec<u8> {
    encode(&Kept { state: One(detector.clone()), ..Kept::default() })
}

fn restored(bytes: &[u8]) -> Result<Detector> {
    decode::<One>(bytes).map(|kept| kept.state.0)
}

fn bytes_of(detector: &Detector) -> Vec<u8> {
    let mut out = Vec::new();
    detector.encode_into(&mut out);
    out
}

/// A series with levels, noise and peaks, by a seed.
fn value(seed: u64, n: u64) -> f64 {
    let random = (n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let noise = random as f64 / f64::from(1 << 24);
    match (seed % 4, random % 50) {
        (0, _) => 36.6,
        (1, 0) => 1e6 * noise,
        (2, _) => (n % 40) as f64 + noise,
        _ => 60.0 + 10.0 * noise,
    }
}

fn advance(detector: &mut Detector, seed: u64, readings: std::ops::Range<u64>) -> Vec<Score> {
    readings.map(|n| detector.update(n as i64 * 300_000, value(seed, n))).collect()
}

fn detectors() -> impl Strategy<Value = Detector> {
    let readings = prop_oneof![Just(0..0), (0..130_u64).prop_map(|n| 0..n), (130..1_500_u64).prop_map(|n| 0..n)];
    (any::<u32>(), readings).prop_map(|(seed, readings)| {
        let mut detector = Detector::new();
        advance(&mut detector, u64::from(seed), readings);
        detector
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_encoded_is_decoded(detector in detectors()) {
        prop_assert_eq!(restored(&kept(&detector)), Ok(detector));
    }

    #[test]
    fn damaged_bytes_are_an_error_or_the_only_encoding_of_a_detector(
        detector in detectors(),
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let own = bytes_of(&detector);
        let mut bytes = kept(&detector);
        let begin = bytes.windows(own.len()).position(|window| window == own).unwrap();
        let at = begin + at.index(own.len());
        bytes.splice(at..bytes.len().min(at + 3), junk);
        let bytes = signed(bytes);
        if let Ok(kept) = decode::<One>(&bytes) {
            prop_assert_eq!(encode(&kept), bytes);
        }
    }

    #[test]
    fn a_detector_that_was_decoded_goes_on_as_if_it_had_not_been(seed: u32, before in 0..1_200_u64) {
        let seed = u64::from(seed);
        let mut without = Detector::new();
        advance(&mut without, seed, 0..before);
        let mut with = restored(&kept(&without)).unwrap();
        let after = before..before + 400;
        prop_assert_eq!(advance(&mut with, seed, after.clone()), advance(&mut without, seed, after));
        prop_assert_eq!(kept(&with), kept(&without));
    }
}

#[test]
fn a_detector_that_is_stored_after_each_reading_goes_on_as_if_it_had_not_been() {
    let (mut with, mut without) = (Detector::new(), Detector::new());
    for n in 0..700 {
        with = restored(&kept(&with)).unwrap();
        assert_eq!(advance(&mut with, 1, n..n + 1), advance(&mut without, 1, n..n + 1), "reading {n}");
    }
}

/// A detector whose every count and peak is there.
fn full() -> Detector {
    let mut detector = Detector::new();
    advance(&mut detector, 1, 0..10_000);
    detector.seen = SEEN_MAX - 1;
    detector.incident = Incident { beyond: 1.0, age: 7 };
    let Sequence::Known(order) = &mut detector.sequence else { panic!("it is not young") };
    order.after = [[10; SYMBOLS]; SYMBOLS];
    order.in_hour = [[10; SYMBOLS]; 24];
    // As many levels as possible with a share that takes two bytes.
    order.shares = [0; SYMBOLS];
    order.shares[..15].fill(128);
    detector
}

#[test]
fn a_detector_takes_at_most_what_is_promised() {
    let bytes = bytes_of(&full());
    assert!(bytes.len() <= BYTES_MAX && BYTES_MAX <= bytes.len() + 10, "{}", bytes.len());
    assert_eq!(restored(&kept(&full())), Ok(full()));
}

#[test]
fn an_ordinary_series_takes_less_than_two_kilobytes() {
    let mut detector = Detector::new();
    advance(&mut detector, 3, 0..5_000);
    let bytes = bytes_of(&detector).len();
    assert!(bytes < 2_000, "{bytes}");
}

#[test]
fn a_detector_that_breaks_a_rule_of_its_own_is_not_decoded() {
    type Break = fn(&mut Detector);
    let breaks: [(Break, &str); 9] = [
        (|detector| detector.seen = SEEN_MAX, "it has seen too many readings"),
        (|detector| detector.levels.square = -1.0, "a size is below zero"),
        (|detector| detector.origin = f64::NAN, "a value is not finite"),
        (|detector| detector.levels.day.counts[3] = 101, "an hour has too many readings"),
        (|detector| detector.extremes[4].sides[0].kept.reverse(), "peaks are out of order"),
        (|detector| detector.extremes[4].sides[1].open_for = 3, "the latest peak is not a peak"),
        (
            |detector| detector.incident = Incident { beyond: 1.0, age: 101 },
            "an alarm silences its series for too long",
        ),
        (|detector| known(detector).shares[2] = 2_001, "a level has too many readings"),
        (|detector| known(detector).after[2] = [11; SYMBOLS], "a row has too many readings"),
    ];
    for (break_rule, problem) in breaks {
        let mut detector = full();
        break_rule(&mut detector);
        assert_eq!(restored(&kept(&detector)), Err(CorruptedState(problem)));
    }
}

fn known(detector: &mut Detector) -> &mut Order {
    match &mut detector.sequence {
        Sequence::Known(order) => order,
        Sequence::Young(_) => panic!("it is young"),
    }
}

#[test]
fn a_later_version_is_not_decoded() {
    let mut bytes = kept(&Detector::new());
    let own = bytes.len() - 2;
    assert_eq!(bytes[own], VERSION);
    bytes[own] = VERSION + 1;
    assert_eq!(restored(&signed(bytes)), Err(CorruptedState("the version of its score is unknown")));
}
