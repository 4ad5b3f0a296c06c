//! Collects the problems of a profile document, each with the path of its field.

use std::fmt;

/// One problem of a document, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field's path in the document: `versions[0].fields[2].calibration.beta`.
    pub field: String,
    /// What is wrong with the field, and where useful what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A place in the document, for reporting problems there.
pub(super) struct Scope<'p> {
    problems: &'p mut Vec<Problem>,
    at: String,
}

impl<'p> Scope<'p> {
    /// The whole document.
    pub(super) const fn root(problems: &'p mut Vec<Problem>) -> Self {
        Self { problems, at: String::new() }
    }

    /// A place within this one.
    pub(super) fn within(&mut self, key: &str) -> Scope<'_> {
        let at = self.path(key);
        Scope { problems: self.problems, at }
    }

    /// An element of a list within this place.
    pub(super) fn element(&mut self, key: &str, index: usize) -> Scope<'_> {
        self.within(&format!("{key}[{index}]"))
    }

    /// Reports a problem of a key in this place.
    pub(super) fn report(&mut self, key: &str, message: impl Into<String>) {
        let field = self.path(key);
        self.problems.push(Problem { field, message: message.into() });
    }

    /// Reports a problem of the place itself.
    pub(super) fn report_here(&mut self, message: impl Into<String>) {
        self.problems.push(Problem { field: self.at.clone(), message: message.into() });
    }

    fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }
}
