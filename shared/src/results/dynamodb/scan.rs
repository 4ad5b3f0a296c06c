//! Reads the whole table, row by row as JSON, for a copy that is asked in SQL.

use super::DynamoDbResults;
use crate::platform::aws::remote_error;
use crate::platform::errors::RemoteError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

impl DynamoDbResults {
    /// Reads the next rows of the table, in no order: after those that ended at `after`, up to 1 MB. Each row is a JSON object
    /// of its attributes. Returns them, and where to go on; `None` at the end.
    pub async fn scan_page(
        &self,
        after: Option<ScanPosition>,
    ) -> Result<(Vec<Value>, Option<ScanPosition>), RemoteError> {
        let call =
            self.client.scan().table_name(&self.table).set_exclusive_start_key(after.map(|ScanPosition(key)| key));
        let page = call.send().await.map_err(|error| remote_error(format!("Scan {}", self.table), error))?;
        let rows = page.items.unwrap_or_default().into_iter().map(|item| object(item.into_iter())).collect();
        Ok((rows, page.last_evaluated_key.map(ScanPosition)))
    }
}

/// Where a page of a scan ended.
#[derive(Clone, Debug)]
pub struct ScanPosition(super::HashMap<String, AttributeValue>);

fn object(entries: impl Iterator<Item = (String, AttributeValue)>) -> Value {
    Value::Object(entries.map(|(name, value)| (name, json(value))).collect::<Map<_, _>>())
}

/// An attribute as JSON. A number keeps its digits if JSON's numbers can hold them. Rows have no sets and no binary values.
fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(digits) => serde_json::from_str(&digits).unwrap_or(Value::String(digits)),
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::M(entries) => object(entries.into_iter()),
        AttributeValue::L(items) => items.into_iter().map(json).collect(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::dynamodb::{integer, text};

    #[test]
    fn a_row_becomes_json_with_its_numbers() {
        let average = AttributeValue::M([("mean".to_owned(), AttributeValue::N("63.5".to_owned()))].into());
        let row = [
            ("deviceId".to_owned(), text("bed-17")),
            ("counted".to_owned(), integer(3)),
            ("metric:heart_rate".to_owned(), average),
        ];
        let expected = serde_json::json!({ "deviceId": "bed-17", "counted": 3, "metric:heart_rate": { "mean": 63.5 } });
        assert_eq!(object(row.into_iter()), expected);
    }
}
