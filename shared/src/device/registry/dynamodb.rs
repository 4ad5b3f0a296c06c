//! Stores master data in DynamoDB. The partition key is `pk` (`device#<id>`, `profile#<id>`); the attribute `document`
//! contains the JSON. Devices that stand in a facility also have the attribute `facility`, the key of the index of the same name;
//! facilities have [`FACILITIES`] there.

use super::batches::{CallOutcome, call_all};
use super::document::{Key, Kind, Stored, facility_of, parse_device};
use super::{Device, Directory, Facility, MasterData, MasterDataWriter, NotPut, Page};
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::dynamodb::is_written;
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The greatest number of keys in one `BatchGetItem`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const KEYS: usize = 100;
/// The greatest number of items in one `BatchWriteItem`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const WRITES: usize = 25;
/// How many facilities are noted at the same time.
const CONCURRENCY: usize = 16;
const KEY: &str = "pk";
const DOCUMENT: &str = "document";
/// An attribute, and the index whose partition key it is. The sort key is [`KEY`].
const FACILITY: &str = "facility";
/// The facility of the items of facilities, in the index. No name of a facility has a `#`.
const FACILITIES: &str = "#";

type Item = HashMap<String, AttributeValue>;

/// A table of master data. Reading needs `dynamodb:BatchGetItem`, and `Query` on the index to list by facility;
/// tools that write need `BatchWriteItem`, `PutItem` and `Scan`.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Lazy<Client>,
    table: String,
}

impl DynamoDb {
    /// Creates a store of master data in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into() }
    }

    fn operation(&self, call: &str) -> String {
        format!("{call} {}", self.table)
    }

    fn permanent_error(&self, call: &str, what: impl std::fmt::Display) -> RemoteError {
        RemoteError::new(self.operation(call), Remedy::GiveUp, what.to_string())
    }

    async fn get(&self, keys: Vec<Key>) -> Result<CallOutcome<Key, Vec<(Key, String)>>, RemoteError> {
        let keys = keys.iter().map(|key| Item::from([(KEY.to_owned(), AttributeValue::S(key.to_string()))])).collect();
        // Eventually consistent reads cost half, and their lag is much shorter than the time that an entry is cached.
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).build();
        let request = request.map_err(|error| self.permanent_error("BatchGetItem", error))?;
        let answer = self.client.batch_get_item().request_items(&self.table, request).send().await;
        let mut answer = answer.map_err(|error| remote_error(self.operation("BatchGetItem"), error))?;
        let found = answer.responses.as_mut().and_then(|tables| tables.remove(&self.table)).unwrap_or_default();
        let undone = answer.unprocessed_keys.as_mut().and_then(|tables| tables.remove(&self.table));
        Ok(CallOutcome {
            done: found.iter().map(|item| self.entry("BatchGetItem", item)).collect::<Result<_, _>>()?,
            undone: undone
                .map_or_else(Vec::new, |undone| undone.keys)
                .iter()
                .map(|item| self.key("BatchGetItem", item))
                .collect::<Result<_, _>>()?,
        })
    }

    async fn write(&self, documents: Vec<(Key, String)>) -> Result<CallOutcome<(Key, String), ()>, RemoteError> {
        let request = |(key, document): &(Key, String)| {
            let facility = match key.kind {
                Kind::Facility => Some(FACILITIES.to_owned()),
                Kind::Device | Kind::Profile => facility_of(key, document),
            };
            let mut put = PutRequest::builder()
                .item(KEY, AttributeValue::S(key.to_string()))
                .item(DOCUMENT, AttributeValue::S(document.clone()));
            if let Some(facility) = facility {
                put = put.item(FACILITY, AttributeValue::S(facility));
            }
            let put = put.build().map_err(|error| self.permanent_error("BatchWriteItem", error))?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let requests = documents.iter().map(request).collect::<Result<_, RemoteError>>()?;
        let answer = self.client.batch_write_item().request_items(&self.table, requests).send().await;
        let mut answer = answer.map_err(|error| remote_error(self.operation("BatchWriteItem"), error))?;
        let undone = answer.unprocessed_items.as_mut().and_then(|tables| tables.remove(&self.table));
        let undone = undone.unwrap_or_default();
        let undone = undone.iter().filter_map(|request| request.put_request.as_ref());
        let undone = undone.map(|put| self.entry("BatchWriteItem", &put.item)).collect::<Result<_, _>>()?;
        Ok(CallOutcome { done: (), undone })
    }

    /// Notes a facility by its name, unless it is known: its document may have contacts.
    async fn note_facility(&self, name: String) -> Result<(), RemoteError> {
        let key = Key::new(Kind::Facility, &name).to_string();
        let json = serde_json::to_string(&Facility::new(name));
        let json = json.map_err(|error| self.permanent_error("PutItem", error))?;
        let put = self.client.put_item().table_name(&self.table).item(KEY, AttributeValue::S(key));
        let put = put.item(DOCUMENT, AttributeValue::S(json)).item(FACILITY, AttributeValue::S(FACILITIES.to_owned()));
        let put = put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", KEY);
        is_written(self.operation("PutItem"), put.send().await).map(drop)
    }

    fn key(&self, call: &str, item: &Item) -> Result<Key, RemoteError> {
        let text = item.get(KEY).and_then(|value| value.as_s().ok());
        text.and_then(|text| Key::parse(text))
            .ok_or_else(|| self.permanent_error(call, format!("{KEY} {text:?} is not a key of the registry")))
    }

    /// Reads the key and the document of an item. If the document is missing it counts as empty, which is not valid. So
    /// only this entry is invalid, and the others can be used.
    fn entry(&self, call: &str, item: &Item) -> Result<(Key, String), RemoteError> {
        let document = item.get(DOCUMENT).and_then(|value| value.as_s().ok());
        Ok((self.key(call, item)?, document.cloned().unwrap_or_default()))
    }
}

impl MasterData for DynamoDb {
    async fn read(&self, keys: &[Key], now_ms: i64) -> Result<HashMap<Key, Stored>, RemoteError> {
        let found = call_all(&self.operation("BatchGetItem"), keys.to_vec(), KEYS, |keys| self.get(keys)).await;
        let found = found.map_err(|error| error.source)?;
        let mut answer: HashMap<Key, Stored> =
            keys.iter().map(|key| (key.clone(), Stored { document: None, read_ms: now_ms })).collect();
        for (key, document) in found.into_iter().flatten() {
            answer.insert(key, Stored { document: Some(document), read_ms: now_ms });
        }
        Ok(answer)
    }
}

impl MasterDataWriter for DynamoDb {
    async fn put(&self, documents: &[(Key, String)]) -> Result<(), NotPut> {
        // DynamoDB rejects a call that contains a key twice. The last document counts.
        let last: BTreeMap<_, _> = documents.iter().cloned().collect();
        // The facilities come first: a device that is written is listed.
        let facilities: BTreeSet<_> = last.iter().filter_map(|(key, json)| facility_of(key, json)).collect();
        let noted = stream::iter(facilities).map(|name| {
            let this = self.clone();
            async move { this.note_facility(name).await }
        });
        if let Err(source) = noted.buffer_unordered(CONCURRENCY).try_collect::<()>().await {
            return Err(NotPut { keys: last.into_keys().collect(), source });
        }
        let last: Vec<_> = last.into_iter().collect();
        match call_all(&self.operation("BatchWriteItem"), last, WRITES, |documents| self.write(documents)).await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(NotPut { keys: error.undone.into_iter().map(|(key, _)| key).collect(), source: error.source })
            }
        }
    }

    async fn list(&self, kind: Kind, after: Option<String>, limit: usize) -> Result<Page, RemoteError> {
        let start = after.map(|key| Item::from([(KEY.to_owned(), AttributeValue::S(key))]));
        // `Limit` counts the items before the filter, so a page can have fewer documents.
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("begins_with(#key, :kind)")
            .expression_attribute_names("#key", KEY)
            .expression_attribute_values(":kind", AttributeValue::S(Key::new(kind, "").to_string()))
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| remote_error(self.operation("Scan"), error))?;
        let documents = answer.items().iter().map(|item| self.entry("Scan", item)).collect::<Result<_, _>>()?;
        let next = answer.last_evaluated_key.as_ref().and_then(|item| item.get(KEY)).and_then(|key| key.as_s().ok());
        Ok(Page { documents, next: next.cloned() })
    }
}

impl DynamoDb {
    /// What `read` makes of the items of the index under `facility` whose keys are of `kind`, after `after`. Items that it makes
    /// nothing of are left out.
    async fn list_in<T>(
        &self,
        facility: &str,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
        read: impl Fn(Key, String) -> Option<T> + Send,
    ) -> Result<Vec<T>, RemoteError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(FACILITY)
            .key_condition_expression("facility = :facility AND #key > :after")
            .expression_attribute_names("#key", KEY)
            .expression_attribute_values(":facility", AttributeValue::S(facility.to_owned()))
            .expression_attribute_values(":after", AttributeValue::S(Key::new(kind, after.unwrap_or("")).to_string()))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .into_paginator()
            .items()
            .send();
        // Documents may be large, so several pages may be needed.
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(item) = items.next().await else { break };
            let item = item.map_err(|error| remote_error(self.operation("Query"), error))?;
            let (key, document) = self.entry("Query", &item)?;
            found.extend(read(key, document));
        }
        Ok(found)
    }
}

impl Directory for DynamoDb {
    async fn facilities(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, RemoteError> {
        self.list_in(FACILITIES, Kind::Facility, after, limit, |key, _| Some(key.id)).await
    }

    async fn devices_of(&self, facility: &str, after: Option<&str>, limit: usize) -> Result<Vec<Device>, RemoteError> {
        // The index has valid devices only, but this version may not be able to read one of a later version.
        self.list_in(facility, Kind::Device, after, limit, |_, document| parse_device(&document).ok()).await
    }
}
