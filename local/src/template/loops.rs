//! Expands `Fn::ForEach`, as CloudFormation's transform `AWS::LanguageExtensions` does.
//!
//! A loop is a list of an identifier, a collection and a map, its fragment. It makes the entries of the fragment once
//! for each item of the collection. CloudFormation replaces the identifier in the keys of the fragment (`${Name}`, or
//! `&{Name}` without the characters that are not alphanumeric), in the text of `Fn::Sub` (`${Name}`), and in a `Ref` to
//! it. It leaves the identifier in any other text, which is never what the author wants, so such a text is an error here.
//!
//! Source: CloudFormation's [template reference].
//!
//! [template reference]:
//! https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html

use super::intrinsics::function_of;
use super::{TemplateError, section};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const PREFIX: &str = "Fn::ForEach::";
const TRANSFORM: &str = "AWS::LanguageExtensions";
/// The sections in which CloudFormation allows loops.
const SECTIONS: [&str; 3] = ["Conditions", "Resources", "Outputs"];
/// CloudFormation's limit on loops inside loops.
const DEPTH_MAX: usize = 5;

/// The identifiers of the loops around a value, with the items of this repetition.
type Bound<'a> = BTreeMap<&'a str, String>;

/// The template without loops. Collections may refer to `parameters`.
pub(super) fn expand(template: &Value, parameters: &BTreeMap<String, String>) -> Result<Value, TemplateError> {
    let mut expanded = template.clone();
    let loops = Loops { template, parameters };
    for (name, content) in template.as_object().into_iter().flatten() {
        let Some(place) = first_loop(content, name) else { continue };
        if !SECTIONS.contains(&name.as_str()) {
            return Err(TemplateError::at(
                &place,
                format!("CloudFormation allows loops only in {}; move this one", SECTIONS.join(", ")),
            ));
        }
        if !declares_transform(&template["Transform"]) {
            return Err(TemplateError::at(&place, format!("a loop needs {TRANSFORM} in the template's Transform")));
        }
        expanded[name] = Value::Object(loops.members(section(template, name), name, &Bound::new())?);
    }
    Ok(expanded)
}

fn declares_transform(transform: &Value) -> bool {
    transform == TRANSFORM || transform.as_array().is_some_and(|all| all.iter().any(|one| one == TRANSFORM))
}

/// The place of the first loop in a value.
fn first_loop(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| first_loop(item, &format!("{place}[{index}]")))
        }
        Value::Object(entries) => entries.iter().find_map(|(key, value)| {
            let place = format!("{place}.{key}");
            if key.starts_with(PREFIX) { Some(place) } else { first_loop(value, &place) }
        }),
        _ => None,
    }
}

struct Loops<'a> {
    template: &'a Value,
    parameters: &'a BTreeMap<String, String>,
}

impl Loops<'_> {
    /// The entries of a map, with those that its loops make in the loops' place.
    fn members<'v>(
        &self,
        entries: impl Iterator<Item = (&'v String, &'v Value)>,
        place: &str,
        bound: &Bound<'_>,
    ) -> Result<Map<String, Value>, TemplateError> {
        let mut made = Map::new();
        for (key, value) in entries {
            let place = format!("{place}.{key}");
            let new = if key.starts_with(PREFIX) {
                self.repeat(value, &place, bound)?
            } else {
                refuse_identifiers(key, &place, bound)?;
                Map::from_iter([(key.clone(), self.value(value, &place, bound)?)])
            };
            for (key, value) in new {
                if made.contains_key(&key) {
                    let problem = format!("{key} is made twice; each key of a loop must contain its identifier");
                    return Err(TemplateError::at(&place, problem));
                }
                made.insert(key, value);
            }
        }
        Ok(made)
    }

    /// The entries that a loop makes.
    fn repeat(&self, value: &Value, place: &str, bound: &Bound<'_>) -> Result<Map<String, Value>, TemplateError> {
        let wrong = |problem: &str| TemplateError::at(place, problem);
        let [Value::String(name), collection, Value::Object(fragment)] =
            value.as_array().map_or(&[][..], Vec::as_slice)
        else {
            return Err(wrong("a loop takes a list of an identifier, a collection and a map"));
        };
        if bound.contains_key(name.as_str()) {
            return Err(wrong(&format!("a loop around this one has the identifier {name} too; choose another")));
        }
        if bound.len() == DEPTH_MAX {
            return Err(wrong(&format!("CloudFormation allows at most {DEPTH_MAX} loops inside each other")));
        }
        let mut made = Map::new();
        for item in self.collection(collection, place)? {
            let mut bound = bound.clone();
            bound.insert(name, item);
            let filled = fragment.iter().map(|(key, value)| Ok((fill(key, place, &bound)?, value)));
            let filled: Vec<(String, &Value)> = filled.collect::<Result<_, TemplateError>>()?;
            let entries = filled.iter().map(|(key, value)| (key, *value));
            for (key, value) in self.members(entries, place, &bound)? {
                if made.insert(key.clone(), value).is_some() {
                    return Err(wrong(&format!("{key} is made twice; each key of a loop must contain its identifier")));
                }
            }
        }
        Ok(made)
    }

    /// The items of a loop: a list of texts, or a parameter that is a list.
    fn collection(&self, collection: &Value, place: &str) -> Result<Vec<String>, TemplateError> {
        if let Some(("Ref", Value::String(name))) = function_of(collection) {
            let kind = self.template["Parameters"][name]["Type"].as_str().unwrap_or_default();
            let value = self.parameters.get(name).filter(|_| kind.contains("List"));
            let value = value.ok_or_else(|| TemplateError::at(place, format!("{name} is not a list parameter")))?;
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            return Ok(items.map(str::to_owned).collect());
        }
        let items = collection.as_array().and_then(|items| items.iter().map(|item| item.as_str()).collect());
        let items: Option<Vec<&str>> = items;
        let items = items.ok_or_else(|| {
            TemplateError::at(place, "the collection of a loop is a list of texts, or a Ref to a list parameter")
        })?;
        Ok(items.into_iter().map(str::to_owned).collect())
    }

    /// A value with its loops expanded and its identifiers replaced.
    fn value(&self, value: &Value, place: &str, bound: &Bound<'_>) -> Result<Value, TemplateError> {
        Ok(match (value, function_of(value)) {
            (_, Some(("Ref", Value::String(name)))) if bound.contains_key(name.as_str()) => {
                Value::String(bound[name.as_str()].clone())
            }
            (_, Some((function @ "Fn::Sub", argument))) => {
                Value::Object(Map::from_iter([(function.to_owned(), self.substitute(argument, place, bound)?)]))
            }
            (Value::Array(items), _) => {
                let items = items.iter().enumerate();
                Value::Array(
                    items
                        .map(|(index, item)| self.value(item, &format!("{place}[{index}]"), bound))
                        .collect::<Result<_, _>>()?,
                )
            }
            (Value::Object(entries), _) => Value::Object(self.members(entries.iter(), place, bound)?),
            (Value::String(text), _) => {
                refuse_identifiers(text, place, bound)?;
                value.clone()
            }
            (scalar, _) => scalar.clone(),
        })
    }

    /// The argument of `Fn::Sub`. Names of its own map hide identifiers.
    fn substitute(&self, argument: &Value, place: &str, bound: &Bound<'_>) -> Result<Value, TemplateError> {
        let replace = |text: &str, own: Option<&Map<String, Value>>| {
            let visible = bound.iter().filter(|(name, _)| !own.is_some_and(|own| own.contains_key(**name)));
            visible.fold(text.to_owned(), |text, (name, item)| text.replace(&format!("${{{name}}}"), item))
        };
        Ok(match argument {
            Value::String(text) => Value::String(replace(text, None)),
            Value::Array(parts) => match &parts[..] {
                [Value::String(text), Value::Object(own)] => {
                    let map = self.members(own.iter(), place, bound)?;
                    Value::Array(vec![Value::String(replace(text, Some(own))), Value::Object(map)])
                }
                _ => argument.clone(),
            },
            _ => argument.clone(),
        })
    }
}

/// A key of a loop's fragment for one item.
fn fill(key: &str, place: &str, bound: &Bound<'_>) -> Result<String, TemplateError> {
    let filled = bound.iter().fold(key.to_owned(), |key, (name, item)| {
        let alphanumeric: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
        key.replace(&format!("${{{name}}}"), item).replace(&format!("&{{{name}}}"), &alphanumeric)
    });
    if filled.contains("${") || filled.contains("&{") {
        let problem = format!("the key {filled} names an identifier that no loop around it has");
        return Err(TemplateError::at(place, problem));
    }
    Ok(filled)
}

/// Refuses an identifier where CloudFormation does not replace it.
fn refuse_identifiers(text: &str, place: &str, bound: &Bound<'_>) -> Result<(), TemplateError> {
    let stray = bound.keys().find(|name| ["$", "&"].iter().any(|mark| text.contains(&format!("{mark}{{{name}}}"))));
    stray.map_or(Ok(()), |name| {
        Err(TemplateError::at(place, format!("CloudFormation does not replace {name} in a plain text; use Fn::Sub")))
    })
}
