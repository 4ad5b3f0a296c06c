//! A condition on a value of the message: which version, which record or which value it is.

use super::source::{Getter, View};
use super::value::Raw;
use std::borrow::Cow;

/// A compiled condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) getter: Getter,
    /// The text that the value must have; `None` for any value.
    pub(super) expected: Option<String>,
}

impl Condition {
    /// Checks whether the condition holds in `view`. If not, the error says why.
    pub(super) fn check(&self, view: View<'_>) -> Result<(), Cow<'static, str>> {
        let raw = self.getter.get(view).map_err(|fault| fault.detail)?;
        let Some(expected) = &self.expected else {
            return if raw == Raw::Absent { Err(Cow::Borrowed("the field is missing")) } else { Ok(()) };
        };
        let kind = raw.kind();
        match raw {
            Raw::Absent => Err(Cow::Borrowed("the field is missing")),
            raw => match raw.into_text() {
                Ok(text) if text == *expected => Ok(()),
                Ok(_) => Err(Cow::Borrowed("the field has another value")),
                Err(_) => Err(Cow::Owned(format!("the field is {kind}"))),
            },
        }
    }

    pub(super) fn holds(&self, view: View<'_>) -> bool {
        self.check(view).is_ok()
    }
}
