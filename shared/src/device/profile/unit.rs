//! Converts numbers between units of the same quantity.
//!
//! A linear function leads from each unit to the base unit of its quantity: `base = factor · x + offset`. Factors are
//! exact by definition (SI Brochure, 9th edition; NIST SP 811 for those outside SI), except for mmHg, which has its
//! conventional value.

/// The quantity that a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Temperature,
    Voltage,
    Current,
    Resistance,
    Pressure,
    Length,
    Mass,
    Ratio,
    Time,
    Frequency,
    Power,
    Energy,
    Speed,
    Volume,
    Angle,
}

/// Names, quantity, factor and offset.
type Row = (&'static [&'static str], Quantity, f64, f64);

const UNITS: &[Row] = &[
    (&["°C", "degC", "Cel"], Quantity::Temperature, 1.0, 273.15),
    (&["°F", "degF"], Quantity::Temperature, 5.0 / 9.0, 459.67 * 5.0 / 9.0),
    (&["K"], Quantity::Temperature, 1.0, 0.0),
    (&["V"], Quantity::Voltage, 1.0, 0.0),
    (&["mV"], Quantity::Voltage, 1e-3, 0.0),
    (&["µV", "uV"], Quantity::Voltage, 1e-6, 0.0),
    (&["kV"], Quantity::Voltage, 1e3, 0.0),
    (&["A"], Quantity::Current, 1.0, 0.0),
    (&["mA"], Quantity::Current, 1e-3, 0.0),
    (&["µA", "uA"], Quantity::Current, 1e-6, 0.0),
    (&["Ω", "Ohm", "ohm"], Quantity::Resistance, 1.0, 0.0),
    (&["kΩ", "kOhm", "kohm"], Quantity::Resistance, 1e3, 0.0),
    (&["Pa"], Quantity::Pressure, 1.0, 0.0),
    (&["hPa", "mbar"], Quantity::Pressure, 100.0, 0.0),
    (&["kPa"], Quantity::Pressure, 1e3, 0.0),
    (&["MPa"], Quantity::Pressure, 1e6, 0.0),
    (&["bar"], Quantity::Pressure, 1e5, 0.0),
    (&["mmHg"], Quantity::Pressure, 133.322_387_415, 0.0),
    (&["psi"], Quantity::Pressure, 6_894.757_293_168, 0.0),
    (&["m"], Quantity::Length, 1.0, 0.0),
    (&["mm"], Quantity::Length, 1e-3, 0.0),
    (&["cm"], Quantity::Length, 1e-2, 0.0),
    (&["km"], Quantity::Length, 1e3, 0.0),
    (&["in"], Quantity::Length, 0.0254, 0.0),
    (&["ft"], Quantity::Length, 0.3048, 0.0),
    (&["kg"], Quantity::Mass, 1.0, 0.0),
    (&["g"], Quantity::Mass, 1e-3, 0.0),
    (&["mg"], Quantity::Mass, 1e-6, 0.0),
    (&["lb"], Quantity::Mass, 0.453_592_37, 0.0),
    (&["1"], Quantity::Ratio, 1.0, 0.0),
    (&["%"], Quantity::Ratio, 1e-2, 0.0),
    (&["‰"], Quantity::Ratio, 1e-3, 0.0),
    (&["ppm"], Quantity::Ratio, 1e-6, 0.0),
    (&["s"], Quantity::Time, 1.0, 0.0),
    (&["ms"], Quantity::Time, 1e-3, 0.0),
    (&["min"], Quantity::Time, 60.0, 0.0),
    (&["h"], Quantity::Time, 3_600.0, 0.0),
    (&["d"], Quantity::Time, 86_400.0, 0.0),
    (&["Hz", "1/s"], Quantity::Frequency, 1.0, 0.0),
    (&["kHz"], Quantity::Frequency, 1e3, 0.0),
    (&["1/min", "bpm", "rpm"], Quantity::Frequency, 1.0 / 60.0, 0.0),
    (&["1/h"], Quantity::Frequency, 1.0 / 3_600.0, 0.0),
    (&["W"], Quantity::Power, 1.0, 0.0),
    (&["mW"], Quantity::Power, 1e-3, 0.0),
    (&["kW"], Quantity::Power, 1e3, 0.0),
    (&["J"], Quantity::Energy, 1.0, 0.0),
    (&["kJ"], Quantity::Energy, 1e3, 0.0),
    (&["Wh"], Quantity::Energy, 3_600.0, 0.0),
    (&["kWh"], Quantity::Energy, 3.6e6, 0.0),
    (&["m/s"], Quantity::Speed, 1.0, 0.0),
    (&["km/h"], Quantity::Speed, 1.0 / 3.6, 0.0),
    (&["m³", "m3"], Quantity::Volume, 1.0, 0.0),
    (&["l", "L"], Quantity::Volume, 1e-3, 0.0),
    (&["ml", "mL"], Quantity::Volume, 1e-6, 0.0),
    (&["rad"], Quantity::Angle, 1.0, 0.0),
    (&["°", "deg"], Quantity::Angle, std::f64::consts::PI / 180.0, 0.0),
];

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
        let row = |unit: &str| {
            let row = UNITS.iter().find(|(names, ..)| names.contains(&unit));
            row.ok_or_else(|| format!("cannot convert `{from}` to `{to}`: the unit `{unit}` is unknown"))
        };
        let (source, target) = (row(from)?, row(to)?);
        if source.1 != target.1 {
            return Err(format!("cannot convert `{from}` to `{to}`: they measure different quantities"));
        }
        let conversion = Self { factor: source.2 / target.2, offset: (source.3 - target.3) / target.2 };
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
        assert_eq!(
            Conversion::between("steps", "m").unwrap_err(),
            "cannot convert `steps` to `m`: the unit `steps` is unknown"
        );
        assert_eq!(
            Conversion::between("kg", "m").unwrap_err(),
            "cannot convert `kg` to `m`: they measure different quantities"
        );
    }

    #[test]
    fn each_name_is_listed_once() {
        let mut names: Vec<_> = UNITS.iter().flat_map(|(names, ..)| *names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    proptest! {
        #[test]
        fn a_number_that_is_converted_back_is_the_same(x in -1e6..1e6_f64) {
            let apply = |from: &str, to: &str, x| {
                Conversion::between(from, to).unwrap().map_or(x, |conversion| conversion.apply(x))
            };
            for (from, to) in UNITS.iter().flat_map(|from| UNITS.iter().map(move |to| (from, to))) {
                if from.1 == to.1 {
                    let back = apply(to.0[0], from.0[0], apply(from.0[0], to.0[0], x));
                    let error = (back - x).abs();
                    prop_assert!(error <= 1e-9 * x.abs().max(1e3), "{} to {}: {x} is {back}", from.0[0], to.0[0]);
                }
            }
        }
    }
}
