//! Incidents in a DynamoDB table, which also has the connections.
//!
//! An acknowledgement has attributes of its own, with the id of its incident. Writes of an incident leave them, and they count
//! for the incident of that id only. Incidents with a facility are in the index `facility`, by facility and by when they were raised.
//!
//! The partition key is `deviceId`; the sort key is `item`, with the value `incident#device-silent` or `incident#rule#<rule>`. Open
//! incidents have the attributes `queue` (`silent#<lane>` or `rules#<lane>`) and `dueAt`, the keys of the index `due`. Incidents
//! that are over are not in the index.

use super::{Cursor, Incident, Incidents, LANES, Page, Queue, ReadIncidents, Recent, Written};
use crate::alert::{Acknowledgement, Kind, Severity};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, integer, integer_of, is_written, text, text_of};
use crate::platform::errors::RemoteError;
use crate::platform::lane::lane;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The index of open and due items, by lane and time. Other stores in the same table use it too.
pub const INDEX: &str = "due";
/// The index of incidents by facility and by when they were raised.
pub const FACILITY_INDEX: &str = "facility";
/// The attributes that not every incident has. A write removes those that its incident does not have.
const OPTIONAL: [&str; 10] =
    ["facility", "rule", "metric", "order", "value", "limit", "queue", "dueAt", "clearedAt", "expiresAt"];
/// How many reads are in flight at the same time.
const CONCURRENCY: usize = 32;

/// Incidents in a table.
#[derive(Clone, Debug)]
pub struct DynamoDbIncidents {
    client: Lazy<Client>,
    table: String,
    retention: Duration,
}

impl DynamoDbIncidents {
    /// Incidents in `table`. One that is over expires after `retention`.
    pub fn new(config: &SdkConfig, table: impl Into<String>, retention: Duration) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into(), retention }
    }

    fn operation(&self, call: &str, device_id: &str, rule: Option<&str>) -> String {
        format!("{call} {} {device_id} {}", self.table, item_key(rule))
    }

    /// The attributes of an incident, without its key and its acknowledgement.
    fn attributes(&self, incident: &Incident) -> Attributes {
        let Incident { id, device_id, facility, rule, since_ms, raised_ms, cleared_ms, .. } = incident;
        let mut attributes = Attributes::new();
        let mut insert = |name: &str, value| attributes.insert(name.to_owned(), value);
        insert("incident", text(id));
        insert("kind", text(incident.kind.name()));
        insert("severity", text(incident.severity.name()));
        insert("since", integer(*since_ms));
        insert("raisedAt", integer(*raised_ms));
        insert("detail", text(&incident.detail));
        for (name, value) in
            [("facility", facility), ("rule", rule), ("metric", &incident.metric), ("order", &incident.order)]
        {
            attributes.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
        }
        for (name, value) in [("value", incident.value), ("limit", incident.limit)] {
            attributes.extend(value.map(|value| (name.to_owned(), AttributeValue::S(value.to_string()))));
        }
        match cleared_ms {
            None => {
                let queue = queue(Queue::of(incident), lane(device_id, LANES));
                attributes.insert("queue".to_owned(), AttributeValue::S(queue));
                attributes.insert("dueAt".to_owned(), integer(*raised_ms));
            }
            Some(at_ms) => {
                attributes.insert("clearedAt".to_owned(), integer(*at_ms));
                let until = at_ms.saturating_add(self.retention.as_millis() as i64) / 1_000;
                attributes.insert("expiresAt".to_owned(), integer(until));
            }
        }
        attributes
    }

    async fn get(&self, device_id: &str, rule: Option<&str>) -> Result<Option<Incident>, RemoteError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key(device_id, rule)));
        let answer = request.consistent_read(true).send().await;
        let operation = || self.operation("GetItem", device_id, rule);
        let answer = answer.map_err(|error| remote_error(operation(), error))?;
        let parsed =
            answer.item.map(|item| parse(&item).ok_or_else(|| incomplete(&operation(), "attributes of an incident")));
        parsed.transpose()
    }
}

fn queue(queue: Queue, lane: u8) -> String {
    format!("{}#{lane:02}", queue.name())
}

fn item_key(rule: Option<&str>) -> String {
    rule.map_or_else(|| format!("incident#{}", Kind::DeviceSilent.name()), |rule| format!("incident#rule#{rule}"))
}

fn key(device_id: &str, rule: Option<&str>) -> Attributes {
    [("deviceId".to_owned(), text(device_id)), ("item".to_owned(), text(&item_key(rule)))].into()
}

impl Incidents for DynamoDbIncidents {
    async fn open_of(&self, device_ids: &[&str]) -> Result<Vec<Option<Incident>>, RemoteError> {
        let ids: Vec<String> = device_ids.iter().map(|id| (*id).to_owned()).collect();
        let found = stream::iter(ids).map(|id| {
            let this = self.clone();
            async move { Ok(this.get(&id, None).await?.filter(|incident| incident.cleared_ms.is_none())) }
        });
        found.buffered(CONCURRENCY).try_collect().await
    }

    async fn last(&self, device_id: &str, rule: &str) -> Result<Option<Incident>, RemoteError> {
        self.get(device_id, Some(rule)).await
    }

    async fn put(&self, incident: &Incident) -> Result<Written, RemoteError> {
        // An item has a `queue` while its incident is open. A silence has no order.
        let condition = match (incident.cleared_ms, &incident.order) {
            (Some(_), _) => "#incident = :incident",
            (None, None) => {
                "attribute_not_exists(deviceId) OR (#incident = :incident AND attribute_exists(#queue)) \
                 OR (#incident <> :incident AND attribute_not_exists(#queue))"
            }
            (None, Some(_)) => {
                "attribute_not_exists(deviceId) OR (#incident = :incident AND attribute_exists(#queue)) \
                 OR (#incident <> :incident AND attribute_not_exists(#queue) AND #order < :order)"
            }
        };
        // An update, because the acknowledgement must stay. `incident` and `queue` are the names in the condition.
        let (device_id, rule) = (&incident.device_id, incident.rule.as_deref());
        let attributes = self.attributes(incident);
        let removed = OPTIONAL.iter().filter(|name| !attributes.contains_key(**name)).map(|name| format!("#{name}"));
        let removed = removed.collect::<Vec<_>>().join(", ");
        let set = attributes.keys().map(|name| format!("#{name} = :{name}")).collect::<Vec<_>>().join(", ");
        let names = attributes.keys().map(String::as_str).chain(OPTIONAL);
        let names = names.map(|name| (format!("#{name}"), name.to_owned())).collect();
        let values = attributes.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(device_id, rule)))
            .update_expression(format!("SET {set} REMOVE {removed}"))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        let is_written = is_written(self.operation("UpdateItem", device_id, rule), update.send().await)?;
        Ok(if is_written { Written::Done } else { Written::Conflict })
    }

    async fn open(&self, of: Queue, lane: u8, after: Option<&Cursor>, limit: usize) -> Result<Page, RemoteError> {
        let queue = AttributeValue::S(queue(of, lane));
        let start = after.map(|Cursor { raised_ms, device_id, rule }| {
            let mut start = key(device_id, rule.as_deref());
            start.insert("queue".to_owned(), queue.clone());
            start.insert("dueAt".to_owned(), integer(*raised_ms));
            start
        });
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("#queue = :queue")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", queue)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| remote_error(format!("Query {} {INDEX}", self.table), error))?;
        let next = answer.last_evaluated_key().and_then(|key| {
            let raised_ms = key.get("dueAt")?.as_n().ok()?.parse().ok()?;
            let item = key.get("item")?.as_s().ok()?;
            let rule = item.strip_prefix("incident#rule#").map(str::to_owned);
            Some(Cursor { raised_ms, device_id: key.get("deviceId")?.as_s().ok()?.clone(), rule })
        });
        Ok(Page { incidents: self.incidents(answer.items()), next })
    }
}

impl DynamoDbIncidents {
    /// The incidents of items. An item that cannot be read is logged and skipped: it must not stop the others.
    fn incidents(&self, items: &[Attributes]) -> Vec<Incident> {
        let incidents = items.iter().filter_map(|item| {
            let incident = parse(item);
            if incident.is_none() {
                let device = item.get("deviceId").and_then(|id| id.as_s().ok());
                tracing::error!(table = self.table, device, "an item that should be an incident is none");
            }
            incident
        });
        incidents.collect()
    }

    /// A query for the incidents that were raised in a facility within some time, the newest first.
    fn in_facility(&self, facility: &str, raised_ms: &RangeInclusive<i64>) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(FACILITY_INDEX)
            .key_condition_expression("facility = :facility AND raisedAt BETWEEN :from AND :to")
            .expression_attribute_values(":facility", text(facility))
            .expression_attribute_values(":from", integer(*raised_ms.start()))
            .expression_attribute_values(":to", integer(*raised_ms.end()))
            .scan_index_forward(false)
    }
}

impl ReadIncidents for DynamoDbIncidents {
    async fn of_device(&self, device_id: &str) -> Result<Vec<Incident>, RemoteError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("deviceId = :device AND begins_with(#item, :incident)")
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":device", text(device_id))
            .expression_attribute_values(":incident", text("incident#"));
        let items: Result<Vec<_>, _> = query.into_paginator().items().send().collect().await;
        let items = items.map_err(|error| remote_error(format!("Query {} {device_id}", self.table), error))?;
        Ok(self.incidents(&items))
    }

    async fn of_facility(
        &self,
        facility: &str,
        raised_ms: RangeInclusive<i64>,
        limit: usize,
    ) -> Result<Recent, RemoteError> {
        // One more shows whether the last millisecond is whole.
        let limit = limit.max(1);
        let size = i32::try_from(limit + 1).unwrap_or(i32::MAX);
        let query = self.in_facility(facility, &raised_ms);
        let mut items = query.into_paginator().page_size(size).items().send();
        let (mut found, mut has_more) = (Vec::new(), false);
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| remote_error(format!("Query {} {FACILITY_INDEX}", self.table), error))?;
            let Some(incident) = self.incidents(&[item]).pop() else { continue };
            let last: Option<&Incident> = found.last();
            if found.len() >= limit && last.is_some_and(|last| last.raised_ms != incident.raised_ms) {
                has_more = true;
                break;
            }
            found.push(incident);
        }
        Ok(Recent { incidents: found, has_more })
    }

    async fn open_in(&self, facility: &str) -> Result<Vec<Incident>, RemoteError> {
        let query = self.in_facility(facility, &(0..=i64::MAX)).filter_expression("attribute_exists(#queue)");
        let query = query.expression_attribute_names("#queue", "queue");
        let items: Result<Vec<_>, _> = query.into_paginator().items().send().collect().await;
        let items = items.map_err(|error| remote_error(format!("Query {} {FACILITY_INDEX}", self.table), error))?;
        Ok(self.incidents(&items))
    }

    async fn acknowledge(
        &self,
        device_id: &str,
        rule: Option<&str>,
        id: &str,
        acknowledgement: &Acknowledgement,
    ) -> Result<Option<Incident>, RemoteError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(device_id, rule)))
            .update_expression("SET acknowledged = :id, acknowledgedBy = :by, acknowledgedAt = :at")
            .condition_expression("incident = :id AND attribute_exists(#queue) AND (attribute_not_exists(acknowledged) OR acknowledged <> :id)")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":id", text(id))
            .expression_attribute_values(":by", text(&acknowledgement.by))
            .expression_attribute_values(":at", integer(acknowledgement.at_ms))
            .return_values(ReturnValue::None);
        is_written(self.operation("UpdateItem", device_id, rule), update.send().await)?;
        // Whether it was written or not, what is stored now is the answer.
        Ok(self.get(device_id, rule).await?.filter(|stored| stored.id == id))
    }
}

/// The incident of an item; `None` if an attribute is missing or of another type. Earlier versions knew only silences, and wrote
/// neither kind nor words.
fn parse(item: &Attributes) -> Option<Incident> {
    let text = |name: &str| text_of(item, name).cloned();
    let integer = |name: &str| integer_of(item, name);
    let number = |name: &str| text_of(item, name)?.parse().ok();
    let id = text("incident")?;
    let acknowledged = text_of(item, "acknowledged").filter(|acknowledged| **acknowledged == id);
    let acknowledged = acknowledged
        .and_then(|_| Some(Acknowledgement { by: text("acknowledgedBy")?, at_ms: integer("acknowledgedAt")? }));
    Some(Incident {
        id,
        kind: text_of(item, "kind").map_or(Some(Kind::DeviceSilent), |name| Kind::of(name))?,
        severity: text_of(item, "severity").map_or(Some(Severity::Warning), |name| Severity::of(name))?,
        rule: text("rule"),
        device_id: text("deviceId")?,
        facility: text("facility"),
        metric: text("metric"),
        value: number("value"),
        limit: number("limit"),
        since_ms: integer("since")?,
        raised_ms: integer("raisedAt")?,
        detail: text("detail").unwrap_or_default(),
        cleared_ms: integer("clearedAt"),
        order: text("order"),
        acknowledged,
    })
}
