//! Pending commands in a DynamoDB table: partition key `deviceId`, time to live in `expiresAt`.

use super::{Command, Commands, CommandsWriter, Page};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, is_written, text, text_of};
use crate::platform::errors::RemoteError;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

/// A table of pending commands. A function needs the permissions `dynamodb:GetItem` and `DeleteItem`; an operator's
/// tools need `PutItem` and `Scan` too.
#[derive(Clone, Debug)]
pub struct DynamoDbCommands {
    client: Lazy<Client>,
    table: String,
}

impl DynamoDbCommands {
    /// The commands in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into() }
    }

    fn operation(&self, call: &str) -> String {
        format!("{call} {}", self.table)
    }

    fn parsed(&self, call: &str, item: &Attributes) -> Result<Command, RemoteError> {
        parse(item).ok_or_else(|| incomplete(&self.operation(call), "attribute that each command has"))
    }
}

impl Commands for DynamoDbCommands {
    async fn pending(&self, device_id: &str) -> Result<Option<Command>, RemoteError> {
        // Eventually consistent: a command that was just put is shown with the next answer.
        let answer = self.client.get_item().table_name(&self.table).key("deviceId", text(device_id)).send().await;
        let answer = answer.map_err(|error| remote_error(self.operation("GetItem"), error))?;
        answer.item.as_ref().map(|item| self.parsed("GetItem", item)).transpose()
    }

    async fn remove(&self, device_id: &str, id: &str) -> Result<bool, RemoteError> {
        let delete = self.client.delete_item().table_name(&self.table).key("deviceId", text(device_id));
        let delete = delete.condition_expression("#id = :id").expression_attribute_names("#id", "id");
        is_written(self.operation("DeleteItem"), delete.expression_attribute_values(":id", text(id)).send().await)
    }
}

impl CommandsWriter for DynamoDbCommands {
    async fn put(&self, command: &Command) -> Result<(), RemoteError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(attributes(command)));
        put.send().await.map(drop).map_err(|error| remote_error(self.operation("PutItem"), error))
    }

    async fn list(&self, after: Option<String>, limit: usize) -> Result<Page, RemoteError> {
        let start = after.map(|device| Attributes::from([("deviceId".to_owned(), text(&device))]));
        let scan = self.client.scan().table_name(&self.table).set_exclusive_start_key(start);
        let answer = scan.limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX)).send().await;
        let answer = answer.map_err(|error| remote_error(self.operation("Scan"), error))?;
        let commands = answer.items().iter().map(|item| self.parsed("Scan", item)).collect::<Result<_, _>>()?;
        let next =
            answer.last_evaluated_key.as_ref().and_then(|key| key.get("deviceId")).and_then(|key| key.as_s().ok());
        Ok(Page { commands, next: next.cloned() })
    }
}

fn attributes(command: &Command) -> Attributes {
    let number = |value: i64| AttributeValue::N(value.to_string());
    let attributes = [
        ("deviceId", text(&command.device_id)),
        ("id", text(&command.id)),
        ("request", text(&command.request)),
        ("payload", text(&command.payload)),
        ("createdMs", number(command.created_ms)),
        ("expiresMs", number(command.expires_ms)),
        // For DynamoDB's time to live, in seconds. DynamoDB deletes late, so `expiresMs` decides whether a command
        // waits.
        ("expiresAt", number(command.expires_ms.div_euclid(1_000) + 1)),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn parse(item: &Attributes) -> Option<Command> {
    let text = |name: &str| text_of(item, name).cloned();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
    Some(Command {
        device_id: text("deviceId")?,
        id: text("id")?,
        request: text("request")?,
        payload: text("payload")?,
        created_ms: number("createdMs")?,
        expires_ms: number("expiresMs")?,
    })
}
