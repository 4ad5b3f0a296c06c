//! Results in a DynamoDB table: partition key `deviceId`, sort key `item`, time to live in `expiresAt`.
//!
//! Each row is a conditional put of its own, since `BatchWriteItem` takes no conditions. Many are in progress at a time.

use super::{Average, Item, LATEST_MS, Page, Results, ResultsReader, Row, StoredRow, Write, Written, history_key};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, integer, integer_of, text, text_of};
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many puts are in progress at a time, over all callers. A put takes some 5 ms, so one invocation makes some thousands
/// a second.
const CONCURRENCY: usize = 32;
/// Text that sorts above every thirteen digits.
const END: &str = ":";

/// Results in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDbResults {
    client: Lazy<Client>,
    table: String,
    puts: Arc<Semaphore>,
}

impl DynamoDbResults {
    /// Results in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        let puts = Arc::new(Semaphore::new(CONCURRENCY));
        Self { client: Lazy::new(config, Client::new), table: table.into(), puts }
    }

    async fn put(&self, write: &Write) -> Result<Written, RemoteError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(attributes(&write.row)))
            .expression_attribute_names("#stream", "stream")
            .expression_attribute_values(":stream", text(&write.row.stream))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut condition = "attribute_not_exists(deviceId) OR #stream <> :stream".to_owned();
        if let Some(over) = write.over {
            condition.push_str(" OR (#position <= :over AND #revision <= :revision)");
            put = put
                .expression_attribute_names("#position", "position")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":over", text(&over.to_string()))
                .expression_attribute_values(":revision", AttributeValue::N(write.revision.to_string()));
        }
        match put.condition_expression(condition).send().await {
            Ok(_) => Ok(Written::Stored),
            Err(SdkError::ServiceError(failed)) if failed.err().is_conditional_check_failed_exception() => {
                let there = match failed.err() {
                    PutItemError::ConditionalCheckFailedException(failure) => failure.item(),
                    _ => None,
                };
                there
                    .and_then(parse)
                    .map(|row| Written::Kept(StoredRow::from(&row)))
                    .ok_or_else(|| incomplete("PutItem", "stored row, or that row is not a result"))
            }
            Err(error) => Err(remote_error(format!("PutItem {}", self.table), error)),
        }
    }

    async fn query(
        &self,
        device_id: &str,
        from: String,
        to: String,
        limit: Option<usize>,
        after: Option<Attributes>,
    ) -> Result<(Vec<Row>, Option<Attributes>), RemoteError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("deviceId = :device AND #item BETWEEN :from AND :to")
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":device", text(device_id))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
            .set_limit(limit.map(|limit| i32::try_from(limit.max(1)).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(after)
            .send()
            .await
            .map_err(|error| remote_error(format!("Query {}", self.table), error))?;
        let rows = answer
            .items()
            .iter()
            .map(|item| parse(item).ok_or_else(|| incomplete("Query", "attribute that each result has")));
        Ok((rows.collect::<Result<_, _>>()?, answer.last_evaluated_key().cloned()))
    }
}

impl Results for DynamoDbResults {
    async fn write(&self, writes: &[Write]) -> Result<Vec<Written>, RemoteError> {
        let results = stream::iter(writes.to_vec()).map(|write| {
            let this = self.clone();
            async move {
                // The semaphore is never closed.
                let _permit = this.puts.acquire().await;
                this.put(&write).await
            }
        });
        results.buffered(CONCURRENCY).try_collect().await
    }
}

impl ResultsReader for DynamoDbResults {
    async fn latest(&self, device_id: &str) -> Result<Vec<Row>, RemoteError> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            // `$` is the character after `#`.
            let (more, next) = self.query(device_id, "latest#".into(), "latest$".into(), None, after).await?;
            rows.extend(more);
            after = next;
            if after.is_none() {
                return Ok(rows);
            }
        }
    }

    async fn history_page(
        &self,
        device_id: &str,
        metric: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Page, RemoteError> {
        if from_ms >= to_ms || to_ms <= 0 {
            return Ok(Page::default());
        }
        let to = if to_ms > LATEST_MS { format!("history#{metric}#{END}") } else { history_key(metric, to_ms - 1) };
        let (rows, more) = self.query(device_id, history_key(metric, from_ms), to, Some(limit), None).await?;
        let next_ms = match rows.last().map(|row| &row.item) {
            Some(Item::History { from_ms, .. }) if more.is_some() => Some(from_ms + 1),
            _ => None,
        };
        Ok(Page { rows, next_ms })
    }
}

/// A number; as text where it lies outside what DynamoDB's numbers hold, which are 38 digits between 1e-130 and
/// 9.99e125.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
fn number(value: f64) -> AttributeValue {
    let size = value.abs();
    if size != 0.0 && !(1e-129..1e125).contains(&size) {
        AttributeValue::S(format!("{value:e}"))
    } else {
        AttributeValue::N(format!("{value:e}"))
    }
}

fn attributes(row: &Row) -> Attributes {
    let mut attributes: Attributes = [
        ("deviceId", text(&row.device_id)),
        ("item", text(&row.item.key())),
        ("metric", text(row.item.metric())),
        ("facility", text(&row.facility)),
        ("unit", text(&row.unit)),
        ("value", number(row.value)),
        ("at", integer(row.at)),
        ("count", integer(row.average.count)),
        ("mean", number(row.average.mean)),
        ("min", number(row.average.min)),
        ("max", number(row.average.max)),
        ("stddev", number(row.average.stddev)),
        ("partial", AttributeValue::Bool(row.partial)),
        ("revision", integer(row.revision)),
        ("stream", text(&row.stream)),
        ("shard", text(&row.shard)),
        ("position", text(&row.position.to_string())),
        ("receivedAt", integer(row.received_at)),
        ("updatedAt", integer(row.updated_at)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    attributes.extend(row.base.map(|base| ("base".to_owned(), text(&base.to_string()))));
    attributes.extend(row.lost_until.map(|at| ("lostUntil".to_owned(), integer(at))));
    attributes.extend(row.expires_at.map(|at| ("expiresAt".to_owned(), integer(at))));
    attributes
}

/// The row of an item; `None` if an attribute is missing or of another type.
fn parse(item: &Attributes) -> Option<Row> {
    let text = |name: &str| text_of(item, name);
    let integer = |name: &str| integer_of(item, name);
    let number = |name: &str| match item.get(name)? {
        AttributeValue::N(digits) | AttributeValue::S(digits) => digits.parse::<f64>().ok(),
        _ => None,
    };
    Some(Row {
        device_id: text("deviceId")?.clone(),
        item: Item::parse(text("item")?)?,
        facility: text("facility")?.clone(),
        unit: text("unit")?.clone(),
        value: number("value")?,
        at: integer("at")?,
        average: Average {
            count: u32::try_from(integer("count")?).ok()?,
            mean: number("mean")?,
            min: number("min")?,
            max: number("max")?,
            stddev: number("stddev")?,
        },
        partial: *item.get("partial")?.as_bool().ok()?,
        lost_until: integer("lostUntil"),
        revision: u64::try_from(integer("revision")?).ok()?,
        stream: text("stream")?.clone(),
        shard: text("shard")?.clone(),
        position: text("position")?.parse().ok()?,
        base: match text("base") {
            Some(base) => Some(base.parse::<Position>().ok()?),
            None => None,
        },
        received_at: integer("receivedAt")?,
        updated_at: integer("updatedAt")?,
        expires_at: integer("expiresAt"),
    })
}
