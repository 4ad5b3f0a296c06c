//! Reads the latest averages from the table of results.

use anyhow::{Context as _, Result, bail};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// The sort key of a device's latest row.
const LATEST: &str = "latest#";
/// The prefix of the attributes that have the averages; the metric follows.
const METRIC: &str = "metric:";

/// The latest average of a device's metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latest {
    /// The device.
    pub device: String,
    /// The metric.
    pub metric: String,
    /// The newest reading's time, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The newest reading's value.
    pub value: f64,
    /// The mean of the window.
    pub mean: f64,
    /// How many readings are in the window.
    pub count: u64,
    /// The least of them.
    pub min: f64,
    /// The greatest of them.
    pub max: f64,
    /// Whether the row is marked partial: readings may be missing in the window.
    pub is_partial: bool,
    /// The position of the device's last record that the row was computed from, as fixed-width text.
    pub position: String,
    /// When the row was computed, in milliseconds since the epoch.
    pub updated_ms: i64,
}

/// Reads the rows of all devices.
pub async fn scan(client: &Client, table: &str) -> Result<Vec<Latest>> {
    let mut rows = Vec::new();
    let mut start = None;
    loop {
        let page = client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .with_context(|| format!("cannot scan table {table}"))?;
        for item in page.items() {
            rows.extend(latest(item)?);
        }
        start = page.last_evaluated_key().cloned();
        if start.is_none() {
            return Ok(rows);
        }
    }
}

/// Reads the row of one device.
pub async fn of_device(client: &Client, table: &str, device: &str) -> Result<Vec<Latest>> {
    let answer = client
        .get_item()
        .table_name(table)
        .key("deviceId", AttributeValue::S(device.to_owned()))
        .key("item", AttributeValue::S(LATEST.to_owned()))
        .send()
        .await
        .with_context(|| format!("cannot read table {table}"))?;
    answer.item().map_or_else(|| Ok(Vec::new()), latest)
}

/// The averages in a device's latest row; none for other rows.
fn latest(item: &HashMap<String, AttributeValue>) -> Result<Vec<Latest>> {
    if text(item, "item")? != LATEST {
        return Ok(Vec::new());
    }
    let mut averages = Vec::new();
    for (name, value) in item {
        let Some(metric) = name.strip_prefix(METRIC) else { continue };
        let Ok(of) = value.as_m() else { bail!("attribute {name} is not a map") };
        averages.push(Latest {
            device: text(item, "deviceId")?.to_owned(),
            metric: metric.to_owned(),
            at_ms: number(of, "at")?,
            value: number(of, "value")?,
            mean: number(of, "mean")?,
            count: number(of, "count")?,
            min: number(of, "min")?,
            max: number(of, "max")?,
            is_partial: of.get("partial").is_some_and(|partial| partial.as_bool() == Ok(&true)),
            position: text(item, "position")?.to_owned(),
            updated_ms: number(item, "updatedAt")?,
        });
    }
    Ok(averages)
}

fn text<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> Result<&'a str> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).with_context(|| format!("a row of results has no text {name}"))
}

fn number<T: std::str::FromStr>(item: &HashMap<String, AttributeValue>, name: &str) -> Result<T> {
    let value = item.get(name).and_then(|value| value.as_n().ok()).and_then(|value| value.parse().ok());
    value.with_context(|| format!("a row of results has no number {name}"))
}
