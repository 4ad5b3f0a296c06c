//! The SQL of AWS IoT rules, as far as the template uses it. Anything else is an error with its position.
//!
//! `[SET @name = expression …] SELECT expression [AS name], … FROM 'topic filter' [WHERE condition]`, with the
//! functions `clientid`, `encode`, `newuuid`, `timestamp` and `topic`, paths into a JSON payload, comparisons, `AND`,
//! `OR`, `NOT`.
//!
//! ```
//! use myaku_local::iot::sql::{Event, Statement};
//!
//! let statement = Statement::parse("SELECT topic(2) AS device, level FROM 'dt/+' WHERE level > 3")?;
//! let event = Event { topic: "dt/bed-17", client_id: "gw-3", payload: br#"{"level":4}"#, received_at: 0 };
//! let output = statement.evaluate(&event, &mut String::new)?.ok_or("the condition does not hold")?;
//! assert_eq!(output.record.to_string(), r#"{"device":"bed-17","level":4}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod eval;
mod parse;
mod syntax;
mod token;

pub use eval::{Event, Output, SqlFailure};
pub use syntax::{SqlError, Statement, Substitution};

#[cfg(test)]
mod tests;
