//! Results in a DynamoDB table: partition key `deviceId`, sort key `item`, time to live in `expiresAt`.
//!
//! Each row is a conditional write of its own, since `BatchWriteItem` takes no conditions. Many are in progress at a time.
//! The outcome of a metric is a map in the attribute `metric:<name>`.
//!
//! Rows of one metric, with its name in their sort keys, were written until rows had all metrics of a device. They are still
//! read.

mod scan;

pub use scan::ScanPosition;

use super::{
    Field, Fields, Intervals, Item, LATEST_MS, Mark, MetricResult, Outcome, Page, ReadIntervals, Results,
    ResultsReader, Row, RowNames, history_key,
};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, integer, integer_of, is_written, text, text_of};
use crate::platform::errors::RemoteError;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many writes are in progress at a time, over all callers. A write takes some 5 ms, so one invocation makes some
/// thousands a second.
const CONCURRENCY: usize = 32;
/// Text that sorts above every thirteen digits.
const END: &str = ":";
/// The prefix of the attributes that have the results of the metrics.
const METRIC: &str = "metric:";
/// What a stored row must be to give way: see [`Results::write`].
const CONDITION: &str = "attribute_not_exists(deviceId) OR #stream <> :stream \
                         OR #position < :position OR (#position = :position AND #counted <= :counted)";

/// How many metrics one update sets: an expression has 4 KB at most. More take several updates.
const METRICS_MAX: usize = 100;

/// Results in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDbResults {
    client: Lazy<Client>,
    table: String,
    writes: Arc<Semaphore>,
}

impl DynamoDbResults {
    /// Results in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        let writes = Arc::new(Semaphore::new(CONCURRENCY));
        Self { client: Lazy::new(config, Client::new), table: table.into(), writes }
    }

    async fn write_one<O: Outcome>(&self, row: &Row<O>) -> Result<(), RemoteError> {
        let metrics: Vec<_> = row.metrics.iter().collect();
        if row.item == Item::Latest {
            let (names, values) = condition(row);
            let put = self.client.put_item().table_name(&self.table);
            let put = put.set_item(Some(attributes(row, &metrics).into_iter().chain(key(row)).collect()));
            let put = put.set_expression_attribute_names(Some(names)).set_expression_attribute_values(Some(values));
            let put = put.condition_expression(CONDITION).send().await;
            return is_written(format!("PutItem {}", self.table), put).map(drop);
        }
        for metrics in metrics.chunks(METRICS_MAX) {
            self.update(row, metrics).await?;
        }
        Ok(())
    }

    /// Sets `metrics` and the attributes of the row, and leaves other metrics.
    async fn update<O: Outcome>(&self, row: &Row<O>, metrics: &[(&String, &O)]) -> Result<(), RemoteError> {
        let (mut names, mut values) = condition(row);
        let mut assignments = Vec::new();
        for (index, (name, value)) in attributes(row, metrics).into_iter().enumerate() {
            assignments.push(format!("#a{index} = :a{index}"));
            names.insert(format!("#a{index}"), name);
            values.insert(format!(":a{index}"), value);
        }
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(row)));
        let update = update.set_expression_attribute_names(Some(names)).set_expression_attribute_values(Some(values));
        let update = update.update_expression(format!("SET {}", assignments.join(", ")));
        let update = update.condition_expression(CONDITION).send().await;
        is_written(format!("UpdateItem {}", self.table), update).map(drop)
    }

    /// A query for the rows of a device whose sort keys are from `from` to `to`.
    fn keys_between(&self, device_id: &str, from: String, to: String) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("deviceId = :device AND #item BETWEEN :from AND :to")
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":device", text(device_id))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
    }

    /// The rows of a device whose sort keys are from `from` to `to`, in their order, and where to ask again.
    async fn query<O: Outcome>(
        &self,
        device_id: &str,
        from: String,
        to: String,
        limit: Option<usize>,
        after: Option<Attributes>,
    ) -> Result<(Vec<Row<O>>, Option<Attributes>), RemoteError> {
        let answer = self
            .keys_between(device_id, from, to)
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

    /// At most `limit` rows of history under the keys of `metric`, or under those of whole devices if it is empty; and
    /// from which time to ask again.
    async fn history_of(
        &self,
        device_id: &str,
        metric: &str,
        (from_ms, to_ms): (i64, i64),
        limit: usize,
    ) -> Result<(Vec<Row>, Option<i64>), RemoteError> {
        let names = MetricResult::NAMES;
        let to = if to_ms > LATEST_MS {
            format!("{}#{metric}#{END}", names.history)
        } else {
            history_key(names, metric, to_ms - 1)
        };
        let (rows, more) = self.query(device_id, history_key(names, metric, from_ms), to, Some(limit), None).await?;
        let next_ms = rows.last().filter(|_| more.is_some()).map(|row| from_of(row) + 1);
        Ok((rows, next_ms))
    }
}

impl<O: Outcome> Results<O> for DynamoDbResults {
    async fn write(&self, rows: &[Row<O>]) -> Result<(), RemoteError> {
        let writes = stream::iter(rows.to_vec()).map(|row| {
            let this = self.clone();
            async move {
                // The semaphore is never closed.
                let _permit = this.writes.acquire().await;
                this.write_one(&row).await
            }
        });
        writes.buffer_unordered(CONCURRENCY).try_collect().await
    }

    async fn latest_mark(&self, device_id: &str) -> Result<Option<Mark>, RemoteError> {
        let [from, to] = latest_keys(O::NAMES);
        // The row of all metrics comes before those of one metric.
        let query = self.keys_between(device_id, from, to).limit(1).projection_expression("lostUntil");
        let answer = query.send().await.map_err(|error| remote_error(format!("Query {}", self.table), error))?;
        Ok(answer.items().first().map(|row| Mark { lost_until: integer_of(row, "lostUntil") }))
    }
}

impl ResultsReader for DynamoDbResults {
    async fn latest(&self, device_id: &str) -> Result<Option<Row>, RemoteError> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let [from, to] = latest_keys(MetricResult::NAMES);
            let (more, next) = self.query(device_id, from, to, None, after).await?;
            rows.extend(more);
            after = next;
            if after.is_none() {
                break;
            }
        }
        // The row of all metrics comes first, and what it has is newer than what a row of one metric has.
        let mut metrics = BTreeMap::new();
        for row in rows.iter().rev() {
            metrics.extend(row.metrics.clone());
        }
        let newest = rows.into_iter().max_by_key(|row| row.position);
        Ok(newest.map(|row| Row { metrics, ..row }))
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
        let range = (from_ms, to_ms);
        let (of_device, of_metric) = futures::try_join!(
            self.history_of(device_id, "", range, limit),
            self.history_of(device_id, metric, range, limit)
        )?;
        let mut rows: BTreeMap<i64, Row> = of_metric.0.into_iter().map(|row| (from_of(&row), row)).collect();
        let of_device_rows = of_device.0.into_iter().filter(|row| row.metrics.contains_key(metric));
        rows.extend(of_device_rows.map(|row| (from_of(&row), row)));
        let mut next_ms = [of_device.1, of_metric.1].into_iter().flatten().min();
        let mut rows: Vec<Row> =
            rows.into_iter().filter(|(from, _)| next_ms.is_none_or(|next| *from < next)).map(|(_, row)| row).collect();
        if let Some(more) = rows.get(limit) {
            next_ms = Some(from_of(more));
        }
        rows.truncate(limit);
        Ok(Page { rows, next_ms })
    }
}

impl<O: Outcome> ReadIntervals<O> for DynamoDbResults {
    async fn intervals(
        &self,
        device_id: &str,
        seconds: u32,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Intervals<O>, RemoteError> {
        if from_ms >= to_ms || to_ms <= 0 {
            return Ok(Intervals { rows: Vec::new(), next_ms: None });
        }
        let key = |from_ms| Item::History { seconds, from_ms }.key(O::NAMES);
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let left = limit - rows.len();
            let (more, next) = self.query(device_id, key(from_ms), key(to_ms - 1), Some(left), after).await?;
            rows.extend(more);
            after = next;
            if after.is_none() || rows.len() >= limit {
                break;
            }
        }
        let next_ms = rows.last().filter(|_| after.is_some()).map(|row| from_of(row) + 1);
        Ok(Intervals { rows, next_ms })
    }
}

/// The first and the last sort key that a latest row can have.
fn latest_keys(names: RowNames) -> [String; 2] {
    // `$` is the character after `#`.
    ["#", "$"].map(|end| format!("{}{end}", names.latest))
}

/// The beginning of the interval of a row of history.
const fn from_of<O>(row: &Row<O>) -> i64 {
    match row.item {
        Item::History { from_ms, .. } => from_ms,
        Item::Latest => 0,
    }
}

/// The names and values of [`CONDITION`].
fn condition<O>(row: &Row<O>) -> (HashMap<String, String>, Attributes) {
    let names = ["stream", "position", "counted"].map(|name| (format!("#{name}"), name.to_owned()));
    let values = [
        (":stream", text(&row.stream)),
        (":position", text(&row.position.to_string())),
        (":counted", integer(row.counted)),
    ];
    (HashMap::from(names), values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn key<O: Outcome>(row: &Row<O>) -> Attributes {
    let key = [("deviceId", text(&row.device_id)), ("item", text(&row.key()))];
    key.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn attributes<O: Outcome>(row: &Row<O>, metrics: &[(&String, &O)]) -> Attributes {
    let attributes = [
        ("facility", text(&row.facility)),
        ("stream", text(&row.stream)),
        ("shard", text(&row.shard)),
        ("position", text(&row.position.to_string())),
        ("counted", integer(row.counted)),
        ("receivedAt", integer(row.received_at)),
        ("updatedAt", integer(row.updated_at)),
    ];
    let mut attributes: Attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    attributes.extend(row.lost_until.map(|at| ("lostUntil".to_owned(), integer(at))));
    attributes.extend(row.expires_at.map(|at| ("expiresAt".to_owned(), integer(at))));
    let of_metric = |outcome: &O| AttributeValue::M(map(&outcome.fields()));
    attributes.extend(metrics.iter().map(|(name, outcome)| (format!("{METRIC}{name}"), of_metric(outcome))));
    attributes
}

/// The row of an item; `None` if an attribute is missing or of another type.
fn parse<O: Outcome>(item: &Attributes) -> Option<Row<O>> {
    let text = |name: &str| text_of(item, name);
    let integer = |name: &str| integer_of(item, name);
    // A row of one metric has the result in its own attributes.
    let metrics = if let Some(metric) = text("metric") {
        BTreeMap::from([(metric.clone(), O::from_fields(&fields(item))?)])
    } else {
        let maps = item.iter().filter_map(|(name, value)| Some((name.strip_prefix(METRIC)?, value)));
        let outcomes = maps.map(|(name, value)| Some((name.to_owned(), O::from_fields(&fields(value.as_m().ok()?))?)));
        outcomes.collect::<Option<_>>()?
    };
    Some(Row {
        device_id: text("deviceId")?.clone(),
        item: Item::parse(text("item")?, O::NAMES)?,
        facility: text("facility")?.clone(),
        metrics,
        stream: text("stream")?.clone(),
        shard: text("shard")?.clone(),
        position: text("position")?.parse().ok()?,
        counted: u64::try_from(integer("counted").or_else(|| integer("revision"))?).ok()?,
        // In a row of one metric, it is that of the metric.
        lost_until: integer("lostUntil"),
        received_at: integer("receivedAt")?,
        updated_at: integer("updatedAt")?,
        expires_at: integer("expiresAt"),
    })
}

/// The attributes of fields.
fn map(fields: &Fields) -> Attributes {
    fields.iter().map(|(name, value)| (name.to_owned(), attribute(value))).collect()
}

fn attribute(field: &Field) -> AttributeValue {
    match field {
        Field::Number(value) => number(*value),
        Field::Integer(value) => integer(*value),
        Field::Flag(flag) => AttributeValue::Bool(*flag),
        Field::Text(value) => text(value),
        Field::Bytes(bytes) => AttributeValue::B(bytes.as_slice().into()),
        Field::List(list) => AttributeValue::L(list.iter().map(attribute).collect()),
        Field::Map(fields) => AttributeValue::M(map(fields)),
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

/// The fields of a map. Attributes of kinds that no field has are left out.
fn fields(map: &Attributes) -> Fields {
    map.iter().filter_map(|(name, value)| Some((name.clone(), field(value)?))).collect()
}

fn field(value: &AttributeValue) -> Option<Field> {
    Some(match value {
        // DynamoDB drops the exponent, so a number may come back as a whole number.
        AttributeValue::N(digits) => match digits.parse() {
            Ok(integer) => Field::Integer(integer),
            Err(_) => Field::Number(digits.parse().ok()?),
        },
        AttributeValue::Bool(flag) => Field::Flag(*flag),
        AttributeValue::S(text) => Field::Text(text.clone()),
        AttributeValue::B(bytes) => Field::Bytes(bytes.as_ref().to_vec()),
        AttributeValue::L(list) => Field::List(list.iter().map(field).collect::<Option<_>>()?),
        AttributeValue::M(map) => Field::Map(fields(map)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_it_is_written_and_a_row_of_one_metric_is_read_still() {
        let old = [
            ("deviceId", text("bed-17")),
            ("item", text("history#heart_rate#0000000060000")),
            ("metric", text("heart_rate")),
            ("facility", text("home-3")),
            ("unit", text("1/min")),
            ("value", number(65.0)),
            ("at", integer(61_000)),
            ("count", integer(3)),
            ("mean", number(63.0)),
            ("min", number(61.0)),
            ("max", number(65.0)),
            ("stddev", number(1.5)),
            ("partial", AttributeValue::Bool(false)),
            ("revision", integer(7)),
            ("stream", text("readings")),
            ("shard", text("shardId-000000000000")),
            ("position", text("5.0")),
            ("receivedAt", integer(61_001)),
            ("updatedAt", integer(61_002)),
        ];
        let old: Attributes = old.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let row: Row = parse(&old).unwrap();
        assert_eq!((row.item, row.counted), (Item::history(60_000), 7));
        assert_eq!(row.metrics["heart_rate"].average.mean.to_string(), "63");
        let metrics: Vec<_> = row.metrics.iter().collect();
        let written: Attributes = attributes(&row, &metrics).into_iter().chain(key(&row)).collect();
        assert_eq!(parse(&written), Some(row));
    }
}
