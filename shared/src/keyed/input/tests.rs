use super::super::Rule as _;
use super::super::sums::{Sums, json};
use super::*;
use crate::stream::batch::StreamRecord;

const ARRIVED_MS: i64 = 1_795_218_892_020;

fn batch(records: Vec<(&str, String)>) -> Batch {
    let record = |((key, data), n): ((&str, String), u32)| StreamRecord {
        sequence: n.to_string().parse().unwrap(),
        partition_key: key.into(),
        arrived_ms: ARRIVED_MS,
        data: data.into_bytes().into(),
    };
    let records = records.into_iter().zip(1..).map(record).collect();
    Batch { stream: "readings".to_owned(), shard: "shard".to_owned(), records }
}

#[test]
fn readings_that_the_rule_takes_are_kept_by_device_in_the_streams_order() {
    let text = json("a", 4, 4).replace("\"value\":4", "\"value\":\"high\"");
    let records = vec![
        ("a", json("a", 1, 1)),
        ("b", json("b", 2, 9)),
        ("a", json("a", 3, 3)),
        ("a", text),
        ("a", "{}".to_owned()),
    ];
    let batch = batch(records);
    let mut parsed = ParsedBatch::of(&batch, Sums::takes);
    let letters = parsed.letters.take(&batch);
    let devices = parsed.devices();
    let outline: Vec<(&str, Slot, Vec<i64>)> = devices
        .iter()
        .map(|device| (device.id, device.slot, device.readings.iter().map(|record| record.reading.at).collect()))
        .collect();
    assert_eq!(outline, [("a", Slot::of("a"), vec![1, 3]), ("b", Slot::of("b"), vec![9])]);
    assert_eq!((parsed.records, parsed.skipped, letters.len()), (5, 1, 1));
    assert_eq!(
        parsed.last.map(|position| format!("{position:?}")).as_deref(),
        Some("5.0"),
        "also of a record that is not a reading"
    );
}

#[test]
fn a_device_whose_slot_is_not_one_of_the_shards_has_a_problem() {
    let batch = batch(vec![("a", json("a", 1, 1))]);
    let parsed = ParsedBatch::of(&batch, Sums::takes);
    let device = parsed.devices().remove(0);
    let all: Slots = Slot::ALL.map(Slot).collect();
    let own: Slots = [device.slot].into_iter().collect();
    assert_eq!(device.slot, Slot(0x0c));
    assert_eq!((device.problem(all), device.problem(own)), (None, None));
    for without in [Slots::default(), all.without(own)] {
        let problem = device.problem(without).unwrap();
        assert_eq!(problem.reason, Reason::NotAMessage);
        assert!(problem.detail.contains("slot 0c"), "{}", problem.detail);
    }
}

#[test]
fn a_time_of_more_than_a_year_after_its_arrival_is_beyond_belief() {
    let reason = |at: i64| {
        let batch = batch(vec![("a", json("a", 1, at))]);
        ParsedBatch::of(&batch, Sums::takes).letters.take(&batch).first().map(|letter| letter.reason)
    };
    let year_ms = 366 * 24 * 60 * 60 * 1_000;
    assert_eq!((reason(0), reason(ARRIVED_MS), reason(ARRIVED_MS + year_ms)), (None, None, None));
    for at in [-1, ARRIVED_MS + year_ms + 1, i64::MAX] {
        assert_eq!(reason(at), Some(Reason::TimeBeyondBelief), "{at}");
    }
}

#[test]
fn a_partition_key_that_is_not_the_device_is_no_reading_of_it() {
    let batch = batch(vec![("b", json("a", 1, 1)), ("", json("", 2, 2))]);
    let mut parsed = ParsedBatch::of(&batch, Sums::takes);
    let letters = parsed.letters.take(&batch);
    assert_eq!((parsed.devices().len(), letters.len()), (0, 2));
    assert!(letters.iter().all(|letter| letter.reason == Reason::NotAMessage));
}
