//! YAML with CloudFormation's short tags to JSON with their long forms: `!Ref X` is `{"Ref": "X"}`.

use super::TemplateError;
use serde_json::{Map, Value, json};
use yaml_serde::Value as Yaml;

pub(super) fn read(text: &str) -> Result<Value, TemplateError> {
    let yaml: Yaml =
        yaml_serde::from_str(text).map_err(|error| TemplateError::new("template", format!("is no YAML: {error}")))?;
    convert(yaml, "template")
}

fn convert(yaml: Yaml, path: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => {
            let json = match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Some(number.into()),
                (_, Some(number)) => Some(number.into()),
                _ => number.as_f64().and_then(serde_json::Number::from_f64).map(Value::Number),
            };
            json.ok_or_else(|| TemplateError::new(path, format!("{number} is no number of JSON")))?
        }
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| convert(item, &format!("{path}[{index}]")))
            .collect::<Result<_, _>>()?,
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = key_text(&key).ok_or_else(|| TemplateError::new(path, "has a key that is no text"))?;
                let value = convert(value, &format!("{path}.{key}"))?;
                map.insert(key, value);
            }
            map.into()
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let argument = convert(tagged.value, &format!("{path}.!{tag}"))?;
            match tag {
                "Ref" => json!({ "Ref": argument }),
                "Condition" => json!({ "Condition": argument }),
                "GetAtt" => json!({ "Fn::GetAtt": get_att(argument) }),
                _ => json!({ format!("Fn::{tag}"): argument }),
            }
        }
    })
}

/// `!GetAtt A.B.C` is the attribute `B.C` of `A`.
fn get_att(argument: Value) -> Value {
    match argument.as_str().and_then(|text| text.split_once('.')) {
        Some((logical_id, attribute)) => json!([logical_id, attribute]),
        None => argument,
    }
}

/// Keys that YAML reads as numbers and booleans are texts in a template.
fn key_text(key: &Yaml) -> Option<String> {
    match key {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
