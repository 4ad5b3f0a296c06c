//! Parameters: defaults, and what their declaration allows.

use super::TemplateError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The value of every declared parameter: a text, or a list of texts.
pub(super) fn values(
    declared: Option<&Map<String, Value>>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    let empty = Map::new();
    let declared = declared.unwrap_or(&empty);
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(TemplateError::new(format!("Parameters.{unknown}"), "is not declared by the template"));
    }
    declared.iter().map(|(name, declaration)| Ok((name.clone(), value(name, declaration, given.get(name))?))).collect()
}

fn value(name: &str, declaration: &Value, given: Option<&String>) -> Result<Value, TemplateError> {
    let wrong = |message: String| TemplateError::new(format!("Parameters.{name}"), message);
    let text = given.cloned().or_else(|| declaration.get("Default").and_then(plain));
    let text = text.ok_or_else(|| wrong("has no default and was given no value".into()))?;
    if let Some(allowed) = declaration.get("AllowedValues").and_then(Value::as_array) {
        if !allowed.iter().filter_map(plain).any(|allowed| allowed == text) {
            let allowed: Vec<_> = allowed.iter().filter_map(plain).collect();
            return Err(wrong(format!("{text:?} is none of {}", allowed.join(", "))));
        }
    }
    let bound = |bound: &str| declaration.get(bound).and_then(plain).and_then(|bound| bound.parse::<f64>().ok());
    let length = text.chars().count() as f64;
    if bound("MinLength").is_some_and(|least| length < least) || bound("MaxLength").is_some_and(|most| length > most) {
        return Err(wrong(format!("{text:?} is too short or too long")));
    }
    match declaration.get("Type").and_then(Value::as_str) {
        Some("String") => Ok(text.into()),
        Some("Number") => {
            let number: f64 = text.parse().map_err(|_| wrong(format!("{text:?} is no number")))?;
            if bound("MinValue").is_some_and(|least| number < least) {
                return Err(wrong(format!("{text} is below MinValue")));
            }
            if bound("MaxValue").is_some_and(|most| number > most) {
                return Err(wrong(format!("{text} is above MaxValue")));
            }
            Ok(text.into())
        }
        Some(kind) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
            Ok(text.split(',').map(|item| Value::from(item.trim())).collect())
        }
        Some(kind) if kind.starts_with("AWS::EC2::") => Ok(text.into()),
        Some(kind) => Err(wrong(format!("the type {kind} is not known here"))),
        None => Err(wrong("has no Type".into())),
    }
}

/// A scalar as text, as CloudFormation treats all of them.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
