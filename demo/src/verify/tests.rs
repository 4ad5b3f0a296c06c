//! Breaks each promise on purpose; the verdict must name it.

use super::*;
use crate::evidence::letters::Letter;
use crate::evidence::results::Latest;
use crate::traffic::{At, Fleet, Planned, Settings};
use md5::{Digest as _, Md5};
use myaku::lake::archive::audit::{Finding, Kind};
use myaku_operator::audit::{Report, StreamCompared};
use serde_json::json;
use std::collections::HashMap;

const NOW: i64 = 1_795_218_892_020;

/// The evidence of a pipeline that keeps every promise, for some hundred messages.
fn flawless() -> (Evidence, Windows) {
    let mut fleet = Fleet::new(Settings { seed: 7, devices: 20 });
    let windows = Windows::new(PROFILES, fleet.registrations().map(|it| (it.device.clone(), it.profile.to_owned())));
    let mut evidence = Evidence::default();
    for number in 0..600 {
        let planned = fleet.next(NOW + number * 20);
        let published_ms = planned.made_at_ms;
        evidence.sent.push(SentMessage::new(planned, published_ms));
    }
    let mut ids = HashMap::new();
    for (number, sent) in evidence.sent.clone().iter().enumerate() {
        let record = Record {
            shard: "shardId-0".to_owned(),
            sequence: number.to_string(),
            sub: 0,
            key: sent.planned.delivery_id(),
            arrived_ms: sent.published_ms + 5,
            data: sent.planned.record(sent.published_ms + 1),
        };
        for reason in &sent.planned.dead_letters {
            let key = format!("{reason}/{number}");
            evidence.letters.push(Letter { key, reason: (*reason).to_owned(), fingerprint: sent.fingerprint });
        }
        let original = sent.planned.repeats.unwrap_or(sent.planned.number);
        let arrived_ms = *ids.entry(original).or_insert(record.arrived_ms);
        evidence.readings.extend(readings(&sent.planned, original, arrived_ms));
        evidence.stream.push(record);
    }
    let records = evidence.stream.len() as u64;
    let stream_compared = Some(StreamCompared { records, ..StreamCompared::default() });
    evidence.audit = Report { clean: true, records, stream_compared, ..Report::default() };
    let windows = windows.unwrap();
    evidence.results = rows(&evidence, &windows, usize::MAX);
    (evidence, windows)
}

const PROFILES: [&str; 5] = crate::registry::PROFILES;

fn readings(planned: &Planned, original: usize, arrived_ms: i64) -> Vec<Record> {
    let record = |(index, reading): (usize, &crate::traffic::Expected)| {
        let at = match reading.at {
            At::Device(at_ms) => at_ms,
            At::Arrival { before_ms } => arrived_ms - before_ms,
        };
        let data = json!({
            "id": format!("{original}#{index}"), "deviceId": planned.device, "metric": reading.metric,
            "value": reading.value, "at": at, "quality": if reading.flagged { "out-of-range" } else { "good" },
        });
        Record {
            shard: "shardId-0".to_owned(),
            sequence: (planned.number * 100 + index).to_string(),
            sub: 0,
            key: planned.device.clone(),
            arrived_ms,
            data: data.to_string().into_bytes(),
        }
    };
    planned.readings.iter().enumerate().map(record).collect()
}

/// The rows of the results, of the first `count` readings. They are computed here from the whole series, and not with the
/// functions that the check uses, because those would prove nothing.
fn rows(evidence: &Evidence, windows: &Windows, count: usize) -> Vec<Latest> {
    let mut series = BTreeMap::<(String, String), BTreeMap<String, (i64, f64)>>::new();
    let mut positions = BTreeMap::<String, String>::new();
    for record in evidence.readings.iter().take(count) {
        let reading: serde_json::Value = serde_json::from_slice(&record.data).unwrap();
        let Some(value) = reading["value"].as_f64() else { continue };
        let name = |field: &str| reading[field].as_str().unwrap().to_owned();
        if windows.get(&name("deviceId"), &name("metric")).is_some() {
            positions.insert(name("deviceId"), record.position());
            let entry = series.entry((name("deviceId"), name("metric"))).or_default();
            entry.entry(name("id")).or_insert((reading["at"].as_i64().unwrap(), value));
        }
    }
    let row = |((device, metric), readings): ((String, String), BTreeMap<String, (i64, f64)>)| {
        let (last, seconds) = windows.spec(&device, &metric);
        let mut readings = readings.into_values().collect::<Vec<_>>();
        readings.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let (at_ms, value) = readings[0];
        readings.retain(|(at, _)| seconds.is_none_or(|seconds| at_ms - at < seconds * 1000));
        readings.truncate(last.unwrap_or(usize::MAX));
        let values = || readings.iter().map(|(_, value)| *value);
        Latest {
            position: positions[&device].clone(),
            device,
            metric,
            at_ms,
            value,
            mean: values().sum::<f64>() / readings.len() as f64,
            count: readings.len() as u64,
            min: values().fold(f64::INFINITY, f64::min),
            max: values().fold(f64::NEG_INFINITY, f64::max),
            is_partial: false,
            updated_ms: NOW,
        }
    };
    series.into_iter().map(row).collect()
}

/// The broken promises after `spoil`, which must be the only thing that is wrong.
fn broken_after(spoil: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let (mut evidence, windows) = flawless();
    spoil(&mut evidence);
    verify(&evidence, &windows).broken
}

fn assert_names(broken: &[String], promise: &str) {
    assert!(broken.len() == 1 && broken[0].starts_with(promise), "{broken:?}");
}

#[test]
fn a_run_without_a_fault_breaks_no_promise() {
    let (evidence, windows) = flawless();
    let verdict = verify(&evidence, &windows);
    assert_eq!(verdict.broken, Vec::<String>::new());
    assert_eq!(verdict.archive.archived, 600);
    assert!(verdict.readings.right > 1000 && verdict.readings.repeated > 0, "{:?}", verdict.readings);
    assert!(verdict.averages.right > 20, "{:?}", verdict.averages);
    assert!(verdict.dead_letters.found.len() >= 4, "{:?}", verdict.dead_letters);
}

#[test]
fn a_finding_or_a_record_that_the_audit_did_not_compare_breaks_the_first_promise() {
    let finding = Finding::new(Kind::Missing, "raw/stream=ingest/x", "no object is in this slot");
    let find = |evidence: &mut Evidence| evidence.audit.findings.push(finding.clone());
    assert_names(&broken_after(find), "the audit reports findings: 1 (missing raw/stream=ingest/x: no object");
    assert_names(&broken_after(|evidence| evidence.audit.records -= 1), "the audit did not compare every record");
    assert_names(
        &broken_after(|evidence| evidence.audit.stream_compared = None),
        "the audit did not compare every record",
    );
}

#[test]
fn a_message_that_is_missing_on_the_stream_is_named() {
    let swallow = |evidence: &mut Evidence| {
        // A message that becomes no reading: lines of a log.
        let index = evidence.sent.iter().position(|sent| sent.planned.kind == "log").unwrap();
        evidence.stream.remove(index);
        evidence.audit.records -= 1;
        evidence.audit.stream_compared.as_mut().unwrap().records -= 1;
    };
    assert_names(&broken_after(swallow), "messages that were sent are not on the stream");
}

#[test]
fn a_reading_that_is_missing_or_wrong_is_named() {
    // A reading that no average counts, so that nothing else is wrong.
    let position = |evidence: &Evidence| {
        let is_weight = |record: &Record| String::from_utf8_lossy(&record.data).contains("\"weight\"");
        evidence.readings.iter().position(is_weight).unwrap()
    };
    let remove = |evidence: &mut Evidence| drop(evidence.readings.remove(position(evidence)));
    assert_names(&broken_after(remove), "readings are missing");
    let alter = |evidence: &mut Evidence| {
        let index = position(evidence);
        let mut reading: serde_json::Value = serde_json::from_slice(&evidence.readings[index].data).unwrap();
        reading["value"] = json!(12.5);
        evidence.readings[index].data = reading.to_string().into_bytes();
    };
    let broken = broken_after(alter);
    assert!(broken[0].starts_with("readings are missing") && broken[1].starts_with("readings are unexpected"));
}

#[test]
fn a_dead_letter_that_is_missing_or_has_another_reason_is_named() {
    assert_names(&broken_after(|evidence| drop(evidence.letters.pop())), "dead letters are missing");
    let rename = |evidence: &mut Evidence| evidence.letters[0].reason = "too-large".to_owned();
    let broken = broken_after(rename);
    assert!(broken[0].starts_with("dead letters are missing") && broken[1].starts_with("dead letters are unexpected"));
}

#[test]
fn an_average_that_is_wrong_or_missing_is_named() {
    assert_names(&broken_after(|evidence| evidence.results[3].mean += 0.01), "averages are wrong");
    assert_names(&broken_after(|evidence| evidence.results[3].count += 1), "averages are wrong");
    assert_names(&broken_after(|evidence| evidence.results[3].at_ms += 1), "averages are wrong");
    assert_names(&broken_after(|evidence| drop(evidence.results.pop())), "averages are missing");
}

#[test]
fn a_row_may_wait_as_long_as_it_may_and_must_be_right_up_to_its_position() {
    let (mut evidence, windows) = flawless();
    evidence.results = rows(&evidence, &windows, evidence.readings.len() - 300);
    evidence.results_lag_ms = 60_000;
    assert_eq!(verify(&evidence, &windows).broken, Vec::<String>::new());
    evidence.results[3].count += 1;
    assert_names(&verify(&evidence, &windows).broken, "averages are wrong");
    evidence.results[3].count -= 1;
    evidence.results_lag_ms = 1_000;
    assert_names(&verify(&evidence, &windows).broken, "rows of averages are overdue");
    evidence.results.iter_mut().for_each(|row| row.position = "1".to_owned());
    let broken = verify(&evidence, &windows).broken;
    assert!(broken[0].contains("has no record at 1"), "{broken:?}");
}

#[test]
fn an_average_may_lack_readings_only_after_a_loss_of_memory_and_only_if_it_is_marked_partial() {
    let spoiled = |memory_lost: bool, is_partial: bool| {
        broken_after(|evidence| {
            evidence.memory_lost = memory_lost;
            evidence.results[3].count += 1;
            evidence.results[3].is_partial = is_partial;
        })
    };
    assert_eq!(spoiled(true, true), Vec::<String>::new());
    assert_names(&spoiled(true, false), "averages are wrong");
    assert_eq!(spoiled(false, true).len(), 2);
    let flagged = broken_after(|evidence| evidence.results[3].is_partial = true);
    assert_names(&flagged, "averages are marked partial, but no memory was lost");
}

#[test]
fn a_reading_from_a_wrong_clock_must_have_its_time_of_arrival() {
    let (evidence, windows) = flawless();
    let shifted = |evidence: &mut Evidence| {
        evidence.stream.iter_mut().for_each(|record| record.arrived_ms += 1000);
    };
    let mut moved = evidence;
    assert!(
        moved.sent.iter().any(|sent| sent
            .planned
            .readings
            .iter()
            .any(|reading| matches!(reading.at, At::Arrival { .. })))
    );
    shifted(&mut moved);
    assert!(verify(&moved, &windows).broken[0].starts_with("readings are missing"));
}

#[test]
fn a_reading_in_another_shard_than_its_slot_is_named_and_a_shard_may_end_within_a_slot() {
    let slot = |record: &Record| u128::from(Md5::digest(&record.key)[0]) << 120;
    let highest = flawless().0.readings.iter().map(slot).max().unwrap();
    let broken_up_to = |last| {
        broken_after(|evidence| {
            evidence.readings_ranges.insert("shardId-0".to_owned(), (0, last));
        })
    };
    assert_eq!(broken_up_to(highest), Vec::<String>::new());
    assert_names(&broken_up_to(highest - 1), "readings are in another shard than the slot of their device: ");
}
