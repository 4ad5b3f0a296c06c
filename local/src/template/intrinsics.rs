//! Evaluates those of CloudFormation's intrinsic functions that the template uses.

use super::{Names, TemplateError, section, text};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::BTreeMap;

/// The limit on conditions inside conditions. More of them mean a circle.
const DEPTH_MAX: usize = 32;

/// What the functions can refer to.
pub(super) struct Scope<'a> {
    template: &'a Value,
    parameters: &'a BTreeMap<String, String>,
    names: &'a Names,
    /// The types of all resources, including those whose condition does not hold.
    kinds: BTreeMap<String, &'a str>,
    /// How many named conditions are being evaluated, each inside the one before.
    depth: Cell<usize>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        template: &'a Value,
        parameters: &'a BTreeMap<String, String>,
        names: &'a Names,
    ) -> Result<Self, TemplateError> {
        let mut kinds = BTreeMap::new();
        for (id, resource) in section(template, "Resources") {
            let kind = resource["Type"].as_str();
            let kind = kind.ok_or_else(|| TemplateError::at(&format!("Resources.{id}"), "the resource has no Type"))?;
            kinds.insert(id.clone(), kind);
            // SAM creates an event source mapping for each stream of a function. Its name is the function's and the
            // event's.
            for (event, source) in section(&resource["Properties"], "Events") {
                if source["Type"] == "Kinesis" {
                    kinds.insert(format!("{id}{event}"), "AWS::Lambda::EventSourceMapping");
                }
            }
        }
        Ok(Self { template, parameters, names, kinds, depth: Cell::default() })
    }

    /// Checks the assertions of the template's rules; the error has their descriptions.
    pub(super) fn check_rules(&self) -> Result<(), TemplateError> {
        for (name, rule) in section(self.template, "Rules") {
            let place = format!("Rules.{name}");
            if let Some(other) =
                rule.as_object().into_iter().flat_map(|rule| rule.keys()).find(|key| *key != "Assertions")
            {
                return Err(TemplateError::at(&place, format!("`myaku local` does not support {other} in a rule")));
            }
            for assertion in rule["Assertions"].as_array().into_iter().flatten() {
                if !self.truth(&assertion["Assert"], &place)? {
                    return Err(TemplateError::at(&place, text(&assertion["AssertDescription"])));
                }
            }
        }
        Ok(())
    }

    /// Whether a condition of the template holds.
    pub(super) fn condition(&self, name: &str, place: &str) -> Result<bool, TemplateError> {
        match &self.template["Conditions"][name] {
            Value::Null => Err(TemplateError::at(place, format!("the template has no condition {name}"))),
            _ if self.depth.get() > DEPTH_MAX => {
                Err(TemplateError::at(place, format!("the condition {name} depends on itself")))
            }
            condition => {
                self.depth.set(self.depth.get() + 1);
                let truth = self.truth(condition, &format!("Conditions.{name}"));
                self.depth.set(self.depth.get() - 1);
                truth
            }
        }
    }

    fn truth(&self, value: &Value, place: &str) -> Result<bool, TemplateError> {
        let (function, argument) =
            function_of(value).ok_or_else(|| TemplateError::at(place, "this is not a condition"))?;
        let all = || {
            argument
                .as_array()
                .map(Vec::as_slice)
                .ok_or_else(|| TemplateError::at(place, format!("{function} takes a list of conditions or values")))
        };
        match function {
            "Condition" => self.condition(&text(argument), place),
            "Fn::Equals" => match all()? {
                [a, b] => Ok(self.resolve(a, place)?.as_ref().map(text) == self.resolve(b, place)?.as_ref().map(text)),
                _ => Err(TemplateError::at(place, "Fn::Equals takes two values")),
            },
            "Fn::Not" => match all()? {
                [one] => Ok(!self.truth(one, place)?),
                _ => Err(TemplateError::at(place, "Fn::Not takes one condition")),
            },
            "Fn::And" => all()?.iter().try_fold(true, |so_far, one| Ok(self.truth(one, place)? && so_far)),
            "Fn::Or" => all()?.iter().try_fold(false, |so_far, one| Ok(self.truth(one, place)? || so_far)),
            other => Err(TemplateError::at(place, format!("`myaku local` does not support {other} in a condition"))),
        }
    }

    /// A value with all its functions resolved, or `None` for `AWS::NoValue`.
    pub(super) fn resolve(&self, value: &Value, place: &str) -> Result<Option<Value>, TemplateError> {
        if let Some((function, argument)) = function_of(value) {
            return self.call(function, argument, place);
        }
        Ok(Some(match value {
            Value::Array(items) => Value::Array(self.list(items, place)?),
            Value::Object(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.resolve(value, &format!("{place}.{key}"))? {
                        object.insert(key.clone(), value);
                    }
                }
                Value::Object(object)
            }
            scalar => scalar.clone(),
        }))
    }

    fn list(&self, items: &[Value], place: &str) -> Result<Vec<Value>, TemplateError> {
        let resolved = items.iter().enumerate().map(|(index, item)| self.resolve(item, &format!("{place}[{index}]")));
        resolved.filter_map(Result::transpose).collect()
    }

    fn call(&self, function: &str, argument: &Value, place: &str) -> Result<Option<Value>, TemplateError> {
        let wrong = |problem: String| TemplateError::at(place, problem);
        if function == "Fn::If" {
            let [condition, yes, no] = argument.as_array().map_or(&[][..], Vec::as_slice) else {
                return Err(wrong("Fn::If takes a condition and two values".to_owned()));
            };
            let chosen = if self.condition(&text(condition), place)? { yes } else { no };
            return self.resolve(chosen, place);
        }
        if function == "Fn::Sub" {
            return self.substitute(argument, place).map(|text| Some(Value::String(text)));
        }
        // The arguments of the other functions may be functions themselves.
        let resolved = self.resolve(argument, place)?.unwrap_or_default();
        let parts = resolved.as_array().map_or(&[][..], Vec::as_slice);
        match (function, parts) {
            ("Ref", _) => self.reference(&text(&resolved), place),
            ("Fn::GetAtt", [resource, attribute]) => self.attribute(&text(resource), &text(attribute), place).map(Some),
            ("Fn::Join", [separator, Value::Array(items)]) => {
                let items: Vec<String> = items.iter().map(text).collect();
                Ok(Some(Value::String(items.join(&text(separator)))))
            }
            ("Fn::Split", [separator, whole]) => {
                Ok(Some(text(whole).split(&text(separator)).map(|part| Value::String(part.to_owned())).collect()))
            }
            ("Fn::Select", [index, Value::Array(items)]) => {
                let chosen = text(index).parse().ok().and_then(|index: usize| items.get(index));
                chosen
                    .cloned()
                    .map(Some)
                    .ok_or_else(|| wrong(format!("the list of this Fn::Select has no item {index}")))
            }
            ("Fn::FindInMap", [map, first, second]) => {
                match &self.template["Mappings"][&text(map)][&text(first)][&text(second)] {
                    Value::Null => {
                        Err(wrong(format!("the mapping {} has no {} / {}", text(map), text(first), text(second))))
                    }
                    found => Ok(Some(found.clone())),
                }
            }
            _ => Err(wrong(format!("`myaku local` does not support {function} with these arguments"))),
        }
    }

    fn reference(&self, name: &str, place: &str) -> Result<Option<Value>, TemplateError> {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(value) = self.parameters.get(name) {
            let list = self.template["Parameters"][name]["Type"].as_str().is_some_and(|kind| kind.contains("List"));
            return Ok(Some(if list {
                value.split(',').map(|item| Value::String(item.trim().to_owned())).collect()
            } else {
                Value::String(value.clone())
            }));
        }
        let pseudo = self.names.pseudo(name);
        let named = pseudo.or_else(|| self.kinds.get(name).map(|kind| self.names.physical_id(name, kind)));
        named
            .or_else(|| self.is_mapping(name).then(|| self.names.physical_id(name, "AWS::Lambda::EventSourceMapping")))
            .map(|id| Some(Value::String(id)))
            .ok_or_else(|| TemplateError::at(place, format!("the template has no parameter and no resource {name}")))
    }

    /// Whether SAM creates an event source mapping of that name. The name is the function's and the event's.
    fn is_mapping(&self, name: &str) -> bool {
        section(self.template, "Resources").any(|(function, resource)| {
            name.strip_prefix(function.as_str())
                .is_some_and(|event| resource["Properties"]["Events"].get(event).is_some())
        })
    }

    fn attribute(&self, resource: &str, attribute: &str, place: &str) -> Result<Value, TemplateError> {
        let kind = self.kinds.get(resource);
        let kind = kind.ok_or_else(|| TemplateError::at(place, format!("the template has no resource {resource}")))?;
        let value = self.names.attribute(resource, kind, attribute);
        value.map(Value::String).ok_or_else(|| {
            TemplateError::at(place, format!("{attribute} of {resource} ({kind}) does not exist on this machine"))
        })
    }

    /// `Fn::Sub` with `${Name}`, `${Resource.Attribute}`, `${!Literal}`, and names of its own map.
    fn substitute(&self, argument: &Value, place: &str) -> Result<String, TemplateError> {
        let (pattern, own) = match argument {
            Value::String(pattern) => (pattern.as_str(), None),
            Value::Array(parts) => match &parts[..] {
                [Value::String(pattern), Value::Object(own)] => (pattern.as_str(), Some(own)),
                _ => return Err(TemplateError::at(place, "Fn::Sub takes a text and a map")),
            },
            _ => return Err(TemplateError::at(place, "Fn::Sub takes a text")),
        };
        let mut result = String::with_capacity(pattern.len());
        let mut rest = pattern;
        while let Some((before, placeholder)) = rest.split_once("${") {
            let (name, after) =
                placeholder.split_once('}').ok_or_else(|| TemplateError::at(place, "a ${ in this Fn::Sub has no }"))?;
            result.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
                continue;
            }
            let value = match (own.and_then(|own| own.get(name)), name.split_once('.')) {
                (Some(value), _) => self.resolve(value, place)?,
                (None, Some((resource, attribute))) => Some(self.attribute(resource, attribute, place)?),
                (None, None) => self.reference(name, place)?,
            };
            result.push_str(&value.as_ref().map(text).unwrap_or_default());
        }
        result.push_str(rest);
        Ok(result)
    }
}

/// The function that a value calls, and its argument: the value is a map with one key, the name of a function.
pub(super) fn function_of(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, argument) = object.iter().next()?;
    let function = name.starts_with("Fn::") || name == "Ref" || (name == "Condition" && argument.is_string());
    function.then_some((name.as_str(), argument))
}
