//! Tests of the rule: its arithmetic, and that no fault makes a row wrong.

use crate::outcome::WarmHour;
use crate::rule::DegreeHours;
use crate::state::DeviceState;
use myaku::device::profile::Profile;
use myaku::device::reading::Reading;
use myaku::keyed::codec::{decode, encode};
use myaku::keyed::trial::{Trial, devices};
use myaku::keyed::{Incoming, Kept, Rule, Step};
use myaku::stream::batch::Batch;
use rand::RngExt as _;
use std::sync::Arc;

/// The beginning of an hour.
const BEGIN_MS: i64 = 1_795_219_200_000;
const MINUTE_MS: i64 = 60_000;

/// A cold room that may have 8 °C.
fn profile() -> Arc<Profile> {
    Arc::new(Profile::parse(include_bytes!("../profile.json")).unwrap())
}

fn reading(device: &str, id: i64, at: i64, value: f64) -> Reading {
    let json = format!(
        r#"{{"id":"{id}","deviceId":"{device}","facility":"home-3","metric":"temperature","value":{value},"at":{at},"clock":"device","receivedAt":{at}}}"#
    );
    Reading::parse(json.as_bytes()).unwrap()
}

fn step(state: &mut DeviceState, minute: i64, value: f64) -> Vec<(i64, WarmHour)> {
    let at = BEGIN_MS + minute * MINUTE_MS;
    let reading = reading("room", minute, at, value);
    let Step { history, .. } = DegreeHours::step(&profile(), state, &Incoming::of(&reading), None).unwrap();
    history.into_iter().map(|closed| ((closed.from_ms - BEGIN_MS) / MINUTE_MS, closed.outcome)).collect()
}

fn hour(degree_hours: f64, known_minutes: f64) -> WarmHour {
    WarmHour { degree_hours, known_seconds: known_minutes * 60.0, partial: false }
}

#[test]
fn degrees_above_the_limit_add_up_by_the_time_that_they_hold() {
    let mut state = DeviceState::default();
    for (minute, value) in [(0, 10.0), (15, 10.0), (30, 5.0), (45, 5.0)] {
        assert_eq!(step(&mut state, minute, value), []);
    }
    assert_eq!(step(&mut state, 60, 5.0), [(0, hour(1.0, 60.0))], "2 degrees too warm for half an hour");
}

#[test]
fn a_temperature_holds_for_a_quarter_of_an_hour_and_into_the_next_hour() {
    let mut state = DeviceState::default();
    step(&mut state, 55, 12.0);
    assert_eq!(step(&mut state, 65, 5.0), [(0, hour(4.0 * 5.0 / 60.0, 5.0))]);
    assert_eq!(DegreeHours::latest(&profile(), &state)[0].1, hour(4.0 * 5.0 / 60.0, 5.0));
    step(&mut state, 110, 5.0);
    assert_eq!(DegreeHours::latest(&profile(), &state)[0].1, hour(4.0 * 5.0 / 60.0, 20.0), "half an hour is not known");
}

#[test]
fn the_sample_event_has_an_hour_that_is_too_warm() {
    let batch = Batch::from_event(include_str!("../../../events/kinesis-degree-hours.json")).unwrap();
    let (profile, mut state, mut history) = (profile(), DeviceState::default(), Vec::new());
    for record in batch.user_records() {
        let reading = Reading::parse(record.data).unwrap();
        history.extend(DegreeHours::step(&profile, &mut state, &Incoming::of(&reading), None).unwrap().history);
    }
    assert_eq!((history.len(), &history[0].outcome), (1, &hour(1.0, 60.0)));
}

#[test]
fn a_state_is_the_same_after_it_was_stored() {
    let mut state = DeviceState::default();
    step(&mut state, 3, 9.5);
    step(&mut state, 4, 9.0);
    let kept = Kept { state, lost_until: Some(7), ..Kept::default() };
    assert_eq!(decode(&encode(&kept)), Ok(kept));
}

#[test]
fn every_row_is_right_or_partial_after_any_fault() {
    let devices = devices();
    let is_partial = |hour: &WarmHour| hour.partial;
    Trial::<DegreeHours>::seeds(0..300, &profile(), is_partial, |random| {
        let mut minute = 0;
        let readings = (0..random.random_range(1..14)).map(|n| {
            minute += random.random_range(0..20);
            let at = BEGIN_MS + minute * MINUTE_MS;
            let device = &devices[random.random_range(0..devices.len())];
            reading(device, n, at, random.random_range(0..15).into())
        });
        readings.collect()
    });
}
