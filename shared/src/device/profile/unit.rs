//! Converts numbers between units of the same quantity.
//!
//! A linear function leads from each unit to the base unit of its quantity: `base = factor · x + offset`. Factors are
//! exact by definition (SI Brochure, 9th edition; NIST SP 811 for those outside SI), except for mmHg, which has its
//! conventional value, as inHg has.

use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;

/// A unit that numbers can be converted from and to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Its names, the common one first. Those of UCUM are among them.
    pub names: &'static [&'static str],
    /// The quantity that it measures.
    pub quantity: &'static str,
    /// How many base units of the quantity it has.
    pub factor: f64,
    /// What is added after that.
    pub offset: f64,
}

/// Every unit that is known.
pub const fn units() -> &'static [Unit] {
    UNITS
}

const fn unit(quantity: &'static str, names: &'static [&'static str], factor: f64) -> Unit {
    Unit { names, quantity, factor, offset: 0.0 }
}

const TEMPERATURE: &str = "temperature";
const VOLTAGE: &str = "voltage";
const CURRENT: &str = "current";
const CHARGE: &str = "charge";
const RESISTANCE: &str = "resistance";
const CONDUCTIVITY: &str = "conductivity";
const PRESSURE: &str = "pressure";
const LENGTH: &str = "length";
const MASS: &str = "mass";
const RATIO: &str = "ratio";
const TIME: &str = "time";
const FREQUENCY: &str = "frequency";
const POWER: &str = "power";
const ENERGY: &str = "energy";
const SPEED: &str = "speed";
const ACCELERATION: &str = "acceleration";
const VOLUME: &str = "volume";
const FLOW: &str = "flow";
const ANGLE: &str = "angle";
const ANGULAR_SPEED: &str = "angular speed";
const ILLUMINANCE: &str = "illuminance";
const IRRADIANCE: &str = "irradiance";
const MASS_CONCENTRATION: &str = "mass concentration";
const AMOUNT_CONCENTRATION: &str = "amount concentration";
const MAGNETIC_FIELD: &str = "magnetic field";

const UNITS: &[Unit] = &[
    Unit { names: &["°C", "degC", "Cel"], quantity: TEMPERATURE, factor: 1.0, offset: 273.15 },
    Unit { names: &["°F", "degF", "[degF]"], quantity: TEMPERATURE, factor: 5.0 / 9.0, offset: 459.67 * 5.0 / 9.0 },
    unit(TEMPERATURE, &["K"], 1.0),
    unit(VOLTAGE, &["V"], 1.0),
    unit(VOLTAGE, &["mV"], 1e-3),
    unit(VOLTAGE, &["µV", "uV"], 1e-6),
    unit(VOLTAGE, &["kV"], 1e3),
    unit(CURRENT, &["A"], 1.0),
    unit(CURRENT, &["mA"], 1e-3),
    unit(CURRENT, &["µA", "uA"], 1e-6),
    unit(CHARGE, &["C"], 1.0),
    unit(CHARGE, &["Ah", "A.h"], 3_600.0),
    unit(CHARGE, &["mAh", "mA.h"], 3.6),
    unit(RESISTANCE, &["Ω", "Ohm", "ohm"], 1.0),
    unit(RESISTANCE, &["kΩ", "kOhm", "kohm"], 1e3),
    unit(RESISTANCE, &["MΩ", "MOhm", "Mohm"], 1e6),
    unit(CONDUCTIVITY, &["S/m"], 1.0),
    unit(CONDUCTIVITY, &["mS/cm"], 0.1),
    unit(CONDUCTIVITY, &["µS/cm", "uS/cm"], 1e-4),
    unit(PRESSURE, &["Pa"], 1.0),
    unit(PRESSURE, &["hPa", "mbar"], 100.0),
    unit(PRESSURE, &["kPa"], 1e3),
    unit(PRESSURE, &["MPa"], 1e6),
    unit(PRESSURE, &["bar"], 1e5),
    unit(PRESSURE, &["mmHg", "mm[Hg]"], 133.322_387_415),
    unit(PRESSURE, &["inHg", "[in_i'Hg]"], 3_386.388_640_341),
    unit(PRESSURE, &["cmH2O", "cm[H2O]"], 98.066_5),
    unit(PRESSURE, &["psi", "[psi]"], 6_894.757_293_168),
    unit(LENGTH, &["m"], 1.0),
    unit(LENGTH, &["mm"], 1e-3),
    unit(LENGTH, &["cm"], 1e-2),
    unit(LENGTH, &["km"], 1e3),
    unit(LENGTH, &["µm", "um"], 1e-6),
    unit(LENGTH, &["in", "[in_i]"], 0.0254),
    unit(LENGTH, &["ft", "[ft_i]"], 0.3048),
    unit(LENGTH, &["mi", "[mi_i]"], 1_609.344),
    unit(MASS, &["kg"], 1.0),
    unit(MASS, &["g"], 1e-3),
    unit(MASS, &["mg"], 1e-6),
    unit(MASS, &["µg", "ug"], 1e-9),
    unit(MASS, &["t"], 1e3),
    unit(MASS, &["lb", "[lb_av]"], 0.453_592_37),
    unit(MASS, &["oz", "[oz_av]"], 0.028_349_523_125),
    unit(RATIO, &["1"], 1.0),
    unit(RATIO, &["%"], 1e-2),
    unit(RATIO, &["‰", "[ppth]"], 1e-3),
    unit(RATIO, &["ppm", "[ppm]"], 1e-6),
    unit(RATIO, &["ppb", "[ppb]"], 1e-9),
    unit(TIME, &["s"], 1.0),
    unit(TIME, &["ms"], 1e-3),
    unit(TIME, &["µs", "us"], 1e-6),
    unit(TIME, &["min"], 60.0),
    unit(TIME, &["h"], 3_600.0),
    unit(TIME, &["d"], 86_400.0),
    unit(FREQUENCY, &["Hz", "1/s", "/s"], 1.0),
    unit(FREQUENCY, &["kHz"], 1e3),
    unit(FREQUENCY, &["1/min", "/min", "bpm", "rpm", "{beats}/min", "{breaths}/min"], 1.0 / 60.0),
    unit(FREQUENCY, &["1/h", "/h"], 1.0 / 3_600.0),
    unit(POWER, &["W"], 1.0),
    unit(POWER, &["mW"], 1e-3),
    unit(POWER, &["kW"], 1e3),
    unit(ENERGY, &["J"], 1.0),
    unit(ENERGY, &["kJ"], 1e3),
    unit(ENERGY, &["Wh", "W.h"], 3_600.0),
    unit(ENERGY, &["kWh", "kW.h"], 3.6e6),
    unit(ENERGY, &["kcal"], 4_184.0),
    unit(SPEED, &["m/s"], 1.0),
    unit(SPEED, &["km/h"], 1.0 / 3.6),
    unit(SPEED, &["kn", "[kn_i]"], 1_852.0 / 3_600.0),
    unit(SPEED, &["mph", "[mi_i]/h"], 0.447_04),
    unit(ACCELERATION, &["m/s²", "m/s2"], 1.0),
    unit(ACCELERATION, &["gn", "[g]"], 9.806_65),
    unit(ACCELERATION, &["mgn", "m[g]"], 9.806_65e-3),
    unit(VOLUME, &["m³", "m3"], 1.0),
    unit(VOLUME, &["l", "L"], 1e-3),
    unit(VOLUME, &["ml", "mL"], 1e-6),
    unit(FLOW, &["m³/s", "m3/s"], 1.0),
    unit(FLOW, &["m³/h", "m3/h"], 1.0 / 3_600.0),
    unit(FLOW, &["l/min", "L/min"], 1e-3 / 60.0),
    unit(FLOW, &["ml/min", "mL/min"], 1e-6 / 60.0),
    unit(FLOW, &["l/s", "L/s"], 1e-3),
    unit(ANGLE, &["rad"], 1.0),
    unit(ANGLE, &["°", "deg"], std::f64::consts::PI / 180.0),
    unit(ANGULAR_SPEED, &["rad/s"], 1.0),
    unit(ANGULAR_SPEED, &["°/s", "deg/s"], std::f64::consts::PI / 180.0),
    unit(ILLUMINANCE, &["lx"], 1.0),
    unit(ILLUMINANCE, &["klx"], 1e3),
    unit(IRRADIANCE, &["W/m²", "W/m2"], 1.0),
    unit(MASS_CONCENTRATION, &["kg/m³", "kg/m3", "g/l", "g/L"], 1.0),
    unit(MASS_CONCENTRATION, &["g/m³", "g/m3", "mg/l", "mg/L"], 1e-3),
    unit(MASS_CONCENTRATION, &["mg/dl", "mg/dL"], 1e-2),
    unit(MASS_CONCENTRATION, &["g/dl", "g/dL"], 10.0),
    unit(MASS_CONCENTRATION, &["mg/m³", "mg/m3"], 1e-6),
    unit(MASS_CONCENTRATION, &["µg/m³", "ug/m3"], 1e-9),
    unit(AMOUNT_CONCENTRATION, &["mol/m³", "mol/m3", "mmol/l", "mmol/L"], 1.0),
    unit(AMOUNT_CONCENTRATION, &["µmol/l", "umol/L"], 1e-3),
    unit(MAGNETIC_FIELD, &["T"], 1.0),
    unit(MAGNETIC_FIELD, &["mT"], 1e-3),
    unit(MAGNETIC_FIELD, &["µT", "uT"], 1e-6),
];

/// The units by their normalised names.
static BY_NAME: LazyLock<HashMap<String, &'static Unit>> =
    LazyLock::new(|| UNITS.iter().flat_map(|unit| unit.names.iter().map(move |name| (normal(name), unit))).collect());

/// A unit's name in the normal form NFKC of Unicode, in which both signs for micro are the same, and `℃` is `°C`.
fn normal(name: &str) -> String {
    name.trim().nfkc().collect()
}

/// A linear function from one unit to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Conversion {
    factor: f64,
    offset: f64,
}

impl Conversion {
    /// Finds the conversion between two units. Returns `None` if the numbers are the same in both, and an error in
    /// words if there is no conversion. A unit that is not in the table can only be used without a conversion.
    pub(super) fn between(from: &str, to: &str) -> Result<Option<Self>, String> {
        if from == to {
            return Ok(None);
        }
        let (source, target) = (normal(from), normal(to));
        if source == target {
            return Ok(None);
        }
        let known = |name: &String, written: &str| {
            let unit = BY_NAME.get(name).copied();
            unit.ok_or_else(|| {
                format!("cannot convert `{from}` to `{to}`: the unit `{written}` is unknown; `myaku profile units` lists those that are known")
            })
        };
        let (source, target) = (known(&source, from)?, known(&target, to)?);
        if source.quantity != target.quantity {
            return Err(format!("cannot convert `{from}` to `{to}`: they measure different quantities"));
        }
        let conversion =
            Self { factor: source.factor / target.factor, offset: (source.offset - target.offset) / target.factor };
        Ok((conversion != Self { factor: 1.0, offset: 0.0 }).then_some(conversion))
    }

    /// Converts a number into the other unit.
    pub(super) fn apply(&self, number: f64) -> f64 {
        number * self.factor + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn well_known_values_are_converted_correctly() {
        for (from, to, x, y) in [
            ("°F", "°C", 212.0, 100.0),
            ("°F", "°C", -40.0, -40.0),
            ("°C", "K", 0.0, 273.15),
            ("°C", "°F", 37.0, 98.6),
            ("mV", "V", 1_500.0, 1.5),
            ("hPa", "mmHg", 1_013.25, 760.0),
            ("kPa", "Pa", 1.0, 1_000.0),
            ("cm", "m", 181.0, 1.81),
            ("g", "kg", 250.0, 0.25),
            ("1", "%", 0.97, 97.0),
            ("Hz", "1/min", 1.2, 72.0),
            ("km/h", "m/s", 36.0, 10.0),
            ("[degF]", "Cel", 98.6, 37.0),
            ("inHg", "hPa", 29.921, 1_013.24),
            ("mg/dL", "g/L", 90.0, 0.9),
            ("ug/m3", "mg/m³", 35.0, 0.035),
            ("[kn_i]", "km/h", 10.0, 18.52),
        ] {
            let got = Conversion::between(from, to).unwrap().unwrap().apply(x);
            assert!((got - y).abs() < 1e-5 * y.abs().max(1.0), "{x} {from} is {got} {to}");
        }
    }

    #[test]
    fn names_of_the_same_unit_need_no_conversion_and_unknown_units_have_none() {
        assert_eq!(Conversion::between("bpm", "1/min"), Ok(None));
        assert_eq!(Conversion::between("mbar", "hPa"), Ok(None));
        assert_eq!(Conversion::between("steps", "steps"), Ok(None));
        // Other signs for the same: Greek mu, one sign for °C, Ohm, and those of UCUM.
        for (from, to) in [
            ("\u{3bc}V", "\u{b5}V"),
            ("\u{2103}", "°C"),
            ("\u{2126}", "Ω"),
            ("mm[Hg]", "mmHg"),
            ("m/s²", "m/s2"),
            ("{beats}/min", "bpm"),
        ] {
            assert_eq!(Conversion::between(from, to), Ok(None), "{from} {to}");
        }
        assert_eq!(
            Conversion::between("steps", "m").unwrap_err(),
            "cannot convert `steps` to `m`: the unit `steps` is unknown; `myaku profile units` lists those that are known"
        );
        assert_eq!(
            Conversion::between("kg", "m").unwrap_err(),
            "cannot convert `kg` to `m`: they measure different quantities"
        );
    }

    #[test]
    fn each_name_stands_for_one_unit() {
        for unit in UNITS {
            for name in unit.names {
                assert_eq!(BY_NAME[&normal(name)], unit, "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_converted_back_is_the_same(x in -1e6..1e6_f64) {
            let apply = |from: &str, to: &str, x| {
                Conversion::between(from, to).unwrap().map_or(x, |conversion| conversion.apply(x))
            };
            for (from, to) in UNITS.iter().flat_map(|from| UNITS.iter().map(move |to| (from, to))) {
                if from.quantity == to.quantity {
                    let (from, to) = (from.names[0], to.names[0]);
                    let back = apply(to, from, apply(from, to, x));
                    let error = (back - x).abs();
                    prop_assert!(error <= 1e-9 * x.abs().max(1e3), "{from} to {to}: {x} is {back}");
                }
            }
        }
    }
}
