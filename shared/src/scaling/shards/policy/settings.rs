//! Reads a policy from environment variables: `RESHARD_STREAM_GROW_ABOVE` is the setting `stream.grow_above` of the
//! file. The names are derived from the fields of the policy, so every setting has its variable.

use super::{Policy, PolicyError};
use serde_json::{Map, Value};

const PREFIX: &str = "RESHARD";

impl Policy {
    /// The policy from the variables that `lookup` returns. A variable that is not set, or is empty, has its default.
    /// Errors name the variable.
    ///
    /// ```
    /// use myaku::scaling::shards::Policy;
    /// let policy = Policy::from_lookup(|name| (name == "RESHARD_MIN_SHARDS").then(|| "4".to_owned())).unwrap();
    /// assert_eq!(policy.min_shards, 4);
    /// ```
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<PolicyError>> {
        let error_of = |field: &str, problem: String| vec![PolicyError { field: field.to_owned(), problem }];
        let defaults = serde_json::to_value(Self::default()).map_err(|error| error_of(PREFIX, error.to_string()))?;
        let lookup = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let settings = overlay(defaults, PREFIX, &lookup)?;
        let policy: Self = serde_path_to_error::deserialize(settings)
            .map_err(|error| error_of(&variable(&error.path().to_string()), error.inner().to_string()))?;
        policy.checked().map_err(|problems| {
            problems.into_iter().map(|problem| PolicyError { field: variable(&problem.field), ..problem }).collect()
        })
    }
}

/// The variable of a setting. An element of a list has the variable of the list.
fn variable(field: &str) -> String {
    let field = field.split('[').next().unwrap_or(field);
    format!("{PREFIX}_{}", field.replace('.', "_").to_uppercase())
}

/// The defaults, replaced by the values of the variables that are set.
fn overlay(default: Value, name: &str, lookup: &impl Fn(&str) -> Option<String>) -> Result<Value, Vec<PolicyError>> {
    if let Value::Object(fields) = default {
        let fields = fields.into_iter().map(|(field, value)| {
            let name = format!("{name}_{}", field.to_uppercase());
            Ok((field, overlay(value, &name, lookup)?))
        });
        return Ok(Value::Object(fields.collect::<Result<Map<_, _>, Vec<PolicyError>>>()?));
    }
    let Some(text) = lookup(name) else { return Ok(default) };
    let text = text.trim();
    match default {
        Value::Array(_) => Ok(text.split(',').map(|element| Value::from(element.trim())).collect()),
        Value::String(_) => Ok(Value::from(text)),
        _ => serde_json::from_str(text).map_err(|_| {
            let kind = if default.is_boolean() { "true or false" } else { "a number" };
            vec![PolicyError { field: name.to_owned(), problem: format!("{text:?} is not {kind}") }]
        }),
    }
}
