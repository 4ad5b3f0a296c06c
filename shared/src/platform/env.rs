//! Typed settings from the environment.
//!
//! They are read once, through a lookup function, so that no test has to set a variable. An error names the variable
//! and says what is wrong with its value.

use std::fmt::Display;
use std::str::FromStr;

/// A setting that is missing or wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// A variable without a default is not set, or is empty.
    #[error("environment variable {name} is not set: set it to {meaning}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it is for.
        meaning: &'static str,
    },
    /// A variable's value cannot be used.
    #[error("environment variable {name} is {value:?}: {problem}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The environment of a function: a lookup by name. An empty value counts as not set.
pub struct Env<F>(F);

impl<F: Fn(&str) -> Option<String>> Env<F> {
    /// Reads through `lookup`: `|name| std::env::var(name).ok()` in a function, a map in a test.
    pub const fn new(lookup: F) -> Self {
        Self(lookup)
    }

    /// A value that may be absent.
    pub fn optional(&self, name: &'static str) -> Option<String> {
        self.lookup(name)
    }

    /// Like [`optional`](Self::optional), for a name that is computed.
    pub fn lookup(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// A value that must be set. `meaning` says to what, for the error message.
    pub fn required(&self, name: &'static str, meaning: &'static str) -> Result<String, EnvError> {
        self.optional(name).ok_or(EnvError::Missing { name, meaning })
    }

    /// A value of some type, or its default.
    pub fn parsed_or<T>(&self, name: &'static str, default: T) -> Result<T, EnvError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.optional(name).map_or(Ok(default), |value| {
            value.trim().parse().map_err(|error: T::Err| EnvError::Invalid { name, problem: error.to_string(), value })
        })
    }

    /// A number within bounds, both included, or its default.
    pub fn within<T>(&self, name: &'static str, default: T, least: T, most: T) -> Result<T, EnvError>
    where
        T: FromStr + PartialOrd + Display + Copy,
        T::Err: Display,
    {
        let value = self.parsed_or(name, default)?;
        if value < least || value > most {
            return Err(EnvError::Invalid {
                name,
                value: value.to_string(),
                problem: format!("it must be from {least} to {most}"),
            });
        }
        Ok(value)
    }
}

/// An environment for tests: the variables in `set`, with those in `overrides` instead of the ones of the same name.
#[cfg(any(test, feature = "testing"))]
pub fn of(overrides: &[(&str, &str)], set: &[(&str, &str)]) -> Env<impl Fn(&str) -> Option<String>> {
    Env::new(move |name: &str| {
        let mut variables = overrides.iter().chain(set);
        variables.find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(value: Option<&'static str>) -> Env<impl Fn(&str) -> Option<String>> {
        Env::new(move |_: &str| value.map(str::to_owned))
    }

    #[test]
    fn an_empty_value_counts_as_missing_and_the_error_names_the_variable() {
        let error = env(Some(" ")).required("LAKE_BUCKET", "the lake's bucket").unwrap_err();
        assert_eq!(error.to_string(), "environment variable LAKE_BUCKET is not set: set it to the lake's bucket");
    }

    #[test]
    fn an_error_shows_a_value_that_does_not_parse_and_why() {
        let error = env(Some("six")).parsed_or("COMPRESSION_LEVEL", 6_u32).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable COMPRESSION_LEVEL is \"six\": invalid digit found in string"
        );
    }

    #[test]
    fn a_value_out_of_bounds_is_an_error_and_the_bounds_themselves_are_not() {
        assert_eq!(env(Some("9")).within("N", 6, 1, 9), Ok(9));
        assert_eq!(env(None).within("N", 6, 1, 9), Ok(6));
        assert!(env(Some("10")).within("N", 6, 1, 9).unwrap_err().to_string().ends_with("from 1 to 9"));
    }
}
