//! Checks the generator against itself and against the decoder: both must get the same readings.

use super::*;
use crate::registry::PROFILES;
use myaku::device::profile::Profile;
use myaku::device::reading::Quality;
use myaku::device::registry::parse_profile;
use myaku::ingest::message::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const NOW: i64 = 1_795_218_892_020;
/// Between the generation of a message and the arrival of its record.
const TRAVEL_MS: i64 = 40;

fn fleet(seed: u64) -> Fleet {
    Fleet::new(Settings { seed, devices: 40 })
}

fn messages(fleet: &mut Fleet, count: i64) -> Vec<Planned> {
    (0..count).map(|number| fleet.next(NOW + number * 5)).collect()
}

#[test]
fn the_same_seed_at_the_same_times_generates_the_same_messages_and_another_seed_does_not() {
    assert_eq!(messages(&mut fleet(1), 2000), messages(&mut fleet(1), 2000));
    assert_ne!(messages(&mut fleet(1), 50), messages(&mut fleet(2), 50));
}

#[test]
fn every_mishap_happens_to_some_message_and_none_to_a_tidy_device() {
    let mut fleet = fleet(3);
    let tidy = fleet.registrations().filter(|it| it.is_tidy).map(|it| it.device.clone()).collect::<BTreeSet<_>>();
    let messages = messages(&mut fleet, 20_000);
    let mishaps = messages.iter().filter_map(|message| message.mishap).collect::<BTreeSet<_>>();
    assert_eq!(mishaps.len(), 10, "{mishaps:?}");
    assert!(messages.iter().all(|message| !tidy.contains(&message.device) || message.mishap.is_none()));
}

#[test]
fn a_repetition_has_the_same_bytes_and_names_its_original() {
    let messages = messages(&mut fleet(4), 5000);
    let repetitions = messages.iter().filter(|message| message.repeats.is_some()).collect::<Vec<_>>();
    assert!(repetitions.len() > 50);
    for repetition in repetitions {
        let original = &messages[repetition.repeats.unwrap()];
        assert_eq!((&original.payload, original.topic()), (&repetition.payload, repetition.topic()));
        assert!(original.repeats.is_none() && original.number < repetition.number);
    }
}

#[test]
fn no_two_messages_are_the_same_except_for_repetitions() {
    let messages = messages(&mut fleet(5), 20_000);
    let mut seen = HashMap::new();
    for message in messages.iter().filter(|message| message.repeats.is_none() && message.dead_letters.is_empty()) {
        let earlier = seen.insert((message.topic(), &message.payload), message.number);
        assert_eq!(earlier, None, "message {}", message.number);
    }
}

#[test]
fn the_decoder_gets_the_readings_that_the_generator_expects() {
    let profiles = PROFILES.map(|json| Profile::compile(&parse_profile(json).unwrap()).unwrap());
    let profiles = profiles.iter().map(|profile| (profile.id(), profile)).collect::<HashMap<_, _>>();
    let mut fleet = fleet(6);
    let profile_of = fleet.registrations().map(|it| (it.device.clone(), it.profile)).collect::<HashMap<_, _>>();
    let mut compared = BTreeMap::<&str, usize>::new();
    for planned in messages(&mut fleet, 20_000) {
        let arrived_ms = planned.made_at_ms + TRAVEL_MS;
        let record = planned.record(planned.made_at_ms + 10);
        if planned.mishap == Some(Mishap::Foreign) {
            let reason = Message::parse(&record).unwrap_err().reason();
            assert_eq!(vec![reason.name()], planned.dead_letters, "{}", String::from_utf8_lossy(&record));
            continue;
        }
        let message = Message::parse(&record).unwrap();
        let Some(profile) = profile_of.get(&planned.device) else {
            assert_eq!(planned.dead_letters, ["unknown-device"]);
            continue;
        };
        let decoded = profiles[profile].decode(&message, arrived_ms);
        let mut reasons = decoded.rejected.iter().map(|rejected| rejected.reason.name()).collect::<Vec<_>>();
        reasons.dedup();
        assert_eq!(reasons, planned.dead_letters, "{:?} of {}", planned.mishap, planned.device);
        let found = decoded.readings.iter().map(|reading| {
            (reading.metric.to_owned(), reading.at, reading.quality == Quality::OutOfRange, shown(&reading.value))
        });
        let expected = planned.readings.iter().map(|reading| {
            let at = match reading.at {
                At::Device(at_ms) => at_ms,
                At::Arrival { before_ms } => arrived_ms - before_ms,
            };
            (reading.metric.to_owned(), at, reading.flagged, shown(&reading.value))
        });
        let (found, expected) = (found.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
        assert_eq!(found, expected, "{:?} {}", planned.mishap, String::from_utf8_lossy(&planned.payload));
        *compared.entry(profile).or_default() += found.len();
    }
    assert_eq!(compared.len(), PROFILES.len());
    assert!(compared["thermistor-node"] > 1000 && compared["app-log"] == 0, "{compared:?}");
}

/// A value as text, with as many digits as two ways of computing it agree on.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:.6}", number + 0.0),
        other => format!("{other:?}"),
    }
}
