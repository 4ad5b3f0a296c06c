//! Converts YAML with CloudFormation's short tags (`!Ref`) to JSON with the long forms (`Ref`).

use super::TemplateError;
use serde_json::{Map, Number, Value, json};
use yaml_serde::Value as Yaml;

pub(super) fn to_json(yaml: Yaml, place: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_f64().and_then(Number::from_f64).map(Value::Number))
            .ok_or_else(|| TemplateError::at(place, format!("{number} is not a JSON number")))?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| to_json(item, &format!("{place}[{index}]")))
                .collect::<Result<_, _>>()?,
        ),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Number(key) => key.to_string(),
                    other => {
                        return Err(TemplateError::at(
                            place,
                            format!("{other:?} cannot be a key; use a text or a number"),
                        ));
                    }
                };
                let value = to_json(value, &format!("{place}.{key}"))?;
                object.insert(key, value);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let value = to_json(tagged.value, place)?;
            match (tag, value) {
                ("Ref" | "Condition", value) => json!({ tag: value }),
                ("GetAtt", Value::String(path)) => {
                    let (resource, attribute) = path.split_once('.').ok_or_else(|| {
                        TemplateError::at(
                            place,
                            format!("!GetAtt {path} names no attribute; write !GetAtt Resource.Attribute"),
                        )
                    })?;
                    json!({ "Fn::GetAtt": [resource, attribute] })
                }
                (_, value) => json!({ format!("Fn::{tag}"): value }),
            }
        }
    })
}
