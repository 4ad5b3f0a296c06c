//! The SQL of AWS IoT rules, as far as the template uses it, and a clear error beyond.
//!
//! `[SET @name = expression …] SELECT expression [AS name], … FROM 'topic filter' [WHERE condition]`, with the functions
//! `clientid`, `encode`, `newuuid`, `timestamp` and `topic`, paths into a JSON payload, comparisons, `AND`, `OR`, `NOT`.

mod eval;
mod parse;
mod token;

pub use eval::{Event, Output, SqlFailure};

use super::topic::TopicFilter;
use serde_json::Value;

/// A rule's statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// `SET`: evaluated once, in order, and shared by the record, the actions and the error action.
    variables: Vec<(String, Expression)>,
    select: Vec<Selected>,
    /// `FROM`.
    pub from: TopicFilter,
    condition: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
enum Selected {
    /// `*`: every field of the payload.
    All,
    /// `expression AS name`.
    Field { name: String, expression: Expression },
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Literal(Value),
    /// `*` as an argument: the payload as it came.
    Payload,
    Path(Vec<String>),
    Variable(String),
    Call(Function, Vec<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    ClientId,
    Encode,
    NewUuid,
    Timestamp,
    Topic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a statement cannot be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule SQL, at character {at}: {problem}")]
pub struct SqlError {
    /// Where in the statement, counted from 1.
    pub at: usize,
    /// What is wrong there, or beyond what runs here.
    pub problem: String,
}

/// A text with `${expression}` in it, as actions' settings have it: a key, a partition key.
#[derive(Clone, Debug, PartialEq)]
pub struct Substitution(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Expression(Expression),
}

#[cfg(test)]
mod tests;
