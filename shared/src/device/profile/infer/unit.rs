//! Guesses the unit of a number by its name and its values.

/// A unit that was guessed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// What the device sends.
    pub(super) sent: &'static str,
    /// What readings have.
    pub(super) kept: &'static str,
}

/// Words at the end of a name that are a unit: the word, what is sent, and what is kept.
const SUFFIXES: &[(&str, &str, &str)] = &[
    ("c", "°C", "°C"),
    ("celsius", "°C", "°C"),
    ("f", "°F", "°C"),
    ("fahrenheit", "°F", "°C"),
    ("mv", "mV", "V"),
    ("v", "V", "V"),
    ("volt", "V", "V"),
    ("volts", "V", "V"),
    ("ma", "mA", "A"),
    ("pct", "%", "%"),
    ("percent", "%", "%"),
    ("ppm", "ppm", "ppm"),
    ("pa", "Pa", "hPa"),
    ("hpa", "hPa", "hPa"),
    ("mbar", "hPa", "hPa"),
    ("kpa", "kPa", "hPa"),
    ("mmhg", "mmHg", "mmHg"),
    ("bpm", "1/min", "1/min"),
    ("rpm", "1/min", "1/min"),
    ("hz", "Hz", "Hz"),
    ("kg", "kg", "kg"),
    ("mm", "mm", "mm"),
    ("cm", "cm", "cm"),
    ("km", "km", "km"),
    ("kwh", "kWh", "kWh"),
    ("wh", "Wh", "Wh"),
    ("kw", "kW", "kW"),
    ("w", "W", "W"),
    ("ms", "ms", "ms"),
    ("sec", "s", "s"),
    ("seconds", "s", "s"),
    ("dbm", "dBm", "dBm"),
    ("lux", "lx", "lx"),
];

/// Words that name a quantity whose unit its values tell: up to which median, what is sent, and what is kept.
type ByValue = (&'static [&'static str], &'static [(f64, &'static str, &'static str)]);
const QUANTITIES: &[ByValue] = &[
    (&["temp", "temperature", "tmp"], &[(60.0, "°C", "°C"), (130.0, "°F", "°C"), (1e4, "K", "°C")]),
    (&["humidity", "hum", "rh", "spo2", "sao2"], &[(1.0, "1", "%"), (100.0, "%", "%")]),
    (&["hr", "heart", "heartrate", "pulse", "resp", "respiration", "breath"], &[(400.0, "1/min", "1/min")]),
    (&["batt", "battery", "bat", "vbat"], &[(5.0, "V", "V"), (100.0, "%", "%"), (1e5, "mV", "V")]),
    (&["voltage"], &[(1e3, "V", "V"), (1e6, "mV", "V")]),
    (
        &["pressure", "press", "baro", "barometer"],
        &[(1.2, "bar", "hPa"), (120.0, "kPa", "hPa"), (1_200.0, "hPa", "hPa"), (2e5, "Pa", "hPa")],
    ),
    (&["co2", "eco2"], &[(1e5, "ppm", "ppm")]),
    (&["rssi"], &[(0.0, "dBm", "dBm")]),
    (&["snr"], &[(100.0, "dB", "dB")]),
    (&["illuminance", "light", "luminosity"], &[(2e5, "lx", "lx")]),
    (&["weight"], &[(500.0, "kg", "kg"), (5e5, "g", "kg")]),
];

/// The unit of a number, and the words of its name without that of the unit.
pub(super) fn guess<'w>(named: &'w [String], numbers: &[f64]) -> (Option<Unit>, &'w [String]) {
    if let Some((last, rest)) = named.split_last().filter(|(_, rest)| !rest.is_empty()) {
        let suffix = SUFFIXES.iter().find(|(suffix, ..)| last == suffix);
        if let Some((_, sent, kept)) = suffix {
            return (Some(Unit { sent, kept }), rest);
        }
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let quantity = QUANTITIES.iter().find(|(words, _)| named.iter().any(|word| words.contains(&word.as_str())));
    let unit = quantity.and_then(|(_, units)| units.iter().find(|(most, ..)| median <= *most));
    (unit.map(|(_, sent, kept)| Unit { sent, kept }), named)
}
