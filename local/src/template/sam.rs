//! What SAM adds to CloudFormation: globals, and resources that it makes for a function.

use super::TemplateError;
use serde_json::{Map, Value};

const FUNCTION: &str = "AWS::Serverless::Function";

/// Merges `Globals.Function` into every function: maps by key, lists one after the other (the globals' first), and a
/// function's own value over the global one otherwise.
pub(super) fn merge_globals(root: &mut Map<String, Value>) -> Result<(), TemplateError> {
    let Some(globals) = root.remove("Globals") else { return Ok(()) };
    let Value::Object(globals) = globals else { return Err(TemplateError::new("Globals", "is no map")) };
    if let Some(section) = globals.keys().find(|section| *section != "Function") {
        return Err(TemplateError::new(format!("Globals.{section}"), "is not known here, only Globals.Function"));
    }
    let Some(global) = globals.get("Function") else { return Ok(()) };
    let Some(Value::Object(resources)) = root.get_mut("Resources") else { return Ok(()) };
    for resource in resources.values_mut().filter(|resource| resource["Type"] == FUNCTION) {
        let own = resource["Properties"].take();
        resource["Properties"] = merge(global.clone(), own);
    }
    Ok(())
}

fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (global, Value::Null) => global,
        (Value::Object(mut global), Value::Object(own)) if !is_intrinsic(&global) && !is_intrinsic(&own) => {
            for (key, value) in own {
                let merged = merge(global.remove(&key).unwrap_or_default(), value);
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (_, own) => own,
    }
}

fn is_intrinsic(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}

/// The logical ids, with their types, of what SAM makes beside a function: a mapping for each stream or queue among
/// its events, and a role if it names none.
pub(super) fn generated(logical_id: &str, kind: &str, resource: &Value) -> Vec<(String, String)> {
    if kind != FUNCTION {
        return Vec::new();
    }
    let properties = &resource["Properties"];
    let events = properties["Events"].as_object().into_iter().flatten();
    let mut generated: Vec<_> = events
        .filter(|(_, event)| matches!(event["Type"].as_str(), Some("Kinesis" | "DynamoDB" | "SQS")))
        .map(|(name, _)| (format!("{logical_id}{name}"), "AWS::Lambda::EventSourceMapping".to_owned()))
        .collect();
    if properties["Role"].is_null() {
        generated.push((format!("{logical_id}Role"), "AWS::IAM::Role".to_owned()));
    }
    generated
}
