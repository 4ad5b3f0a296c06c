//! Cases in a DynamoDB table: partition key `case`, attributes `document` (JSON) and `version`. A case that has something due also has
//! `queue` and `dueAt`, the keys of the index `due`; a case that has nothing due and is not open expires.

use super::{Case, Cases, LANES, Stored};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::clock::{Now, SystemClock};
use crate::platform::dynamodb::{Attributes, integer, integer_of, is_written, text, text_of};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::lane::lane;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use std::time::Duration;

/// The index of what is due, by lane and time.
const INDEX: &str = "due";
const KEY: &str = "case";

/// Cases in a table. Needs the permissions `dynamodb:GetItem`, `PutItem`, and `Query` on the index.
#[derive(Clone, Debug)]
pub struct DynamoDbCases {
    client: Lazy<Client>,
    table: String,
    retention: Duration,
}

impl DynamoDbCases {
    /// Cases in `table`. One that is settled expires after `retention`.
    pub fn new(config: &SdkConfig, table: impl Into<String>, retention: Duration) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into(), retention }
    }

    fn operation(&self, call: &str, key: &str) -> String {
        format!("{call} {} {key}", self.table)
    }
}

impl Cases for DynamoDbCases {
    async fn load(&self, key: &str) -> Result<Option<Stored>, RemoteError> {
        let operation = || self.operation("GetItem", key);
        let request = self.client.get_item().table_name(&self.table).key(KEY, text(key)).consistent_read(true);
        let answer = request.send().await.map_err(|error| remote_error(operation(), error))?;
        let Some(item) = answer.item else { return Ok(None) };
        let document = text_of(&item, "document").ok_or_else(|| incomplete(&operation(), "document"))?;
        let case = serde_json::from_str(document);
        let case = case.map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        let version = integer_of(&item, "version").ok_or_else(|| incomplete(&operation(), "version"))?;
        Ok(Some(Stored { case, version: version as u64 }))
    }

    async fn store(&self, key: &str, case: &Case, version: Option<u64>) -> Result<bool, RemoteError> {
        let operation = || self.operation("PutItem", key);
        let document =
            serde_json::to_string(case).map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        let mut item: Attributes = [
            (KEY.to_owned(), text(key)),
            ("document".to_owned(), text(&document)),
            ("version".to_owned(), integer(version.map_or(0, |version| version + 1))),
        ]
        .into();
        if let Some(due_ms) = case.due_ms() {
            item.insert("queue".to_owned(), text(&queue(lane(key, LANES))));
            item.insert("dueAt".to_owned(), integer(due_ms));
        } else if case.open().next().is_none() {
            let until_ms = SystemClock.now_ms().saturating_add(self.retention.as_millis() as i64);
            item.insert("expiresAt".to_owned(), integer(until_ms / 1_000));
        }
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = match version {
            None => put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", KEY),
            Some(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", integer(version)),
        };
        is_written(operation(), put.send().await)
    }

    async fn due(&self, lane: u8, now_ms: i64, limit: usize) -> Result<Vec<String>, RemoteError> {
        let query = self.client.query().table_name(&self.table).index_name(INDEX);
        let answer = query
            .key_condition_expression("#queue = :queue AND #due <= :now")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_names("#due", "dueAt")
            .expression_attribute_values(":queue", text(&queue(lane)))
            .expression_attribute_values(":now", integer(now_ms))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| remote_error(self.operation("Query", INDEX), error))?;
        Ok(answer.items().iter().filter_map(|item| text_of(item, KEY).cloned()).collect())
    }
}

fn queue(lane: u8) -> String {
    format!("{lane:02}")
}
