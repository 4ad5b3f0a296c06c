//! The error of a pattern that Lambda would refuse.

/// The most patterns of one mapping. Five by default, "up to 10 filters" with a raised quota.
pub(super) const PATTERNS_MAX: usize = 10;

/// A pattern that Lambda would refuse when the mapping is created.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The pattern is not JSON.
    #[error("filter pattern {pattern:?} is not JSON")]
    NotJson {
        /// The pattern.
        pattern: String,
        /// Where the JSON is invalid.
        #[source]
        source: serde_json::Error,
    },
    /// The JSON is not a valid pattern.
    #[error("filter pattern at {path}: {problem}")]
    Invalid {
        /// The place in the pattern, as a path of field names.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// There are no patterns, or too many.
    #[error("{0} filter patterns: a mapping must have from 1 to {PATTERNS_MAX}")]
    Number(usize),
}

impl FilterError {
    pub(super) fn invalid(path: &str, problem: &str) -> Self {
        Self::Invalid { path: path.to_owned(), problem: problem.to_owned() }
    }
}
