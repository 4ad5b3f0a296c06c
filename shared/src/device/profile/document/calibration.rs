//! What a sensor's signal means.

use serde::{Deserialize, Serialize};

/// From what a sensor gave to what it measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum CalibrationDocument {
    /// `factor · x + offset`.
    Linear {
        /// The slope.
        factor: f64,
        /// What is added.
        #[serde(default)]
        offset: f64,
    },
    /// `c₀ + c₁ x + c₂ x² + …`
    Polynomial {
        /// From the constant up, at most 16.
        coefficients: Vec<f64>,
    },
    /// Straight lines between points.
    Table {
        /// Pairs of what was read and what was measured; what was read ascends.
        points: Vec<[f64; 2]>,
        /// Beyond the first and last point.
        #[serde(default)]
        beyond: Beyond,
    },
    /// A thermistor by its Beta: `1/T = 1/T₀ + ln(R/R₀)/β`, T in kelvin.
    ThermistorBeta {
        /// How its voltage comes about.
        divider: DividerDocument,
        /// β in kelvin.
        beta: f64,
        /// R₀, the resistance at `nominalCelsius`.
        nominal_ohms: f64,
        /// T₀ in °C, 25 without it.
        #[serde(default = "room_temperature")]
        nominal_celsius: f64,
    },
    /// A thermistor by Steinhart and Hart (1968): `1/T = a + b ln R + c (ln R)³`, T in kelvin and R in ohms.
    SteinhartHart {
        /// How its voltage comes about.
        divider: DividerDocument,
        /// In 1/K.
        a: f64,
        /// In 1/K.
        b: f64,
        /// In 1/K.
        c: f64,
    },
}

const fn room_temperature() -> f64 {
    25.0
}

/// What a table says beyond its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beyond {
    /// Nothing: the value is out of range.
    #[default]
    Reject,
    /// The value at the end.
    Clamp,
    /// The last straight line goes on.
    Extrapolate,
}

/// A thermistor and a resistor in series between the supply and ground; the voltage between them is read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DividerDocument {
    /// The supply's voltage.
    pub supply_volts: f64,
    /// The series resistor.
    pub series_ohms: f64,
    /// The thermistor's side.
    pub thermistor: Side,
    /// The unit of what was read, `V` or `mV`; `V` without it.
    #[serde(default)]
    pub input: Voltage,
}

/// Which side of the divider the thermistor is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Between the measured point and ground: a hotter NTC reads a lower voltage.
    Ground,
    /// Between the supply and the measured point: a hotter NTC reads a higher voltage.
    Supply,
}

/// The unit of a voltage that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Voltage {
    /// Volts.
    #[default]
    #[serde(rename = "V")]
    Volts,
    /// Millivolts.
    #[serde(rename = "mV")]
    Millivolts,
}
