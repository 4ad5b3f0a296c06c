//! What is wrong with a profile, by field.

use std::fmt;

/// One thing that is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field's path in the document: `versions[0].fields[2].calibration.beta`.
    pub field: String,
    /// What is wrong with it, in words.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A place in the document, where problems are told.
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

    /// Tells a problem of a key of this place.
    pub(super) fn tell(&mut self, key: &str, message: impl Into<String>) {
        let field = self.path(key);
        self.problems.push(Problem { field, message: message.into() });
    }

    /// Tells a problem of the place itself.
    pub(super) fn tell_here(&mut self, message: impl Into<String>) {
        self.problems.push(Problem { field: self.at.clone(), message: message.into() });
    }

    fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }
}
