//! Stores connections in a DynamoDB table.
//!
//! The partition key is `deviceId`. The sort key is `item`, which is `connection` for connections. A connection whose
//! disconnect waits to be settled also has the attributes `queue` (`settle#<lane>`) and `dueAt`, the keys of the index
//! `due`. Other connections are not in the index, so that it contains only what is to be done.

use super::super::{Change, Lifecycle, Presence};
use super::{LANES, Presences, Stored, Written};
use crate::alert::incidents::dynamodb::INDEX;
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, integer, integer_of, is_written, text, text_of};
use crate::platform::errors::RemoteError;
use crate::platform::lane::lane;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use std::time::Duration;

const ITEM: &str = "connection";

/// A store of connections in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDbPresences {
    client: Lazy<Client>,
    table: String,
    retention: Duration,
}

impl DynamoDbPresences {
    /// A store in `table`. A client that has been disconnected for `retention` is deleted, so that clients that
    /// connected once do not accumulate.
    pub fn new(config: &SdkConfig, table: impl Into<String>, retention: Duration) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into(), retention }
    }

    fn operation(&self, call: &str, client_id: &str) -> String {
        format!("{call} {} {client_id}", self.table)
    }

    fn attributes(&self, presence: &Presence, revision: u64) -> Attributes {
        let Presence { newest, connected, since_ms, settle_at_ms, last_seen_ms } = presence;
        let mut attributes: Attributes = [
            ("deviceId", text(&newest.client_id)),
            ("item", text(ITEM)),
            ("connected", AttributeValue::Bool(*connected)),
            ("since", integer(*since_ms)),
            ("lastSeen", integer(*last_seen_ms)),
            ("change", text(newest.change.name())),
            ("at", integer(newest.at_ms)),
            ("version", integer(newest.version)),
            ("session", text(&newest.session)),
            ("reason", text(&newest.reason)),
            ("revision", integer(revision)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(at_ms) = settle_at_ms {
            attributes.insert("queue".to_owned(), AttributeValue::S(queue(lane(&newest.client_id, LANES))));
            attributes.insert("dueAt".to_owned(), integer(*at_ms));
        }
        if !connected {
            let until = since_ms.saturating_add(self.retention.as_millis() as i64) / 1_000;
            attributes.insert("expiresAt".to_owned(), integer(until));
        }
        attributes
    }
}

fn queue(lane: u8) -> String {
    format!("settle#{lane:02}")
}

impl Presences for DynamoDbPresences {
    async fn get(&self, client_id: &str) -> Result<Option<Stored>, RemoteError> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.key("deviceId", text(client_id)).key("item", text(ITEM)).send().await;
        let answer = answer.map_err(|error| remote_error(self.operation("GetItem", client_id), error))?;
        let stored = answer.item.map(|item| {
            parse(&item).ok_or_else(|| incomplete(&self.operation("GetItem", client_id), "attributes of a connection"))
        });
        stored.transpose()
    }

    async fn put(&self, presence: &Presence, over: Option<u64>) -> Result<Written, RemoteError> {
        let revision = over.map_or(0, |revision| revision + 1);
        let put = self.client.put_item().table_name(&self.table);
        let put = put.set_item(Some(self.attributes(presence, revision)));
        let put = match over {
            None => put.condition_expression("attribute_not_exists(deviceId)"),
            Some(over) => put
                .condition_expression("#revision = :over")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":over", integer(over)),
        };
        let is_written = is_written(self.operation("PutItem", &presence.newest.client_id), put.send().await)?;
        Ok(if is_written { Written::Done } else { Written::Conflict })
    }

    async fn due(&self, lane: u8, now_ms: i64, limit: usize) -> Result<Vec<Stored>, RemoteError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("#queue = :queue AND dueAt <= :now")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", AttributeValue::S(queue(lane)))
            .expression_attribute_values(":now", integer(now_ms))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| remote_error(format!("Query {} {INDEX}", self.table), error))?;
        // An invalid item is logged and skipped, so that it does not block the others.
        let stored = answer.items().iter().filter_map(|item| {
            let stored = parse(item);
            if stored.is_none() {
                let device = item.get("deviceId").and_then(|id| id.as_s().ok());
                tracing::error!(
                    table = self.table,
                    device,
                    "skipped an item of the queue that is not a valid connection"
                );
            }
            stored
        });
        Ok(stored.collect())
    }
}

/// Parses the connection of an item; `None` if an attribute is missing or has the wrong type.
fn parse(item: &Attributes) -> Option<Stored> {
    let text = |name: &str| text_of(item, name).cloned();
    let integer = |name: &str| integer_of(item, name);
    let presence = Presence {
        newest: Lifecycle {
            client_id: text("deviceId")?,
            change: Change::parse(&text("change")?)?,
            at_ms: integer("at")?,
            version: u64::try_from(integer("version")?).ok()?,
            session: text("session")?,
            reason: text("reason")?,
        },
        connected: *item.get("connected")?.as_bool().ok()?,
        since_ms: integer("since")?,
        settle_at_ms: integer("dueAt"),
        last_seen_ms: integer("lastSeen")?,
    };
    Some(Stored { presence, revision: u64::try_from(integer("revision")?).ok()? })
}
