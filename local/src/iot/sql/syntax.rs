//! The syntax tree of a statement.

use crate::iot::topic::TopicFilter;
use serde_json::Value;

/// A rule's statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// `SET`: evaluated once, in order. The record, the actions and the error action share the values.
    pub(super) variables: Vec<(String, Expression)>,
    pub(super) select: Vec<Selected>,
    /// `FROM`.
    pub from: TopicFilter,
    pub(super) condition: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Selected {
    /// `*`: every field of the payload.
    All,
    /// `expression AS name`.
    Field { name: String, expression: Expression },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Literal(Value),
    /// `*` as an argument: the payload as received.
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
pub(super) enum Function {
    ClientId,
    Encode,
    NewUuid,
    Timestamp,
    Topic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a statement does not run on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule SQL, at character {at}: {problem}")]
pub struct SqlError {
    /// The position in the statement, in characters, counted from 1.
    pub at: usize,
    /// What is wrong or not supported there.
    pub problem: String,
}

/// A text with `${expression}` in it: an object's key or a partition key in the settings of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Substitution(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Expression(Expression),
}
