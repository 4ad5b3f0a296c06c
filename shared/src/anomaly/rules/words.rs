//! Says in words what a rule has found.

use super::condition::Judgement;
use crate::alert::in_words;
use crate::device::profile::{AlertRule, Condition, Metric, StateValue};
use crate::device::reading::Value;

/// How many digits of a number are shown.
const DIGITS: i32 = 5;

/// What is wrong: `Call the doctor: body_temperature is 39.2 °C, above 38.5 °C, for 12 minutes.`
pub(super) fn begins(rule: &AlertRule, metric: &Metric, judgement: &Judgement, lasted_ms: i64) -> String {
    let (name, unit) = (metric.name.as_str(), metric.unit.as_str());
    let value = number(judgement.value.unwrap_or_default(), unit);
    let limit = number(judgement.limit.unwrap_or_default(), unit);
    let found = match &rule.when {
        Condition::Threshold(threshold) => {
            let what =
                threshold.mean_seconds.map_or(String::new(), |seconds| format!("the mean of {} of ", span(seconds)));
            // An incident that is open may be within its limit, by the hysteresis.
            let side = if threshold.above == judgement.limit && threshold.above.is_some() { "above" } else { "below" };
            format!("{what}{name} is {value}, {side} {limit}")
        }
        Condition::Change(change) => {
            format!("{name} has changed by {value} within {}, by more than {limit}", span(change.seconds))
        }
        Condition::Flat(_) => format!("{name} stays at {value}"),
        Condition::Gap(gap) => {
            let waited = in_words((judgement.value.unwrap_or_default() * 1_000.0) as i64);
            format!("readings of {name} are missing: {waited} lie between two, more than {}", span(gap.seconds))
        }
        Condition::Drift(drift) => {
            format!("{name} has moved by {value} from its mean of {}, by more than {limit}", span(drift.seconds))
        }
        Condition::State(state) => match &state.is {
            StateValue::Boolean(state) => format!("{name} is {state}"),
            StateValue::Text(state) => format!("{name} is {state:?}"),
        },
        Condition::Count(count) => {
            let found = number(judgement.value.unwrap_or_default(), "");
            format!("{name} has occurred {found} times within {}, at least {}", span(count.seconds), count.at_least)
        }
        Condition::Zone(zone) => {
            format!("{name} is {} the area {:?}", if zone.outside { "outside" } else { "inside" }, rule.name)
        }
        Condition::Forecast(forecast) => {
            let side = if forecast.below.is_some() { "below" } else { "above" };
            let is_there = forecast.below.zip(judgement.value).is_some_and(|(below, value)| value < below)
                || forecast.above.zip(judgement.value).is_some_and(|(above, value)| value > above);
            if is_there {
                format!("{name} is {value}, {side} {limit}")
            } else {
                format!("{name} is {value}, and will be {side} {limit} within {}", span(forecast.within_seconds))
            }
        }
        Condition::Score(_) => {
            let reason = judgement.score.and_then(|score| score.reason);
            format!(
                "{name} is {value}, which is unusual: {}",
                reason.map_or(String::new(), |reason| reason.to_string())
            )
        }
    };
    let lasted = if lasted_ms > 0 && !matches!(rule.when, Condition::Gap(_)) {
        format!(", for {}", in_words(lasted_ms))
    } else {
        String::new()
    };
    let message = if rule.message.is_empty() { String::new() } else { format!("{}: ", rule.message) };
    format!("{message}{found}{lasted}.")
}

/// That it is over: `fever is over: body_temperature is 37.1 °C.`
pub(super) fn ends(rule: &AlertRule, metric: &Metric, value: &Value) -> String {
    let value = match value {
        Value::Number(value) => number(*value, &metric.unit),
        Value::Boolean(value) => value.to_string(),
        Value::Text(value) => format!("{value:?}"),
        Value::Position([longitude, latitude]) => format!("at {longitude}, {latitude}"),
    };
    format!("{} is over: {} is {value}.", rule.name, metric.name)
}

/// That what was counted is too old by now.
pub(super) fn passed(rule: &AlertRule) -> String {
    format!("{} is over: its time has passed.", rule.name)
}

/// That a rule that had an incident is not in the profile any more.
pub(super) fn removed(rule: &str) -> String {
    format!("{rule} is over: the profile does not have the rule any more.")
}

/// A number of five digits with its unit.
fn number(value: f64, unit: &str) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = (DIGITS - 1 - magnitude).clamp(0, 12) as usize;
    let digits = format!("{value:.decimals$}");
    let digits = if decimals > 0 { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    if unit.is_empty() { digits.to_owned() } else { format!("{digits} {unit}") }
}

fn span(seconds: u32) -> String {
    in_words(i64::from(seconds) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_five_digits_at_most() {
        let shown = [38.300_000_000_000_004, 0.0, -0.012_345_67, 123_456.0, 2.5, 60.0].map(|value| number(value, ""));
        assert_eq!(shown, ["38.3", "0", "-0.012346", "123456", "2.5", "60"]);
        assert_eq!(number(38.25, "°C"), "38.25 °C");
    }
}
