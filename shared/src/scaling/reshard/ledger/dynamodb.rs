//! Entries in a DynamoDB table: partition key `stream`, attributes `version` and `entry`. The entry is JSON, so that an
//! operator can read which work is in progress.

use super::{Entry, Ledger, Versioned};
use crate::platform::aws::{self, Lazy};
use crate::platform::dynamodb::is_written;
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

/// Entries in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDbLedger {
    client: Lazy<Client>,
    table: String,
}

impl DynamoDbLedger {
    /// The entries in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into() }
    }

    fn operation(&self, name: &str, stream: &str) -> String {
        format!("{name} {} {stream}", self.table)
    }
}

impl Ledger for DynamoDbLedger {
    async fn load(&self, stream: &str) -> Result<Versioned, RemoteError> {
        let operation = || self.operation("GetItem", stream);
        let request =
            self.client.get_item().table_name(&self.table).key("stream", AttributeValue::S(stream.to_owned()));
        let answer = request.consistent_read(true).send().await;
        let item = answer.map_err(|error| aws::remote_error(operation(), error))?.item;
        let Some(item) = item else { return Ok(Versioned::default()) };
        let malformed = |problem: String| RemoteError::new(operation(), Remedy::GiveUp, problem);
        let version = item.get("version").and_then(|value| value.as_n().ok()?.parse().ok());
        let version =
            version.ok_or_else(|| malformed("the item has no attribute `version` that is a number".to_owned()))?;
        let entry = item.get("entry").and_then(|value| value.as_s().ok());
        let entry = entry.ok_or_else(|| malformed("the item has no attribute `entry` that is a string".to_owned()))?;
        let entry = serde_json::from_str(entry)
            .map_err(|error| malformed(format!("the attribute `entry` does not parse: {error}")))?;
        Ok(Versioned { version, entry })
    }

    async fn commit(&self, stream: &str, replaces: u64, entry: &Entry) -> Result<Option<u64>, RemoteError> {
        let operation = || self.operation("PutItem", stream);
        let version = replaces + 1;
        let entry =
            serde_json::to_string(entry).map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("stream", AttributeValue::S(stream.to_owned()))
            .item("version", AttributeValue::N(version.to_string()))
            .item("entry", AttributeValue::S(entry));
        let put = if replaces == 0 {
            put.condition_expression("attribute_not_exists(#stream)").expression_attribute_names("#stream", "stream")
        } else {
            put.condition_expression("#version = :replaces")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":replaces", AttributeValue::N(replaces.to_string()))
        };
        Ok(is_written(operation(), put.send().await)?.then_some(version))
    }
}
