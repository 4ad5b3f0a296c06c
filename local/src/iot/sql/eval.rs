//! Evaluates a statement on a message.

use super::syntax::{Comparison, Expression, Function, Part, Selected, Statement, Substitution};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A message that a statement is evaluated on.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The topic, without the prefix of Basic Ingest.
    pub topic: &'a str,
    /// The publisher's client id.
    pub client_id: &'a str,
    /// The payload, byte for byte.
    pub payload: &'a [u8],
    /// When it was received, in milliseconds since the epoch.
    pub received_at: i64,
}

/// The result of a statement on a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The record for the actions.
    pub record: Value,
    /// The values of `SET`, for the actions' settings.
    pub variables: BTreeMap<String, Value>,
}

/// Why a statement failed on a message. As on AWS, neither the actions nor the error action run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule SQL: {0}")]
pub struct SqlFailure(String);

impl Statement {
    /// Evaluates the statement. `new_uuid` returns the value of each `newuuid()`. None if the condition does not hold.
    pub fn evaluate(
        &self,
        event: &Event<'_>,
        new_uuid: &mut dyn FnMut() -> String,
    ) -> Result<Option<Output>, SqlFailure> {
        let mut scope = Scope::new(event, new_uuid);
        for (name, expression) in &self.variables {
            let value = scope.value(expression)?.unwrap_or_default();
            scope.variables.insert(name.clone(), value);
        }
        if let Some(condition) = &self.condition
            && scope.value(condition)? != Some(Value::Bool(true))
        {
            return Ok(None);
        }
        let mut record = Map::new();
        for selected in &self.select {
            match selected {
                Selected::All => match scope.json().cloned() {
                    Some(Value::Object(fields)) => record.extend(fields),
                    _ => return Err(SqlFailure("SELECT * needs a JSON object as the payload".to_owned())),
                },
                // A field with an undefined value is left out.
                Selected::Field { name, expression } => {
                    if let Some(value) = scope.value(expression)? {
                        record.insert(name.clone(), value);
                    }
                }
            }
        }
        Ok(Some(Output { record: Value::Object(record), variables: scope.variables }))
    }
}

impl Substitution {
    /// The text for a message whose statement set `variables`.
    pub fn fill(
        &self,
        event: &Event<'_>,
        variables: &BTreeMap<String, Value>,
        new_uuid: &mut dyn FnMut() -> String,
    ) -> Result<String, SqlFailure> {
        let mut scope = Scope::new(event, new_uuid);
        scope.variables.clone_from(variables);
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Expression(expression) => match scope.value(expression)? {
                    Some(Value::String(value)) => text.push_str(&value),
                    Some(value) => text.push_str(&value.to_string()),
                    None => return Err(SqlFailure("a substitution is undefined".to_owned())),
                },
            }
        }
        Ok(text)
    }
}

struct Scope<'a, 'b> {
    event: &'a Event<'a>,
    new_uuid: &'b mut dyn FnMut() -> String,
    variables: BTreeMap<String, Value>,
    /// The payload as JSON, parsed at first use: most rules do not use it.
    json: OnceCell<Option<Value>>,
}

impl<'a, 'b> Scope<'a, 'b> {
    fn new(event: &'a Event<'a>, new_uuid: &'b mut dyn FnMut() -> String) -> Self {
        Self { event, new_uuid, variables: BTreeMap::new(), json: OnceCell::new() }
    }

    fn json(&mut self) -> Option<&Value> {
        let payload = self.event.payload;
        self.json.get_or_init(|| serde_json::from_slice(payload).ok()).as_ref()
    }

    /// The value of an expression; none if it is undefined.
    fn value(&mut self, expression: &Expression) -> Result<Option<Value>, SqlFailure> {
        Ok(match expression {
            Expression::Literal(value) => Some(value.clone()),
            Expression::Payload => self.json().cloned(),
            Expression::Path(path) => {
                let mut value = self.json();
                for field in path {
                    value = value.and_then(|value| value.get(field));
                }
                value.cloned()
            }
            Expression::Variable(name) => {
                let value = self.variables.get(name).cloned();
                Some(value.ok_or_else(|| SqlFailure(format!("@{name} is not set")))?)
            }
            Expression::Call(function, arguments) => self.call(*function, arguments)?,
            Expression::Compare(comparison, left, right) => match (self.value(left)?, self.value(right)?) {
                (Some(left), Some(right)) => Some(Value::Bool(compare(*comparison, &left, &right))),
                _ => None,
            },
            Expression::And(left, right) => Some(Value::Bool(self.holds(left)? && self.holds(right)?)),
            Expression::Or(left, right) => Some(Value::Bool(self.holds(left)? || self.holds(right)?)),
            Expression::Not(inner) => Some(Value::Bool(!self.holds(inner)?)),
        })
    }

    fn holds(&mut self, expression: &Expression) -> Result<bool, SqlFailure> {
        Ok(self.value(expression)? == Some(Value::Bool(true)))
    }

    fn call(&mut self, function: Function, arguments: &[Expression]) -> Result<Option<Value>, SqlFailure> {
        Ok(match function {
            Function::ClientId => Some(Value::String(self.event.client_id.to_owned())),
            Function::NewUuid => Some(Value::String((self.new_uuid)())),
            Function::Timestamp => Some(Value::from(self.event.received_at)),
            Function::Topic => match arguments {
                [] => Some(Value::String(self.event.topic.to_owned())),
                [index, ..] => {
                    let index = self.value(index)?.as_ref().and_then(Value::as_u64);
                    let index = index.filter(|index| *index > 0);
                    let index = index.ok_or_else(|| SqlFailure("topic() needs a number of at least 1".to_owned()))?;
                    self.event.topic.split('/').nth(index as usize - 1).map(|level| Value::String(level.to_owned()))
                }
            },
            Function::Encode => {
                let [what, scheme] = arguments else { return Ok(None) };
                if self.value(scheme)? != Some(Value::String("base64".to_owned())) {
                    return Err(SqlFailure("encode() supports only 'base64'".to_owned()));
                }
                let encoded = match what {
                    Expression::Payload => STANDARD.encode(self.event.payload),
                    other => match self.value(other)? {
                        Some(Value::String(text)) => STANDARD.encode(text),
                        Some(value) => STANDARD.encode(value.to_string()),
                        None => return Ok(None),
                    },
                };
                Some(Value::String(encoded))
            }
        })
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => (left == right).then_some(Ordering::Equal),
    };
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}
