//! The progress of functions in a DynamoDB table: partition key `function`, sort key `stream`, and an attribute for each
//! entry.

use super::{Progress, ProgressStore, differences, progress_of};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::dynamodb::{Attributes, is_written, text};
use crate::platform::errors::RemoteError;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use std::collections::HashMap;

/// The progress of functions in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDbProgress {
    client: Lazy<Client>,
    table: String,
}

impl DynamoDbProgress {
    /// The progress in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), table: table.into() }
    }
}

fn key(function: &str, stream: &str) -> Attributes {
    HashMap::from([("function".to_owned(), text(function)), ("stream".to_owned(), text(stream))])
}

impl ProgressStore for DynamoDbProgress {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        let operation = || format!("GetItem {}", self.table);
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(function, stream)));
        let answer = get.consistent_read(true).send().await.map_err(|error| remote_error(operation(), error))?;
        let item = answer.item.unwrap_or_default();
        let entries = item.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_s().ok()?.as_str())));
        progress_of(entries).ok_or_else(|| incomplete(&operation(), "usable progress"))
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        let differences = differences(before, after);
        if differences.is_empty() {
            return Ok(true);
        }
        let (mut names, mut values) = (HashMap::new(), Attributes::new());
        let (mut conditions, mut set, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (name, was, now)) in differences.into_iter().enumerate() {
            names.insert(format!("#n{index}"), name);
            match was {
                None => conditions.push(format!("attribute_not_exists(#n{index})")),
                Some(was) => {
                    conditions.push(format!("#n{index} = :w{index}"));
                    values.insert(format!(":w{index}"), text(&was));
                }
            }
            match now {
                None => remove.push(format!("#n{index}")),
                Some(now) => {
                    set.push(format!("#n{index} = :v{index}"));
                    values.insert(format!(":v{index}"), text(&now));
                }
            }
        }
        let clauses = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<_> = clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect();
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(function, stream)));
        let update = update
            .update_expression(clauses.join(" "))
            .condition_expression(conditions.join(" AND "))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()));
        is_written(format!("UpdateItem {}", self.table), update.send().await)
    }
}
