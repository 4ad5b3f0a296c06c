//! Matches JSON values against patterns, as Amazon `EventBridge` defines them and Lambda uses them.

use super::error::FilterError;
use serde_json::Value;

/// A pattern for one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    /// All of these fields must match.
    Fields(Vec<(String, Pattern)>),
    /// `$or`: one of these alternatives must match.
    Either(Vec<Pattern>),
    /// One of these rules must match.
    Rules(Vec<Rule>),
}

/// A rule for a leaf of the JSON tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    Suffix(String),
    Exists(bool),
    AnythingBut(Vec<Rule>),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    pub(super) fn parse(path: &str, value: &Value) -> Result<Self, FilterError> {
        match value {
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| {
                    let pattern = match (name.as_str(), value) {
                        ("$or", Value::Array(alternatives)) => {
                            let alternatives = alternatives.iter().map(|value| Self::parse(path, value));
                            Self::Either(alternatives.collect::<Result<_, _>>()?)
                        }
                        _ => Self::parse(&format!("{path}.{name}"), value)?,
                    };
                    Ok((name.clone(), pattern))
                };
                fields.iter().map(field).collect::<Result<_, _>>().map(Self::Fields)
            }
            Value::Array(rules) if rules.is_empty() => {
                Err(FilterError::invalid(path, "a list of rules must not be empty"))
            }
            Value::Array(rules) => {
                rules.iter().map(|rule| Rule::parse(path, rule)).collect::<Result<_, _>>().map(Self::Rules)
            }
            _ => Err(FilterError::invalid(path, "expected a list of rules or an object")),
        }
    }

    pub(super) fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Fields(fields) => fields.iter().all(|(name, pattern)| match pattern {
                Self::Either(_) => pattern.matches(value),
                _ => pattern.matches(value.and_then(|value| value.get(name))),
            }),
            Self::Either(alternatives) => alternatives.iter().any(|pattern| pattern.matches(value)),
            Self::Rules(rules) => match value {
                // A list matches if one of its elements matches.
                Some(Value::Array(elements)) => {
                    rules.iter().any(|rule| elements.iter().any(|element| rule.matches(Some(element))))
                }
                _ => rules.iter().any(|rule| rule.matches(value)),
            },
        }
    }
}

impl Rule {
    fn parse(path: &str, value: &Value) -> Result<Self, FilterError> {
        let Value::Object(operator) = value else {
            return if value.is_array() {
                Err(FilterError::invalid(path, "a rule must not be a list"))
            } else {
                Ok(Self::Equals(value.clone()))
            };
        };
        let mut operators = operator.iter();
        let (Some((name, operand)), None) = (operators.next(), operators.next()) else {
            return Err(FilterError::invalid(path, "a rule must have exactly one operator"));
        };
        let text = || {
            let text = operand.as_str().map(str::to_owned);
            text.ok_or_else(|| FilterError::invalid(path, &format!("{name} needs a string")))
        };
        match name.as_str() {
            "prefix" => text().map(Self::Prefix),
            "suffix" => text().map(Self::Suffix),
            "equals-ignore-case" => text().map(Self::EqualsIgnoreCase),
            "exists" => operand
                .as_bool()
                .map(Self::Exists)
                .ok_or_else(|| FilterError::invalid(path, "exists needs true or false")),
            "numeric" => comparisons(operand)
                .map(Self::Numeric)
                .ok_or_else(|| FilterError::invalid(path, "numeric needs comparisons and numbers in turn")),
            "anything-but" => {
                let excluded: &[Value] = operand.as_array().map_or(std::slice::from_ref(operand), Vec::as_slice);
                let rules = excluded.iter().map(|rule| Self::parse(path, rule));
                rules.collect::<Result<_, _>>().map(Self::AnythingBut)
            }
            other => Err(FilterError::invalid(path, &format!("unknown operator {other}"))),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return *self == Self::Exists(false) };
        let text = value.as_str();
        match self {
            Self::Equals(expected) => value == expected,
            Self::EqualsIgnoreCase(expected) => text.is_some_and(|text| text.to_lowercase() == expected.to_lowercase()),
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::Exists(expected) => *expected,
            Self::AnythingBut(excluded) => !excluded.iter().any(|rule| rule.matches(Some(value))),
            Self::Numeric(comparisons) => value
                .as_f64()
                .is_some_and(|number| comparisons.iter().all(|(comparison, bound)| comparison.holds(number, *bound))),
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            // Both sides are parsed in the same way, so equal decimal text gives equal numbers.
            #[expect(clippy::float_cmp, reason = "equality is what the pattern asks for")]
            Self::Equal => number == bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

fn comparisons(operand: &Value) -> Option<Vec<(Comparison, f64)>> {
    let parts = operand.as_array().filter(|parts| !parts.is_empty())?;
    let pair = |pair: &[Value]| {
        let comparison = match pair.first()?.as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some((comparison, pair.get(1)?.as_f64()?))
    };
    parts.chunks(2).map(pair).collect()
}
