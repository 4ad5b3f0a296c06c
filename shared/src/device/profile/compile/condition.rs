//! Compiles a condition on a value of the message.

use super::super::condition::Condition;
use super::super::document::{ConditionDocument, Source};
use super::super::problem::Scope;
use super::reader::Reader;

/// Compiles the condition of a record or of a field.
pub(super) fn compile(document: &ConditionDocument, reader: &Reader, scope: &mut Scope<'_>) -> Option<Condition> {
    of(&document.field, document.equals.as_ref(), reader, scope)
}

/// Compiles a condition, whose keys are `field` and `equals`.
pub(super) fn of(
    field: &Source,
    equals: Option<&serde_json::Value>,
    reader: &Reader,
    scope: &mut Scope<'_>,
) -> Option<Condition> {
    let expected = match equals {
        None => None,
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(value @ serde_json::Value::Bool(_)) => Some(value.to_string()),
        Some(serde_json::Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        Some(_) => {
            scope.report("equals", "must be a text, a whole number or a boolean");
            None
        }
    };
    let getter = reader.getter(field, &mut scope.within("field"))?;
    Some(Condition { getter, expected })
}
