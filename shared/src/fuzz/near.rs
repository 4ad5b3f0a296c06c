//! JSON that is the same but for the last digit of a number: the parser reads a double of seventeen digits to its neighbour
//! now and then, which no sensor's error notices.

use serde_json::Value;

/// Whether both are the same, numbers up to their last digits.
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
