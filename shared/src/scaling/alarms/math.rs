//! Metric math, as far as alarms use it: arithmetic, comparisons, AND, OR, and nine functions. They work on series,
//! which have a value or none for each period.

mod parse;

use std::str::FromStr;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MathError {
    /// The text is not an expression.
    #[error("{0}")]
    Syntax(String),
    /// CloudWatch may support it, but this evaluation does not.
    #[error("{0} is not supported here")]
    Unsupported(String),
    /// It refers to something that does not exist, or combines values that cannot be combined.
    #[error("{0}")]
    Evaluation(String),
}

/// The result of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// A value, or none, for each period, the newest last.
    Series(Vec<Option<f64>>),
    /// Several series: `[m1, m2]`, `METRICS()`.
    Array(Vec<Value>),
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Id(String),
    Repeat,
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    Array(Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Abs,
    Avg,
    Fill,
    If,
    Max,
    Metrics,
    Min,
    Period,
    Sum,
}

/// The values that an expression can refer to.
pub(super) trait Scope {
    /// The length of a period, in seconds.
    fn period_s(&self) -> f64;
    /// The value of another query of the alarm.
    fn query(&self, id: &str) -> Result<Value, MathError>;
    /// All metrics of the alarm, without its expressions.
    fn metrics(&self) -> Result<Vec<Value>, MathError>;
}

impl FromStr for Expression {
    type Err = MathError;

    fn from_str(text: &str) -> Result<Self, MathError> {
        Ok(Self { text: text.to_owned(), root: parse::parse(text)? })
    }
}

impl Expression {
    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The ids that it refers to.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        self.root.collect_ids(&mut ids);
        ids
    }

    pub(super) fn evaluate(&self, scope: &impl Scope) -> Result<Value, MathError> {
        self.root.evaluate(scope)
    }
}

impl Node {
    fn collect_ids<'n>(&'n self, ids: &mut Vec<&'n str>) {
        match self {
            Self::Id(id) => ids.push(id),
            Self::Negate(node) => node.collect_ids(ids),
            Self::Binary(_, left, right) => {
                left.collect_ids(ids);
                right.collect_ids(ids);
            }
            Self::Call(_, nodes) | Self::Array(nodes) => nodes.iter().for_each(|node| node.collect_ids(ids)),
            Self::Number(_) | Self::Repeat => {}
        }
    }

    fn evaluate(&self, scope: &impl Scope) -> Result<Value, MathError> {
        match self {
            Self::Number(number) => Ok(Value::Scalar(*number)),
            Self::Id(id) => scope.query(id),
            Self::Repeat => Err(MathError::Syntax("REPEAT is allowed only as an argument of FILL".to_owned())),
            Self::Negate(node) => node.evaluate(scope)?.map(|value| -value),
            Self::Binary(operator, left, right) => {
                left.evaluate(scope)?.combine(&right.evaluate(scope)?, |a, b| operator.apply(a, b))
            }
            Self::Array(nodes) => Ok(Value::Array(evaluate_all(nodes, scope)?)),
            Self::Call(function, arguments) => function.call(arguments, scope),
        }
    }
}

fn evaluate_all(nodes: &[Node], scope: &impl Scope) -> Result<Vec<Value>, MathError> {
    nodes.iter().map(|node| node.evaluate(scope)).collect()
}

impl Operator {
    fn apply(self, a: f64, b: f64) -> f64 {
        let truth = |truth: bool| if truth { 1.0 } else { 0.0 };
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Less => truth(a < b),
            Self::LessOrEqual => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::GreaterOrEqual => truth(a >= b),
            Self::Equal => truth(a.total_cmp(&b).is_eq()),
            Self::NotEqual => truth(a.total_cmp(&b).is_ne()),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Or => truth(a != 0.0 || b != 0.0),
        }
    }
}

impl Function {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ABS" => Self::Abs,
            "AVG" => Self::Avg,
            "FILL" => Self::Fill,
            "IF" => Self::If,
            "MAX" => Self::Max,
            "METRICS" => Self::Metrics,
            "MIN" => Self::Min,
            "PERIOD" => Self::Period,
            "SUM" => Self::Sum,
            _ => return None,
        })
    }

    fn call(self, arguments: &[Node], scope: &impl Scope) -> Result<Value, MathError> {
        match (self, arguments) {
            (Self::Fill, [series, Node::Repeat]) => series.evaluate(scope)?.repeated(),
            (Self::Fill, [series, with]) => series.evaluate(scope)?.filled(&with.evaluate(scope)?),
            (Self::If, [condition, yes, no]) => {
                let (condition, yes, no) = (condition.evaluate(scope)?, yes.evaluate(scope)?, no.evaluate(scope)?);
                condition.choose(&yes, &no)
            }
            (Self::Metrics, []) => Ok(Value::Array(scope.metrics()?)),
            (Self::Period, [series]) => {
                series.evaluate(scope)?;
                Ok(Value::Scalar(scope.period_s()))
            }
            (Self::Abs, [one]) => one.evaluate(scope)?.map(f64::abs),
            (Self::Max, [one]) => one.evaluate(scope)?.reduce(|values| values.reduce(f64::max)),
            (Self::Min, [one]) => one.evaluate(scope)?.reduce(|values| values.reduce(f64::min)),
            (Self::Sum, [one]) => one.evaluate(scope)?.reduce(|values| values.reduce(|a, b| a + b)),
            (Self::Avg, [one]) => one.evaluate(scope)?.reduce(|values| {
                let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
                (count > 0).then(|| sum / f64::from(count))
            }),
            _ => Err(MathError::Syntax(format!("{self:?} does not take {} arguments", arguments.len()).to_uppercase())),
        }
    }
}

/// A result that is not finite, such as a division by zero, is a missing data point.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

impl Value {
    /// The series, which an alarm needs; `None` for a scalar or an array.
    pub(super) fn into_series(self) -> Option<Vec<Option<f64>>> {
        match self {
            Self::Series(values) => Some(values),
            Self::Scalar(_) | Self::Array(_) => None,
        }
    }

    fn map(self, of: impl Fn(f64) -> f64 + Copy) -> Result<Self, MathError> {
        match self {
            Self::Scalar(value) => Ok(Self::Scalar(of(value))),
            Self::Series(values) => {
                Ok(Self::Series(values.into_iter().map(|value| value.map(of).and_then(finite)).collect()))
            }
            Self::Array(values) => {
                values.into_iter().map(|value| value.map(of)).collect::<Result<_, _>>().map(Self::Array)
            }
        }
    }

    /// Combines value by value; a value that is missing on one side is missing in the result.
    fn combine(&self, other: &Self, of: impl Fn(f64, f64) -> f64 + Copy) -> Result<Self, MathError> {
        match (self, other) {
            (Self::Array(values), other) if !matches!(other, Self::Array(_)) => {
                values.iter().map(|value| value.combine(other, of)).collect::<Result<_, _>>().map(Self::Array)
            }
            (one, Self::Array(values)) if !matches!(one, Self::Array(_)) => {
                values.iter().map(|value| one.combine(value, of)).collect::<Result<_, _>>().map(Self::Array)
            }
            (Self::Array(_), Self::Array(_)) => Err(MathError::Evaluation("two arrays cannot be combined".to_owned())),
            (Self::Scalar(a), Self::Scalar(b)) => Ok(Self::Scalar(of(*a, *b))),
            _ => {
                let length = self.length().max(other.length());
                let at = |index| finite(of(self.at(index)?, other.at(index)?));
                Ok(Self::Series((0..length).map(at).collect()))
            }
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Series(values) => values.len(),
            Self::Scalar(_) | Self::Array(_) => 0,
        }
    }

    fn at(&self, index: usize) -> Option<f64> {
        match self {
            Self::Scalar(value) => Some(*value),
            Self::Series(values) => values.get(index).copied().flatten(),
            Self::Array(_) => None,
        }
    }

    fn filled(self, with: &Self) -> Result<Self, MathError> {
        match self {
            Self::Series(values) => {
                let filled = values.into_iter().enumerate().map(|(index, value)| value.or_else(|| with.at(index)));
                Ok(Self::Series(filled.collect()))
            }
            Self::Array(values) => {
                values.into_iter().map(|value| value.filled(with)).collect::<Result<_, _>>().map(Self::Array)
            }
            Self::Scalar(_) => Err(MathError::Evaluation("FILL takes a series".to_owned())),
        }
    }

    fn repeated(self) -> Result<Self, MathError> {
        match self {
            Self::Series(values) => {
                let repeated = values.into_iter().scan(None, |last, value| {
                    *last = value.or(*last);
                    Some(*last)
                });
                Ok(Self::Series(repeated.collect()))
            }
            _ => Err(MathError::Evaluation("FILL takes a series".to_owned())),
        }
    }

    fn choose(&self, yes: &Self, no: &Self) -> Result<Self, MathError> {
        if [self, yes, no].iter().any(|value| matches!(value, Self::Array(_))) {
            return Err(MathError::Evaluation("IF takes series and numbers".to_owned()));
        }
        let pick = |condition: f64| if condition == 0.0 { no } else { yes };
        match self {
            Self::Scalar(condition) => Ok(pick(*condition).clone()),
            _ => Ok(Self::Series((0..self.length()).map(|index| pick(self.at(index)?).at(index)).collect())),
        }
    }

    /// Reduces an array to a series, period by period, and a series to a number. Missing values are left out.
    fn reduce(self, of: impl Fn(&mut dyn Iterator<Item = f64>) -> Option<f64>) -> Result<Self, MathError> {
        match self {
            Self::Array(values) => {
                let length = values.iter().map(Self::length).max().unwrap_or(0);
                let at = |index| of(&mut values.iter().filter_map(|value| value.at(index)));
                Ok(Self::Series((0..length).map(at).collect()))
            }
            Self::Series(values) => of(&mut values.into_iter().flatten())
                .map(Self::Scalar)
                .ok_or_else(|| MathError::Evaluation("the series has no value".to_owned())),
            Self::Scalar(value) => Ok(Self::Scalar(value)),
        }
    }
}

#[cfg(test)]
mod tests;
