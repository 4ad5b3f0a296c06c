//! What a stateful function writes about one metric, and how a store sees it: as named fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What a stateful function writes about one metric.
///
/// A store keeps its [`Fields`], and needs no code for each function.
pub trait Outcome: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The names of the function's rows in the table.
    const NAMES: RowNames;

    /// The fields to store. Numbers are finite.
    fn fields(&self) -> Fields;

    /// The outcome that has these fields; `None` if one is missing or of another kind. It reads the rows of earlier versions
    /// and of the next one: a field that was added later may be missing, and more fields than it needs are ignored.
    fn from_fields(fields: &Fields) -> Option<Self>;
}

/// The first parts of the sort keys of a function's rows. No two functions have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowNames {
    /// Of the one row with the latest outcomes.
    pub latest: &'static str,
    /// Of the rows with the outcomes of intervals.
    pub history: &'static str,
}

/// A value of a [`Fields`].
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// A finite number.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several values.
    List(Vec<Field>),
    /// Named values.
    Map(Fields),
}

impl Field {
    /// A number. A store may have made a whole number of it, or a text where it cannot hold the number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Integer(integer) => Some(*integer as f64),
            Self::Text(digits) => digits.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }
}

/// Named values, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(BTreeMap<Cow<'static, str>, Field>);

impl Fields {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Field>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Adds a field if it has a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Field>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The field of a name.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.number()
    }

    /// A whole number that fits into its type.
    pub fn integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        match self.get(name)? {
            Field::Integer(integer) => T::try_from(*integer).ok(),
            _ => None,
        }
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Field::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.get(name)? {
            Field::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Each name with its value, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Field)> + DoubleEndedIterator {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl FromIterator<(String, Field)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, Field)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect())
    }
}

impl From<f64> for Field {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Field {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<u32> for Field {
    fn from(integer: u32) -> Self {
        Self::Integer(integer.into())
    }
}

impl From<bool> for Field {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Field {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<Self>> for Field {
    fn from(list: Vec<Self>) -> Self {
        Self::List(list)
    }
}

impl From<Fields> for Field {
    fn from(fields: Fields) -> Self {
        Self::Map(fields)
    }
}
