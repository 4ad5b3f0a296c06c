//! Attributes of DynamoDB items, as the stores of all rooms write and read them.

use crate::platform::aws::remote_error;
use crate::platform::errors::RemoteError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
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

/// Whether a conditional write took effect: `false` if what is stored does not meet its condition.
pub(crate) fn is_written<T, E>(
    operation: String,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<bool, RemoteError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(remote_error(operation, error)),
    }
}
