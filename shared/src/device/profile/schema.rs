//! The JSON Schema of profile documents, from which editors complete keys and show what they mean.

use super::ProfileDocument;
use serde_json::Value;

/// The schema, in the dialect of 2020-12. A document that follows it can have problems still, which
/// [`super::Profile::compile`] finds.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(ProfileDocument).to_value();
    schema["title"] = "A profile of Myaku".into();
    plain(&mut schema);
    schema
}

/// Turns the links of Rust's documentation in descriptions into plain words.
fn plain(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace("crate::device::reading::", "");
            }
            members.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}
