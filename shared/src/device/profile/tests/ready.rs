//! The ready-made profiles decode payloads of the specifications and of public documentation.

use super::*;

/// The readings of the payload in `events/payloads` by the profile in `events/profiles`, one a line. The message is received
/// ten seconds after `at`, which the readings' times are relative to, in milliseconds.
fn read(profile: &str, payload: &str, at: &str) -> String {
    let events = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");
    let profile = std::fs::read(format!("{events}/profiles/{profile}.json")).unwrap();
    let mut profile = ProfileDocument::parse(&profile).unwrap();
    // Some of the payloads are older than any clock is believed by itself.
    profile.clock.not_before = (profile.clock.trust.is_none()).then(|| "2000-01-01".to_owned());
    let profile = Profile::compile(&profile).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let text = std::fs::read_to_string(format!("{events}/payloads/{payload}")).unwrap();
    let payload = if payload.contains(".hex") {
        text.trim()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    } else {
        text.into_bytes()
    };
    let at = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let message = Message { received_at: at + 10_000, ..message(payload) };
    let decoded = profile.decode(&message, at + 10_000);
    let values = decoded.readings.iter().map(|reading| {
        let value = serde_json::to_string(&reading.value).unwrap();
        format!("{} {value} {} at {}", reading.metric, reading.unit, reading.at - at)
    });
    let rejected = decoded.rejected.iter().map(|rejected| rejected.detail.clone());
    values.chain(rejected).collect::<Vec<_>>().join("\n")
}

#[test]
fn networks_of_lorawan() {
    let at = "2020-02-12T15:15:45.787Z";
    insta::assert_snapshot!(read("ttn-v3", "ttn-v3.json", at), @r#"
    temperature 1.0 °C at 0
    luminosity 0.64 lx at 0
    rssi -35.0 dBm at 0
    snr 5.2 dB at 0
    "#);
    insta::assert_snapshot!(read("ttn-v3", "ttn-v3-bytes.json", at), @r#"
    temperature 27.2 °C at 0
    rssi -35.0 dBm at 0
    snr 5.2 dB at 0
    "#);
    insta::assert_snapshot!(read("chirpstack-v4", "chirpstack-v4.json", "2022-07-18T09:34:15.775Z"), @r#"
    temperature 27.2 °C at 0
    rssi -36.0 dBm at 0
    "#);
}

#[test]
fn sparkplug_by_name_and_by_alias() {
    let at = "2017-02-03T17:55:02.122Z";
    insta::assert_snapshot!(read("sparkplug-b", "sparkplug-b.hex", at), @r#"
    supply_voltage 12.100000381469727 V at 0
    hardware "Pibrella"  at 0
    "#);
    insta::assert_snapshot!(read("sparkplug-b", "sparkplug-b-alias.hex", at), @"supply_voltage 12.300000190734863 V at 1000");
}

#[test]
fn senml_in_json_and_in_cbor() {
    let at = "2010-06-08T18:01:16.001Z";
    let json = read("senml-meter", "senml-meter.json", at);
    insta::assert_snapshot!(json, @r#"
    voltage 120.1 V at 0
    current 1.2 A at -5000
    current 1.3 A at -4000
    current 1.4 A at -3000
    current 1.5 A at -2000
    current 1.6 A at -1000
    current 1.7 A at 0
    "#);
    assert_eq!(read("senml-meter-cbor", "senml-meter-cbor.hex", at), json);
}

#[test]
fn devices_of_the_home() {
    insta::assert_snapshot!(read("tasmota-bme280", "tasmota-bme280.json", "2019-11-03T19:34:28Z"), @r#"
    temperature 21.7 °C at 0
    humidity 66.6 % at 0
    pressure 988.6 hPa at 0
    "#);
    insta::assert_snapshot!(read("zigbee2mqtt-climate", "zigbee2mqtt-climate.json", "2026-11-20T23:54:52Z"), @r#"
    temperature 22.13 °C at 10000
    humidity 55.46 % at 10000
    pressure 992.1 hPa at 10000
    battery 100.0 % at 10000
    battery_voltage 3.045 V at 10000
    link_quality 102.0  at 10000
    "#);
    insta::assert_snapshot!(read("shelly-plus-ht", "shelly-plus-ht.json", "2023-02-08T14:58:20.970Z"), @r#"
    temperature 21.1 °C at 0
    humidity 45.3 % at 0
    battery 81.0 % at 0
    "#);
    insta::assert_snapshot!(read("ruuvitag", "ruuvitag.hex", "2026-11-20T23:54:52Z"), @r#"
    temperature 24.3 °C at 10000
    humidity 53.49 % at 10000
    pressure 1000.44 hPa at 10000
    acceleration_x 0.0392266 m/s2 at 10000
    acceleration_y -0.0392266 m/s2 at 10000
    acceleration_z 10.1596894 m/s2 at 10000
    battery 2.977 V at 10000
    tx_power 4.0 dBm at 10000
    movements 66.0  at 10000
    "#);
}

#[test]
fn devices_of_health() {
    insta::assert_snapshot!(read("ble-heart-rate", "ble-heart-rate.hex", "2026-11-20T23:54:52Z"), @r#"
    heart_rate 78.0 1/min at 10000
    rr_interval 809.5703125 ms at 10000
    "#);
    insta::assert_snapshot!(read("ble-thermometer", "ble-thermometer.hex", "2026-11-20T23:54:52Z"), @"body_temperature 36.4 °C at 10000");
    insta::assert_snapshot!(read("withings-scale", "withings-scale.json", "2020-07-08T22:00:00Z"), @r#"
    weight 65.75 kg at 0
    fat_ratio 21.3 % at 0
    "#);
}
