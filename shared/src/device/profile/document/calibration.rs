//! The part of a profile document that says how a sensor's signal becomes the value that it measures.

use serde::{Deserialize, Serialize};

/// How to calculate what was measured from what was read, x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum CalibrationDocument {
    /// `factor · x + offset`.
    Linear {
        /// The slope.
        factor: f64,
        /// The value at x = 0.
        #[serde(default)]
        offset: f64,
    },
    /// `c₀ + c₁ x + c₂ x² + …`
    Polynomial {
        /// The coefficients from c₀ up, at most 16.
        coefficients: Vec<f64>,
    },
    /// Straight lines between points.
    Table {
        /// Pairs of what is read and what it means, in ascending order of what is read.
        points: Vec<[f64; 2]>,
        /// What applies before the first and after the last point.
        #[serde(default)]
        beyond: Beyond,
    },
    /// A thermistor by its Beta: `1/T = 1/T₀ + ln(R/R₀)/β`, T in kelvin.
    ThermistorBeta {
        /// The circuit whose voltage is read.
        divider: DividerDocument,
        /// β in kelvin.
        beta: f64,
        /// R₀, the resistance at `nominalCelsius`.
        nominal_ohms: f64,
        /// T₀ in °C. Default 25.
        #[serde(default = "room_temperature")]
        nominal_celsius: f64,
    },
    /// A thermistor by Steinhart and Hart (1968): `1/T = a + b ln R + c (ln R)³`, T in kelvin and R in ohms.
    SteinhartHart {
        /// The circuit whose voltage is read.
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

/// What a table gives before its first and after its last point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Beyond {
    /// An error: the value is out of range.
    #[default]
    Reject,
    /// The value of the first or last point.
    Clamp,
    /// A value on the first or last straight line, extended.
    Extrapolate,
}

/// A thermistor and a resistor in series between the supply and ground; the voltage between them is read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DividerDocument {
    /// The supply's voltage, in volts.
    pub supply_volts: f64,
    /// The series resistor's resistance, in ohms.
    pub series_ohms: f64,
    /// The side of the measured point on which the thermistor is.
    pub thermistor: Side,
    /// The unit of the voltage that is read, `V` or `mV`. Default `V`.
    #[serde(default)]
    pub input: Voltage,
}

/// The side of the measured point on which the thermistor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Between the measured point and ground: a hotter NTC reads a lower voltage.
    Ground,
    /// Between the supply and the measured point: a hotter NTC reads a higher voltage.
    Supply,
}

/// The unit of a voltage that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Voltage {
    /// Volts.
    #[default]
    #[serde(rename = "V")]
    Volts,
    /// Millivolts.
    #[serde(rename = "mV")]
    Millivolts,
}
