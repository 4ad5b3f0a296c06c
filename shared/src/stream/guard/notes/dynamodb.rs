//! Notes in a DynamoDB table: partition key `function`, sort key `record`, attributes `invocations` and `expiresAt`.
//!
//! The invocations are a set, so a call whose answer was lost can be repeated.

use super::{Notes, Suspect};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, integer, text};
use crate::platform::errors::RemoteError;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use std::collections::HashMap;

/// Notes in a table of DynamoDB. Needs the permissions `dynamodb:UpdateItem` and `dynamodb:DeleteItem`.
#[derive(Clone, Debug)]
pub struct DynamoDbNotes {
    client: Lazy<Client>,
    table: String,
}

impl DynamoDbNotes {
    /// The notes in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into() }
    }
}

fn key(Suspect { function, stream, shard, sequence, .. }: &Suspect<'_>) -> Attributes {
    let record = format!("{stream}/{shard}/{sequence}");
    HashMap::from([("function".to_owned(), text(function)), ("record".to_owned(), text(&record))])
}

impl Notes for DynamoDbNotes {
    async fn note(&self, suspect: &Suspect<'_>, invocation: &str) -> Result<usize, RemoteError> {
        let operation = || format!("UpdateItem {}", self.table);
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(suspect)));
        let answer = update
            .update_expression("ADD invocations :invocation SET expiresAt = :expires")
            .expression_attribute_values(":invocation", AttributeValue::Ss(vec![invocation.to_owned()]))
            .expression_attribute_values(":expires", integer(suspect.expires_ms / 1_000))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| remote_error(operation(), error))?;
        let noted = answer.attributes.as_ref().and_then(|item| item.get("invocations")?.as_ss().ok());
        let noted = noted.ok_or_else(|| incomplete(&operation(), "the invocations"))?;
        Ok(noted.iter().filter(|noted| *noted != invocation).count())
    }

    async fn strike_off(&self, suspect: &Suspect<'_>) -> Result<(), RemoteError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(suspect)));
        delete.send().await.map_err(|error| remote_error(format!("DeleteItem {}", self.table), error))?;
        Ok(())
    }
}
