//! Compares JSON, and ignores differences in the last digit of a number.
//!
//! The parser sometimes parses a number of seventeen digits as the next double. Compared with the errors of sensors
//! this does not matter.

use serde_json::Value;

/// Whether both are the same, apart from the last digits of numbers.
pub(super) fn near(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| near(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|there| near(value, there)))
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
            (one - other).abs() <= one.abs() * 1e-15 + f64::MIN_POSITIVE
        }
        _ => one == other,
    }
}
