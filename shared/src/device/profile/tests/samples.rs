//! Tests of the sample profiles, each with a message as its devices send it.

use super::*;
use crate::device::reading::Value;

const VITAL_BAND: &str = include_str!("../../../../../events/profiles/vital-band.json");
const SMART_BED: &str = include_str!("../../../../../events/profiles/smart-bed.json");
const THERMISTOR_NODE: &str = include_str!("../../../../../events/profiles/thermistor-node.json");
const FACILITY_CBOR: &str = include_str!("../../../../../events/profiles/facility-cbor.json");
const APP_LOG: &str = include_str!("../../../../../events/profiles/app-log.json");

#[test]
fn a_sample_that_is_written_and_parsed_again_is_the_same() {
    for json in [VITAL_BAND, SMART_BED, THERMISTOR_NODE, FACILITY_CBOR, APP_LOG] {
        let document = ProfileDocument::parse(json.as_bytes()).unwrap();
        let written = serde_json::to_vec(&document).unwrap();
        assert_eq!(ProfileDocument::parse(&written).unwrap(), document);
        assert!(Profile::compile(&document).is_ok());
    }
}

#[test]
fn a_band_of_format_1_sends_one_set_of_values() {
    let payload = r#"{"id": "a-7", "ts": 1795218892, "vital": {"hr": 72, "spo2": "97", "temp": 99.5}, "batt": 81}"#;
    insta::assert_snapshot!(decoded(&profile(VITAL_BAND), payload), @r#"
    bed-17/pa-7@1795218892000#0 heart_rate = 72.0 1/min at -20 (device, Good)
    bed-17/pa-7@1795218892000#1 spo2 = 97.0 % at -20 (device, Good)
    bed-17/pa-7@1795218892000#2 body_temperature = 37.50000000000001 °C at -20 (device, Good)
    bed-17/pa-7@1795218892000#3 battery = 81.0 % at -20 (device, Good)
    "#);
}

#[test]
fn a_band_of_format_2_sends_samples_with_their_own_times() {
    let payload = r#"{"schema": 2, "boot": 3, "seq": 4711, "sent": "2026-11-20T23:54:52Z",
        "status": {"battery": 63, "worn": true, "activity": "walking"}, "gps": {"lon": 139.767, "lat": 35.681},
        "samples": [{"t": 1795218890000, "hr": 71.5, "spo2": 0.97}, {"t": 1795218891000, "temp_f": 113.0}]}"#;
    insta::assert_snapshot!(decoded(&profile(VITAL_BAND), payload), @r#"
    bed-17/p3:4711@1795218890000#0 battery = 63.0 % at -20 (device, Good)
    bed-17/p3:4711@1795218890000#1 worn = true  at -20 (device, Good)
    bed-17/p3:4711@1795218890000#2 activity = "walking"  at -20 (device, Good)
    bed-17/p3:4711@1795218890000#3 position = [139.767,35.681]  at -20 (device, Good)
    bed-17/p3:4711@1795218890000#4 heart_rate = 71.5 1/min at -2020 (device, Good)
    bed-17/p3:4711@1795218890000#5 spo2 = 97.0 % at -2020 (device, Good)
    bed-17/p3:4711@1795218890000#9 body_temperature = 45.00000000000001 °C at -1020 (device, OutOfRange)
    "#);
}

#[test]
fn a_bed_of_firmware_1_packs_one_sample_into_14_bytes() {
    let mut payload = Vec::new();
    payload.extend(9_u32.to_le_bytes());
    payload.extend(1_795_218_890_u32.to_le_bytes());
    payload.extend([61, 57]);
    payload.extend(6_830_i16.to_le_bytes());
    payload.extend([0b0000_0101, 0]);
    insta::assert_snapshot!(decoded(&profile(SMART_BED), payload), @r#"
    bed-17/p9:1795218890@1795218890000#0 heart_rate = 61.0 1/min at -2020 (device, Good)
    bed-17/p9:1795218890@1795218890000#1 respiration = 14.25 1/min at -2020 (device, Good)
    bed-17/p9:1795218890@1795218890000#2 weight = 68.3 kg at -2020 (device, Good)
    bed-17/p9:1795218890@1795218890000#3 occupied = true  at -2020 (device, Good)
    bed-17/p9:1795218890@1795218890000#4 posture = "left"  at -2020 (device, Good)
    "#);
}

#[test]
fn a_bed_of_firmware_2_repeats_its_samples() {
    let mut payload = Vec::new();
    payload.extend(10_u32.to_be_bytes());
    payload.extend(&1_795_218_890_000_u64.to_be_bytes()[2..]);
    payload.extend([2, 0x80]);
    for (heart, respiration) in [(612_u16, 1_425_u16), (65_535, 1_430)] {
        payload.extend(heart.to_be_bytes());
        payload.extend(respiration.to_be_bytes());
    }
    insta::assert_snapshot!(decoded(&profile(SMART_BED), payload), @r#"
    bed-17/p10:1795218890000@1795218890000#0 occupied = true  at -2020 (device, Good)
    bed-17/p10:1795218890000@1795218890000#1 heart_rate = 61.2 1/min at -2020 (device, Good)
    bed-17/p10:1795218890000@1795218890000#2 respiration = 14.25 1/min at -2020 (device, Good)
    bed-17/p10:1795218890000@1795218890000#4 respiration = 14.3 1/min at -1020 (device, Good)
    "#);
}

#[test]
fn a_node_sends_volts_and_its_readings_are_in_degrees_celsius() {
    let payload = r#"{"n": 5, "t": 1795218892000, "volts": {"room": 1.65, "water": 1.65, "cell": 3.7}}"#;
    let (profile, message) = (profile(THERMISTOR_NODE), message(payload));
    let decoded = profile.decode(&message, ARRIVED);
    let numbers: Vec<_> =
        decoded.readings.iter().map(|reading| (reading.metric, reading.unit, &reading.value)).collect();
    let [(_, _, Value::Number(room)), (_, _, Value::Number(water)), (_, _, Value::Number(cell))] = numbers[..] else {
        panic!("{numbers:?}")
    };
    assert!((room - 25.0).abs() < 0.05 && (water - 25.0).abs() < 1e-9 && (cell - 40.0).abs() < 1e-9, "{numbers:?}");
    assert!(decoded.readings[..2].iter().all(|reading| reading.unit == "°C"));
}

#[test]
fn a_controller_sends_cbor_with_integer_keys() {
    use ciborium::Value as Cbor;
    use ciborium::cbor;
    let room = |at: i64, celsius: f64| {
        Cbor::Map(vec![(0.into(), at.into()), (1.into(), celsius.into()), (2.into(), 45.into())])
    };
    let value = cbor!({"id" => "c-1", "sent" => 1_795_218_892, "door" => true,
        "air" => [room(1_795_218_880, 21.5), room(1_795_218_881, f64::NAN)]})
    .unwrap();
    let mut payload = Vec::new();
    ciborium::into_writer(&value, &mut payload).unwrap();
    insta::assert_snapshot!(decoded(&profile(FACILITY_CBOR), payload), @r#"
    bed-17/pc-1@1795218880000#0 door_open = true  at -20 (device, Good)
    bed-17/pc-1@1795218880000#1 air_temperature = 21.057000000000002 °C at -12020 (device, Good)
    bed-17/pc-1@1795218880000#2 humidity = 45.0 % at -12020 (device, Good)
    bed-17/pc-1@1795218880000#5 humidity = 45.0 % at -11020 (device, Good)
    NotANumber: air_temperature (value 4): it is NaN or infinite
    "#);
}

#[test]
fn an_archive_only_profile_reads_nothing_and_rejects_nothing() {
    let profile = profile(APP_LOG);
    assert!(profile.is_archive_only());
    for payload in [&b""[..], b"GET / 200\n", b"\xff\x00"] {
        assert_eq!(profile.decode(&message(payload), ARRIVED), Decoded::default());
    }
    assert!(!super::profile(VITAL_BAND).is_archive_only());
}

#[test]
fn a_profile_has_windows_and_intervals_by_metric() {
    let profile = profile(VITAL_BAND);
    assert_eq!(profile.id(), "vital-band");
    assert_eq!(profile.window("heart_rate").and_then(|window| window.last), Some(20));
    assert_eq!(profile.window("activity"), None);
    assert_eq!(profile.window("nothing"), None);
    let interval =
        |metric| profile.metric(metric).and_then(|metric| metric.expected_interval).map(|time| time.as_secs());
    assert_eq!((interval("heart_rate"), interval("spo2"), interval("nothing")), (Some(10), Some(30), None));
}
