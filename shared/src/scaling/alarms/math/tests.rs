use super::*;

/// `a` and `b` over four periods; `a` misses the second, `b` the last two.
struct Two;

impl Scope for Two {
    fn period_s(&self) -> f64 {
        60.0
    }

    fn query(&self, id: &str) -> Result<Value, MathError> {
        match id {
            "a" => Ok(Value::Series(vec![Some(6.0), None, Some(2.0), Some(0.0)])),
            "b" => Ok(Value::Series(vec![Some(3.0), Some(4.0), None, None])),
            _ => Err(MathError::Evaluation(format!("{id} is unknown"))),
        }
    }

    fn metrics(&self) -> Result<Vec<Value>, MathError> {
        Ok(vec![self.query("a")?, self.query("b")?])
    }
}

fn evaluated(text: &str) -> Value {
    text.parse::<Expression>().and_then(|expression| expression.evaluate(&Two)).unwrap()
}

fn series(text: &str) -> Vec<Option<f64>> {
    evaluated(text).into_series().unwrap()
}

#[test]
fn products_bind_tighter_than_sums_then_comparisons_then_and_then_or() {
    assert_eq!(evaluated("1 + 2 * 3 - 4 / 2"), Value::Scalar(5.0));
    assert_eq!(evaluated("10 - 2 - 3"), Value::Scalar(5.0));
    assert_eq!(evaluated("-(1 + 2) * 1e-1 < 0 AND 2 >= 2 && 1 != 2"), Value::Scalar(1.0));
    assert_eq!(evaluated("1 == 2 OR 0 || 3 > 2"), Value::Scalar(1.0));
}

#[test]
fn a_value_missing_on_one_side_and_a_division_by_zero_are_missing_in_the_result() {
    assert_eq!(series("a / b"), [Some(2.0), None, None, None]);
    assert_eq!(series("6 / a"), [Some(1.0), None, Some(3.0), None]);
}

#[test]
fn fill_replaces_missing_values_by_a_number_or_the_last_value() {
    assert_eq!(series("FILL(a, 0)"), [Some(6.0), Some(0.0), Some(2.0), Some(0.0)]);
    assert_eq!(series("FILL(b, REPEAT)"), [Some(3.0), Some(4.0), Some(4.0), Some(4.0)]);
}

#[test]
fn functions_over_several_series_leave_missing_values_out() {
    assert_eq!(series("MAX([a, b])"), [Some(6.0), Some(4.0), Some(2.0), Some(0.0)]);
    assert_eq!(series("MIN(METRICS())"), [Some(3.0), Some(4.0), Some(2.0), Some(0.0)]);
    assert_eq!(evaluated("MAX(a)"), Value::Scalar(6.0));
    assert_eq!(series("SUM([a, b]) / PERIOD(a)"), [Some(0.15), Some(4.0 / 60.0), Some(2.0 / 60.0), Some(0.0)]);
    assert_eq!(evaluated("AVG(b)"), Value::Scalar(3.5));
}

#[test]
fn the_condition_of_the_templates_alarm_is_evaluated_period_by_period() {
    let condition = "IF(FILL(a, 0) > 0 AND FILL(b, 0) == 0, 1, 0)";
    assert_eq!(series(condition), [Some(0.0), Some(0.0), Some(1.0), Some(0.0)]);
    assert_eq!(condition.parse::<Expression>().unwrap().ids(), ["a", "b"]);
}

#[test]
fn an_unsupported_function_is_an_error_that_names_it() {
    let error = |text: &str| text.parse::<Expression>().unwrap_err().to_string();
    assert_eq!(
        error("SELECT SUM(Failure) FROM SCHEMA(\"AWS/IoT\", RuleName)"),
        "a Metrics Insights query (SELECT …) is not supported here"
    );
    assert_eq!(error("ANOMALY_DETECTION_BAND(a)"), "the function ANOMALY_DETECTION_BAND is not supported here");
}

#[test]
fn text_that_is_not_an_expression_is_an_error_that_says_where() {
    for (text, problem) in [
        ("", "the expression ends too early"),
        ("a +", "the expression ends too early"),
        ("(a", "the expression ends too early"),
        ("a b", "b is out of place"),
        ("a ; b", "';' cannot be part of an expression"),
        ("1.2.3", "1.2.3 is not a number"),
        ("MAX([a, b)", "a parenthesis is out of place"),
    ] {
        assert_eq!(text.parse::<Expression>().unwrap_err(), MathError::Syntax(problem.to_owned()), "{text:?}");
    }
    assert!("(".repeat(1_000).parse::<Expression>().is_err());
    let sum = format!("a{}", " + a".repeat(1_000_000));
    assert_eq!(sum.parse::<Expression>().unwrap_err().to_string(), "the expression has more than 1000 tokens");
    assert!("IF(a, 1)".parse::<Expression>().unwrap().evaluate(&Two).is_err());
}
