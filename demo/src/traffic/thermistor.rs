//! Converts a temperature to the volts that a node measures: the calibrations of
//! `events/profiles/thermistor-node.json`, inverted, so that the expected temperature is known before the code under
//! test computes it.

/// 0 °C in kelvin.
const ZERO_CELSIUS: f64 = 273.15;
/// The supply of both dividers.
const SUPPLY_VOLTS: f64 = 3.3;
/// The series resistor of both dividers.
const SERIES_OHMS: f64 = 10_000.0;
/// Steinhart and Hart's coefficients of the room's thermistor, in 1/K.
const A: f64 = 0.001_129_148;
const B: f64 = 0.000_234_125;
const C: f64 = 0.000_000_087_674_1;
/// β of the water's thermistor in kelvin, and its resistance at 25 °C.
const BETA: f64 = 3950.0;
const NOMINAL_OHMS: f64 = 10_000.0;
const NOMINAL_CELSIUS: f64 = 25.0;

/// The volts across the room's thermistor, which stands between the measured point and ground.
pub(super) fn room_volts(celsius: f64) -> f64 {
    let ohms = steinhart_hart_ohms(celsius);
    SUPPLY_VOLTS * ohms / (ohms + SERIES_OHMS)
}

/// The volts across the series resistor of the water's thermistor, which stands between the supply and the measured
/// point.
pub(super) fn water_volts(celsius: f64) -> f64 {
    let kelvin = celsius + ZERO_CELSIUS;
    let ohms = NOMINAL_OHMS * (BETA * (1.0 / kelvin - 1.0 / (NOMINAL_CELSIUS + ZERO_CELSIUS))).exp();
    SUPPLY_VOLTS * SERIES_OHMS / (ohms + SERIES_OHMS)
}

/// `1/T = A + B x + C x³` solved for `x = ln R` by Cardano's formula: the cubic has one real root, B and C being
/// positive.
fn steinhart_hart_ohms(celsius: f64) -> f64 {
    let p = B / C;
    let q = (A - 1.0 / (celsius + ZERO_CELSIUS)) / C;
    let root = (q * q / 4.0 + p * p * p / 27.0).sqrt();
    ((root - q / 2.0).cbrt() - (root + q / 2.0).cbrt()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_steinhart_and_hart_satisfies_the_equation() {
        for tenth in -200_i32..600 {
            let celsius = f64::from(tenth) / 10.0;
            let x = steinhart_hart_ohms(celsius).ln();
            let back = 1.0 / (A + B * x + C * x.powi(3)) - ZERO_CELSIUS;
            assert!((back - celsius).abs() < 1e-8, "{celsius} came back as {back}");
        }
    }

    #[test]
    fn both_dividers_read_half_the_supply_where_the_thermistor_equals_the_resistor() {
        assert!((water_volts(25.0) - 1.65).abs() < 1e-12);
        assert!((room_volts(25.0) - 1.65).abs() < 0.01);
    }

    #[test]
    fn a_hotter_thermistor_reads_less_towards_ground_and_more_towards_the_supply() {
        assert!(room_volts(40.0) < room_volts(10.0));
        assert!(water_volts(40.0) > water_volts(10.0));
    }
}
