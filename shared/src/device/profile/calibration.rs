//! Calculates what a sensor measured from its signal.

use super::document::{Beyond, CalibrationDocument, DividerDocument, Side, Voltage};
use super::value::Fault;
use crate::lake::dead_letter::Reason;

/// 0 °C in kelvin.
const ZERO_CELSIUS: f64 = 273.15;
/// The greatest number of a polynomial's coefficients.
const MAX_COEFFICIENTS: usize = 16;
/// The greatest number of a table's points.
const MAX_POINTS: usize = 1_024;

/// A checked calibration.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Calibration {
    /// The coefficients, from the constant up.
    Polynomial(Vec<f64>),
    Table {
        points: Vec<[f64; 2]>,
        beyond: Beyond,
    },
    Thermistor {
        divider: DividerDocument,
        curve: Curve,
    },
}

/// The curve of a thermistor: 1/T = a + b ln R + c (ln R)³, T in kelvin and R in ohms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curve {
    a: f64,
    b: f64,
    c: f64,
}

impl Calibration {
    /// Compiles a calibration. Reports each problem with its key.
    pub(super) fn compile(document: &CalibrationDocument, mut problem: impl FnMut(&str, String)) -> Self {
        match document {
            CalibrationDocument::Linear { factor, offset } => {
                if *factor == 0.0 {
                    problem("factor", "must not be 0: every reading would be the same".to_owned());
                }
                Self::Polynomial(vec![*offset, *factor])
            }
            CalibrationDocument::Polynomial { coefficients } => {
                if !(2..=MAX_COEFFICIENTS).contains(&coefficients.len()) {
                    problem("coefficients", format!("must list from 2 to {MAX_COEFFICIENTS} coefficients"));
                } else if coefficients[1..].iter().all(|coefficient| *coefficient == 0.0) {
                    let words = "all after the first are 0: every reading would be the same";
                    problem("coefficients", words.to_owned());
                }
                Self::Polynomial(coefficients.clone())
            }
            CalibrationDocument::Table { points, beyond } => {
                if !(2..=MAX_POINTS).contains(&points.len()) {
                    problem("points", format!("must list from 2 to {MAX_POINTS} points"));
                }
                if let Some(at) = points.windows(2).position(|pair| pair[0][0] >= pair[1][0]) {
                    let key = format!("points[{}]", at + 1);
                    problem(&key, "its first number must be greater than that of the point before".to_owned());
                }
                Self::Table { points: points.clone(), beyond: *beyond }
            }
            CalibrationDocument::ThermistorBeta { divider, beta, nominal_ohms, nominal_celsius } => {
                check_divider(divider, &mut problem);
                for (key, value) in [("beta", *beta), ("nominalOhms", *nominal_ohms)] {
                    if value <= 0.0 {
                        problem(key, "must be greater than 0".to_owned());
                    }
                }
                let nominal = nominal_celsius + ZERO_CELSIUS;
                if nominal <= 0.0 {
                    problem("nominalCelsius", "must be greater than -273.15".to_owned());
                }
                // 1/T = 1/T₀ + (ln R - ln R₀)/β is Steinhart and Hart's equation without the cubic term.
                let curve = Curve { a: 1.0 / nominal - nominal_ohms.ln() / beta, b: 1.0 / beta, c: 0.0 };
                Self::Thermistor { divider: *divider, curve }
            }
            CalibrationDocument::SteinhartHart { divider, a, b, c } => {
                check_divider(divider, &mut problem);
                if *b <= 0.0 {
                    problem("b", "must be greater than 0: an NTC has less resistance when it is hotter".to_owned());
                }
                Self::Thermistor { divider: *divider, curve: Curve { a: *a, b: *b, c: *c } }
            }
        }
    }

    /// Whether the result is in degrees Celsius, whatever the unit of the signal.
    pub(super) const fn gives_celsius(&self) -> bool {
        matches!(self, Self::Thermistor { .. })
    }

    /// Calculates what was measured from the signal `x`.
    pub(super) fn apply(&self, x: f64) -> Result<f64, Fault> {
        match self {
            Self::Polynomial(coefficients) => Ok(coefficients.iter().rev().fold(0.0, |sum, next| sum * x + next)),
            Self::Table { points, beyond } => interpolate(points, *beyond, x),
            Self::Thermistor { divider, curve } => curve.celsius(resistance(divider, x)?),
        }
    }
}

fn check_divider(divider: &DividerDocument, problem: &mut impl FnMut(&str, String)) {
    for (key, value) in [("divider.supplyVolts", divider.supply_volts), ("divider.seriesOhms", divider.series_ohms)] {
        if value <= 0.0 {
            problem(key, "must be greater than 0".to_owned());
        }
    }
}

fn interpolate(points: &[[f64; 2]], beyond: Beyond, x: f64) -> Result<f64, Fault> {
    let (Some([first, low]), Some([last, high])) = (points.first(), points.last()) else {
        return Err(out_of_range("the table is empty".to_owned()));
    };
    if x < *first || x > *last {
        match beyond {
            Beyond::Reject => {
                return Err(out_of_range(format!("{x} is outside the calibration's table, {first} to {last}")));
            }
            Beyond::Clamp => return Ok(if x < *first { *low } else { *high }),
            Beyond::Extrapolate => {}
        }
    }
    // The line between the two points around x, or the first or last line.
    let right = points.partition_point(|[at, _]| *at < x).clamp(1, points.len() - 1);
    let ([x0, y0], [x1, y1]) = (points[right - 1], points[right]);
    let share = (x - x0) / (x1 - x0);
    // In this form the result at both points is exact.
    Ok(y0 * (1.0 - share) + y1 * share)
}

/// Calculates the thermistor's resistance in ohms from the divider's voltage.
fn resistance(divider: &DividerDocument, input: f64) -> Result<f64, Fault> {
    let volts = if divider.input == Voltage::Millivolts { input / 1_000.0 } else { input };
    let supply = divider.supply_volts;
    if volts <= 0.0 || volts >= supply {
        return Err(out_of_range(format!(
            "the divider's voltage is {volts} V, not between 0 and {supply} V: the thermistor is open or shorted"
        )));
    }
    Ok(match divider.thermistor {
        Side::Ground => divider.series_ohms * volts / (supply - volts),
        Side::Supply => divider.series_ohms * (supply - volts) / volts,
    })
}

impl Curve {
    fn celsius(self, ohms: f64) -> Result<f64, Fault> {
        let ln = ohms.ln();
        let inverse = self.a + self.b * ln + self.c * ln * ln * ln;
        if inverse > 0.0 && inverse.is_finite() {
            Ok(1.0 / inverse - ZERO_CELSIUS)
        } else {
            Err(out_of_range(format!("the calibration has no temperature for a resistance of {ohms} ohms")))
        }
    }
}

const fn out_of_range(detail: String) -> Fault {
    Fault::new(Reason::OutOfRange, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUPPLY: f64 = 3.3;
    const SERIES: f64 = 10_000.0;

    fn compile(json: serde_json::Value) -> Calibration {
        let document = serde_json::from_value(json).unwrap();
        Calibration::compile(&document, |key, words| panic!("{key}: {words}"))
    }

    fn problems(json: serde_json::Value) -> Vec<String> {
        let mut problems = Vec::new();
        let document = serde_json::from_value(json).unwrap();
        Calibration::compile(&document, |key, words| problems.push(format!("{key}: {words}")));
        problems
    }

    fn divider(side: &str) -> serde_json::Value {
        serde_json::json!({"supplyVolts": SUPPLY, "seriesOhms": SERIES, "thermistor": side})
    }

    fn beta(side: &str) -> Calibration {
        compile(
            serde_json::json!({"type": "thermistor-beta", "divider": divider(side), "beta": 3950, "nominalOhms": 10000}),
        )
    }

    /// The divider's voltage with a thermistor of `ohms`, by Ohm's law.
    fn volts(ohms: f64, side: &str) -> f64 {
        if side == "ground" { SUPPLY * ohms / (SERIES + ohms) } else { SUPPLY * SERIES / (SERIES + ohms) }
    }

    #[test]
    fn at_half_the_supply_a_thermistor_that_equals_its_resistor_has_its_nominal_temperature() {
        for side in ["ground", "supply"] {
            assert!((beta(side).apply(SUPPLY / 2.0).unwrap() - 25.0).abs() < 1e-9);
        }
        // Common coefficients of a 10 kΩ NTC. Its table has 25.0 °C at 10 kΩ and 0 °C at 32,650 Ω.
        let usual = serde_json::json!({"type": "steinhart-hart", "divider": divider("ground"),
            "a": 0.001_129_148, "b": 0.000_234_125, "c": 0.000_000_087_674_1});
        assert!((compile(usual.clone()).apply(1.65).unwrap() - 25.0).abs() < 0.05);
        assert!(compile(usual).apply(volts(32_650.0, "ground")).unwrap().abs() < 0.05);
    }

    #[test]
    fn a_divider_can_be_read_in_millivolts() {
        let mut divider = divider("ground");
        divider["input"] = "mV".into();
        let json =
            serde_json::json!({"type": "thermistor-beta", "divider": divider, "beta": 3950, "nominalOhms": 10000});
        assert!((compile(json).apply(1_650.0).unwrap() - 25.0).abs() < 1e-9);
    }

    #[test]
    fn an_open_or_shorted_thermistor_is_out_of_range() {
        for volts in [0.0, -0.1, SUPPLY, 5.0] {
            let fault = beta("ground").apply(volts).unwrap_err();
            assert_eq!(fault.reason, Reason::OutOfRange);
            assert!(fault.detail.contains("open or shorted"), "{}", fault.detail);
        }
    }

    #[test]
    fn a_table_rejects_clamps_or_extrapolates_outside_its_points() {
        let table = |beyond: &str| {
            compile(serde_json::json!({"type": "table", "points": [[0, 10], [1, 20], [3, 0]], "beyond": beyond}))
        };
        assert_eq!(table("reject").apply(2.0), Ok(10.0));
        assert_eq!(table("reject").apply(3.0), Ok(0.0));
        assert_eq!(table("reject").apply(3.1).unwrap_err().reason, Reason::OutOfRange);
        assert_eq!((table("clamp").apply(-5.0), table("clamp").apply(9.0)), (Ok(10.0), Ok(0.0)));
        assert_eq!((table("extrapolate").apply(-1.0), table("extrapolate").apply(4.0)), (Ok(0.0), Ok(-10.0)));
    }

    #[test]
    fn the_problems_of_a_calibration_are_reported_by_key() {
        assert_eq!(
            problems(serde_json::json!({"type": "linear", "factor": 0})),
            ["factor: must not be 0: every reading would be the same"]
        );
        assert_eq!(
            problems(serde_json::json!({"type": "polynomial", "coefficients": [1]})),
            ["coefficients: must list from 2 to 16 coefficients"]
        );
        assert_eq!(
            problems(serde_json::json!({"type": "table", "points": [[0, 1], [2, 3], [2, 4]]})),
            ["points[2]: its first number must be greater than that of the point before"]
        );
        let divider = serde_json::json!({"supplyVolts": 0, "seriesOhms": -1, "thermistor": "ground"});
        let beta = serde_json::json!({"type": "thermistor-beta", "divider": divider, "beta": 0, "nominalOhms": 1,
            "nominalCelsius": -300});
        assert_eq!(
            problems(beta),
            [
                "divider.supplyVolts: must be greater than 0",
                "divider.seriesOhms: must be greater than 0",
                "beta: must be greater than 0",
                "nominalCelsius: must be greater than -273.15",
            ]
        );
        let misspelt = serde_json::json!({"type": "linear", "factor": 1, "ofset": 2});
        let error = serde_json::from_value::<CalibrationDocument>(misspelt).unwrap_err();
        assert!(error.to_string().contains("ofset"), "{error}");
    }

    proptest! {
        #[test]
        fn the_beta_calibration_inverts_the_thermistors_law(celsius in -60.0..150.0_f64, ground: bool) {
            let side = if ground { "ground" } else { "supply" };
            // R = R₀ exp(β (1/T - 1/T₀))
            let ohms = 10_000.0 * (3_950.0 * (1.0 / (celsius + 273.15) - 1.0 / 298.15)).exp();
            let got = beta(side).apply(volts(ohms, side)).unwrap();
            prop_assert!((got - celsius).abs() < 1e-6, "{celsius} came back as {got}");
        }

        #[test]
        fn a_hotter_thermistor_reads_lower_towards_ground_and_higher_towards_the_supply(
            low in 0.01..3.28_f64, step in 1e-6..0.01_f64,
        ) {
            let steinhart = |side| compile(serde_json::json!({"type": "steinhart-hart", "divider": divider(side),
                "a": 0.001_129_148, "b": 0.000_234_125, "c": 0.000_000_087_674_1}));
            for calibration in [beta("ground"), steinhart("ground")] {
                prop_assert!(calibration.apply(low).unwrap() > calibration.apply(low + step).unwrap());
            }
            for calibration in [beta("supply"), steinhart("supply")] {
                prop_assert!(calibration.apply(low).unwrap() < calibration.apply(low + step).unwrap());
            }
        }

        #[test]
        fn an_ascending_table_ascends_and_with_its_columns_exchanged_it_is_its_inverse(
            steps in prop::collection::vec((0.1..10.0_f64, 0.1..10.0_f64), 2..20), share in 0.0..=1.0_f64,
        ) {
            let mut at = [0.0, 0.0];
            let points: Vec<[f64; 2]> = steps.iter().map(|(x, y)| { at = [at[0] + x, at[1] + y]; at }).collect();
            let mirrored: Vec<[f64; 2]> = points.iter().map(|[x, y]| [*y, *x]).collect();
            let (first, last) = (points[0][0], points[points.len() - 1][0]);
            let x = first + (last - first) * share;
            let y = interpolate(&points, Beyond::Extrapolate, x).unwrap();
            prop_assert!(interpolate(&points, Beyond::Extrapolate, x + 0.01).unwrap() > y);
            let back = interpolate(&mirrored, Beyond::Extrapolate, y).unwrap();
            prop_assert!((back - x).abs() < 1e-9, "{x} came back as {back}");
        }

        #[test]
        fn a_polynomial_is_the_sum_of_its_terms(
            coefficients in prop::collection::vec(-10.0..10.0_f64, 2..6), x in -5.0..5.0_f64,
        ) {
            let expected: f64 = (0..).zip(&coefficients).map(|(power, coefficient)| coefficient * x.powi(power)).sum();
            let got = Calibration::Polynomial(coefficients).apply(x).unwrap();
            prop_assert!((got - expected).abs() < 1e-6);
        }
    }
}
