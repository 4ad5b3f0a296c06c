//! The SQL of AWS IoT rules, as far as the template uses it. Anything else is an error with its position.
//!
//! `[SET @name = expression …] SELECT expression [AS name], … FROM 'topic filter' [WHERE condition]`, with the
//! functions `clientid`, `encode`, `newuuid`, `timestamp` and `topic`, paths into a JSON payload, comparisons, `AND`,
//! `OR`, `NOT`.

mod eval;
mod parse;
mod syntax;
mod token;

pub use eval::{Event, Output, SqlFailure};
pub use syntax::{SqlError, Statement, Substitution};

#[cfg(test)]
mod tests;
