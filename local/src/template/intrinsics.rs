//! The intrinsic functions of CloudFormation.

use super::TemplateError;
use super::ids::Ids;
use super::parameters::plain;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Conditions that refer to conditions, at most: more is a circle.
const DEPTH_MAX: usize = 32;

type Result<T> = std::result::Result<T, TemplateError>;

pub(super) struct Resolver<'a> {
    root: &'a Map<String, Value>,
    parameters: &'a BTreeMap<String, Value>,
    kinds: &'a BTreeMap<String, String>,
    ids: &'a dyn Ids,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        root: &'a Map<String, Value>,
        parameters: &'a BTreeMap<String, Value>,
        kinds: &'a BTreeMap<String, String>,
        ids: &'a dyn Ids,
    ) -> Self {
        Self { root, parameters, kinds, ids }
    }

    /// Whether the `Condition` of a resource or an output holds; without one it does.
    pub(super) fn condition_of(&self, item: &Value, path: &str) -> Result<bool> {
        match item.get("Condition") {
            None => Ok(true),
            Some(Value::String(name)) => self.named_condition(name, path, 0),
            Some(_) => Err(TemplateError::new(format!("{path}.Condition"), "is no name of a condition")),
        }
    }

    /// The value with all of its functions replaced; `None` where `AWS::NoValue` takes it out.
    pub(super) fn value(&self, value: &Value, path: &str) -> Result<Option<Value>> {
        Ok(Some(match value {
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.value(item, &format!("{path}[{index}]"))?);
                }
                resolved.into()
            }
            Value::Object(map) => match function(map) {
                Some((name, argument)) => return self.call(name, argument, &format!("{path}.{name}")),
                None => {
                    let mut resolved = Map::new();
                    for (key, value) in map {
                        if let Some(value) = self.value(value, &format!("{path}.{key}"))? {
                            resolved.insert(key.clone(), value);
                        }
                    }
                    resolved.into()
                }
            },
            plain => plain.clone(),
        }))
    }

    fn call(&self, name: &str, argument: &Value, path: &str) -> Result<Option<Value>> {
        let wrong = |message: &str| Err(TemplateError::new(path, message));
        Ok(Some(match name {
            "Ref" => {
                let Some(target) = argument.as_str() else { return wrong("needs a name") };
                return self.reference(target, path);
            }
            "Fn::GetAtt" => {
                let argument = self.list(argument, path)?;
                let [Value::String(logical_id), Value::String(attribute)] = &argument[..] else {
                    return wrong("needs a logical id and an attribute");
                };
                self.attribute(logical_id, attribute, path)?.into()
            }
            "Fn::Sub" => self.substitute(argument, path)?.into(),
            "Fn::If" => {
                let Some([Value::String(condition), then, otherwise]) = argument.as_array().map(Vec::as_slice) else {
                    return wrong("needs the name of a condition and two values");
                };
                let branch = if self.named_condition(condition, path, 0)? { then } else { otherwise };
                return self.value(branch, path);
            }
            "Fn::Join" => {
                let argument = self.list(argument, path)?;
                let [Value::String(delimiter), Value::Array(items)] = &argument[..] else {
                    return wrong("needs a delimiter and a list");
                };
                let items: Option<Vec<_>> = items.iter().map(plain).collect();
                let Some(items) = items else { return wrong("can join texts only") };
                items.join(delimiter).into()
            }
            "Fn::Split" => {
                let argument = self.list(argument, path)?;
                let [Value::String(delimiter), Value::String(text)] = &argument[..] else {
                    return wrong("needs a delimiter and a text");
                };
                text.split(delimiter.as_str()).map(Value::from).collect()
            }
            "Fn::Select" => {
                let argument = self.list(argument, path)?;
                let [index, Value::Array(items)] = &argument[..] else { return wrong("needs an index and a list") };
                let index = plain(index).and_then(|index| index.parse::<usize>().ok());
                match index.and_then(|index| items.get(index)) {
                    Some(item) => item.clone(),
                    None => return wrong("has an index outside of its list"),
                }
            }
            "Fn::FindInMap" => {
                let argument = self.list(argument, path)?;
                let keys: Option<Vec<_>> = argument.iter().map(plain).collect();
                let Some([map, first, second]) = keys.as_deref() else { return wrong("needs a mapping and two keys") };
                let found = self.section("Mappings").and_then(|maps| maps.get(map)?.get(first)?.get(second));
                match found {
                    Some(found) => found.clone(),
                    None => return wrong(&format!("finds no {map}.{first}.{second}")),
                }
            }
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => return wrong("belongs into Conditions"),
            "Fn::ImportValue" => return wrong("needs another stack, and there is only this one"),
            _ => return wrong("is a function that is not known here"),
        }))
    }

    fn list(&self, argument: &Value, path: &str) -> Result<Vec<Value>> {
        match self.value(argument, path)? {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(TemplateError::new(path, "needs a list")),
        }
    }

    fn reference(&self, target: &str, path: &str) -> Result<Option<Value>> {
        let pseudo = self.ids.pseudo();
        Ok(Some(match target {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => pseudo.account.clone().into(),
            "AWS::Region" => pseudo.region.clone().into(),
            "AWS::StackName" => pseudo.stack.clone().into(),
            "AWS::StackId" => {
                let super::Pseudo { account, region, stack } = pseudo;
                format!("arn:aws:cloudformation:{region}:{account}:stack/{stack}/local").into()
            }
            "AWS::Partition" => "aws".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::NotificationARNs" => Value::Array(Vec::new()),
            _ => match self.parameters.get(target) {
                Some(value) => value.clone(),
                None => self.ids.reference(target, self.kind(target, path)?).into(),
            },
        }))
    }

    fn attribute(&self, logical_id: &str, attribute: &str, path: &str) -> Result<String> {
        let kind = self.kind(logical_id, path)?;
        self.ids
            .attribute(logical_id, kind, attribute)
            .ok_or_else(|| TemplateError::new(path, format!("the attribute {attribute} of {kind} is not known here")))
    }

    /// The type of a resource that will be there.
    fn kind(&self, logical_id: &str, path: &str) -> Result<&str> {
        let kind = self.kinds.get(logical_id);
        let kind = kind.ok_or_else(|| TemplateError::new(path, format!("there is no {logical_id}")))?;
        if let Some(resource) = self.section("Resources").and_then(|resources| resources.get(logical_id)) {
            if !self.condition_of(resource, &format!("Resources.{logical_id}"))? {
                return Err(TemplateError::new(path, format!("{logical_id} is left out by its condition")));
            }
        }
        Ok(kind)
    }

    fn substitute(&self, argument: &Value, path: &str) -> Result<String> {
        let (text, own) = match argument {
            Value::String(text) => (text, None),
            Value::Array(items) => match &items[..] {
                [Value::String(text), Value::Object(own)] => (text, Some(own)),
                _ => return Err(TemplateError::new(path, "needs a text and a map")),
            },
            _ => return Err(TemplateError::new(path, "needs a text")),
        };
        let mut result = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let inner = &rest[start + 2..];
            let end = inner.find('}').ok_or_else(|| TemplateError::new(path, "has a ${ without its }"))?;
            let name = &inner[..end];
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else {
                let value = match (own.and_then(|own| own.get(name)), name.split_once('.')) {
                    (Some(value), _) => self.value(value, &format!("{path}.{name}"))?,
                    (None, Some((logical_id, attribute))) => Some(self.attribute(logical_id, attribute, path)?.into()),
                    (None, None) => self.reference(name, path)?,
                };
                let value = value.as_ref().and_then(plain);
                result.push_str(&value.ok_or_else(|| TemplateError::new(path, format!("{name} is no text")))?);
            }
            rest = &inner[end + 1..];
        }
        result.push_str(rest);
        Ok(result)
    }

    fn named_condition(&self, name: &str, path: &str, depth: usize) -> Result<bool> {
        if depth > DEPTH_MAX {
            return Err(TemplateError::new(path, format!("the condition {name} refers to itself")));
        }
        let condition = self.section("Conditions").and_then(|conditions| conditions.get(name));
        let condition = condition.ok_or_else(|| TemplateError::new(path, format!("there is no condition {name}")))?;
        self.condition(condition, &format!("Conditions.{name}"), depth)
    }

    fn condition(&self, condition: &Value, path: &str, depth: usize) -> Result<bool> {
        let wrong = |message: &str| TemplateError::new(path, message);
        let single = condition.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
        let (name, argument) = single.ok_or_else(|| wrong("is no condition"))?;
        if name == "Condition" {
            let name = argument.as_str().ok_or_else(|| wrong("needs the name of a condition"))?;
            return self.named_condition(name, path, depth + 1);
        }
        let arguments = argument.as_array().ok_or_else(|| wrong("needs a list"))?;
        let inner = || arguments.iter().map(|argument| self.condition(argument, path, depth + 1));
        match (name.as_str(), &arguments[..]) {
            ("Fn::Equals", [left, right]) => {
                let left = self.value(left, path)?.as_ref().and_then(plain);
                let right = self.value(right, path)?.as_ref().and_then(plain);
                match (left, right) {
                    (Some(left), Some(right)) => Ok(left == right),
                    _ => Err(wrong("compares texts only")),
                }
            }
            ("Fn::Not", [argument]) => Ok(!self.condition(argument, path, depth + 1)?),
            ("Fn::And", [_, _, ..]) => Ok(inner().collect::<Result<Vec<_>>>()?.into_iter().all(|holds| holds)),
            ("Fn::Or", [_, _, ..]) => Ok(inner().collect::<Result<Vec<_>>>()?.into_iter().any(|holds| holds)),
            ("Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or", _) => {
                Err(wrong(&format!("{name} has the wrong number of arguments")))
            }
            _ => Err(wrong(&format!("{name} is no function of conditions"))),
        }
    }

    fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.root.get(name).and_then(Value::as_object)
    }
}

/// The intrinsic function that a map is, if it is one.
fn function(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = map.iter().next().filter(|_| map.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name, argument))
}
