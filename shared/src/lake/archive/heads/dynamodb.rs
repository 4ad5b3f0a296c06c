//! Heads in a DynamoDB table: partition key `stream`, sort key `shard`, attribute `head`.

use super::{AllHeads, Head, Heads, HeadsKeeper};
use crate::platform::aws::{self, Lazy};
use crate::platform::dynamodb::is_written;
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// Heads in a table of DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoDbHeads {
    client: Lazy<Client>,
    table: String,
}

impl DynamoDbHeads {
    /// The heads in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into() }
    }

    fn operation(&self, name: &str, stream: &str, shard: &str) -> String {
        format!("{name} {} {stream} {shard}", self.table)
    }
}

fn key(stream: &str, shard: &str) -> HashMap<String, AttributeValue> {
    [("stream", stream), ("shard", shard)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
        .into()
}

/// The head of an item, or what is wrong with the item.
fn head(item: &HashMap<String, AttributeValue>) -> Result<Head, String> {
    let text = item.get("head").and_then(|head| head.as_s().ok());
    let text = text.ok_or("its item has no text as `head`")?;
    text.parse().map_err(|_| format!("its item has {text:?} as `head`, which is not a head"))
}

impl Heads for DynamoDbHeads {
    async fn get(&self, stream: &str, shard: &str) -> Result<Option<Head>, RemoteError> {
        let operation = || self.operation("GetItem", stream, shard);
        // An old head costs a useless upload, which is worth the higher price of a consistent read.
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key(stream, shard)));
        let answer = request.consistent_read(true).send().await;
        let item = answer.map_err(|error| aws::remote_error(operation(), error))?.item;
        item.map(|item| head(&item).map_err(|problem| RemoteError::new(operation(), Remedy::GiveUp, problem)))
            .transpose()
    }

    async fn advance(&self, stream: &str, shard: &str, head: Head) -> Result<(), RemoteError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(stream, shard)))
            .update_expression("SET #head = :head")
            // Heads sort as their texts do.
            .condition_expression("attribute_not_exists(#head) OR #head < :head")
            .expression_attribute_names("#head", "head")
            .expression_attribute_values(":head", AttributeValue::S(head.to_string()));
        is_written(self.operation("UpdateItem", stream, shard), update.send().await).map(drop)
    }
}

impl HeadsKeeper for DynamoDbHeads {
    async fn all(&self, stream: &str) -> Result<AllHeads, RemoteError> {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query
            .key_condition_expression("#stream = :stream")
            .expression_attribute_names("#stream", "stream")
            .expression_attribute_values(":stream", AttributeValue::S(stream.to_owned()));
        let mut pages = query.into_paginator().send();
        let mut heads = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws::remote_error(self.operation("Query", stream, ""), error))?;
            for item in page.items() {
                let shard = item.get("shard").and_then(|shard| shard.as_s().ok()).map_or("", String::as_str);
                heads.push((shard.to_owned(), head(item)));
            }
        }
        Ok(heads)
    }

    async fn replace(&self, stream: &str, shard: &str, head: Option<Head>) -> Result<(), RemoteError> {
        let key = key(stream, shard);
        if let Some(head) = head {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(key));
            let put = put.item("head", AttributeValue::S(head.to_string())).send().await;
            return put.map(drop).map_err(|error| aws::remote_error(self.operation("PutItem", stream, shard), error));
        }
        let deleted = self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().await;
        deleted.map(drop).map_err(|error| aws::remote_error(self.operation("DeleteItem", stream, shard), error))
    }
}
