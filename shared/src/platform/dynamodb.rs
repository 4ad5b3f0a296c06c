//! Attributes of DynamoDB items, as the stores of all rooms write and read them.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// An item: its attributes by name.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// A text.
pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A whole number.
pub(crate) fn integer(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// The text of an attribute; `None` if it is missing or of another type.
pub(crate) fn text_of<'a>(item: &'a Attributes, name: &str) -> Option<&'a String> {
    item.get(name)?.as_s().ok()
}

/// The whole number of an attribute; `None` if it is missing or of another type.
pub(crate) fn integer_of(item: &Attributes, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
