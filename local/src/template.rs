//! Resolves `template.yaml` for this machine: its loops, parameters, conditions and intrinsic functions. So `myaku local`
//! runs the template that is deployed.
//!
//! It supports the functions that the template uses. Anything else is an error that names the resource and the place in
//! it.

mod intrinsics;
mod loops;
mod physical;
mod yaml;

pub use physical::Names;

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read the template {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("the template is not valid YAML")]
    Yaml(#[from] yaml_serde::Error),
    /// The template contains a mistake, or something that `myaku local` does not support.
    #[error("template, {place}: {problem}")]
    Invalid {
        /// The place, for example `Resources.IngestStream.Properties.ShardCount`.
        place: String,
        /// What is wrong at that place.
        problem: String,
    },
}

impl TemplateError {
    fn at(place: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { place: place.to_owned(), problem: problem.into() }
    }
}

/// A template with its intrinsic functions in their long forms, not yet resolved.
#[derive(Clone, Debug)]
pub struct Template(Value);

/// A template whose loops, parameters, conditions and functions are resolved.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The value of every parameter.
    pub parameters: BTreeMap<String, String>,
    /// The resources whose conditions hold, by logical id.
    pub resources: BTreeMap<String, Resource>,
}

/// A resource of the resolved template.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its type, for example `AWS::Kinesis::Stream`.
    pub kind: String,
    /// The value of a `!Ref` to it: a name for most types.
    pub physical_id: String,
    /// The value of a `!GetAtt` of its `Arn`; empty if it has no ARN on this machine.
    pub arn: String,
    /// Its properties. A function's properties include SAM's globals. The value of a parameter is always a text.
    pub properties: Value,
    /// Its metadata. For a function, it says how to build it.
    pub metadata: Value,
}

impl Template {
    /// Reads the template at `path`.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self(yaml::to_json(yaml_serde::from_str(text)?, "template")?))
    }

    /// Whether the template declares a parameter of this name.
    pub fn declares(&self, parameter: &str) -> bool {
        self.0["Parameters"].get(parameter).is_some()
    }

    /// Resolves the template for `names` with the `given` parameters. The other parameters get their defaults.
    pub fn resolve(&self, given: &BTreeMap<String, String>, names: &Names) -> Result<Resolved, TemplateError> {
        let parameters = self.parameters(given)?;
        let template = loops::expand(&self.0, &parameters)?;
        let scope = intrinsics::Scope::new(&template, &parameters, names)?;
        scope.check_rules()?;
        let mut resources = BTreeMap::new();
        for (logical_id, resource) in section(&template, "Resources") {
            let place = format!("Resources.{logical_id}");
            let kind =
                resource["Type"].as_str().ok_or_else(|| TemplateError::at(&place, "the resource has no Type"))?;
            if let Some(condition) = resource["Condition"].as_str()
                && !scope.condition(condition, &place)?
            {
                continue;
            }
            let mut properties = resource.get("Properties").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            if kind == "AWS::Serverless::Function" {
                merge(&mut properties, &template["Globals"]["Function"]);
            }
            let properties = scope.resolve(&properties, &format!("{place}.Properties"))?.unwrap_or_default();
            let metadata = scope.resolve(&resource["Metadata"], &format!("{place}.Metadata"))?.unwrap_or_default();
            let physical_id = names.physical_id(logical_id, kind);
            let arn = names.attribute(logical_id, kind, "Arn").unwrap_or_default();
            let resource = Resource { kind: kind.to_owned(), physical_id, arn, properties, metadata };
            resources.insert(logical_id.clone(), resource);
        }
        Ok(Resolved { parameters, resources })
    }

    /// The value of every parameter: the given value after a check, or the default.
    fn parameters(&self, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, TemplateError> {
        let declared: BTreeMap<&String, &Value> = section(&self.0, "Parameters").collect();
        if let Some(unknown) = given.keys().find(|name| !declared.contains_key(name)) {
            return Err(TemplateError::at("Parameters", format!("the template has no parameter {unknown}")));
        }
        let mut values = BTreeMap::new();
        for (name, declaration) in declared {
            let place = format!("Parameters.{name}");
            let value = match (given.get(name), &declaration["Default"]) {
                (Some(value), _) => value.clone(),
                (None, Value::Null) => {
                    return Err(TemplateError::at(&place, "give a value; the parameter has no default"));
                }
                (None, default) => text(default),
            };
            if let Some(allowed) = declaration["AllowedValues"].as_array()
                && !allowed.iter().any(|one| text(one) == value)
            {
                let allowed: Vec<String> = allowed.iter().map(text).collect();
                let problem = format!("{value:?} is not allowed; use one of {}", allowed.join(", "));
                return Err(TemplateError::at(&place, problem));
            }
            check_number(declaration, &value, &place)?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

impl Resolved {
    /// The ARN of a resource.
    pub fn arn(&self, logical_id: &str) -> Result<String, TemplateError> {
        let arn = self.resources.get(logical_id).map(|resource| resource.arn.clone()).filter(|arn| !arn.is_empty());
        arn.ok_or_else(|| {
            TemplateError::at(&format!("Resources.{logical_id}"), "the resource has no ARN on this machine")
        })
    }

    /// The resources of one type, by logical id.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Resource)> {
        self.resources
            .iter()
            .filter(move |(_, resource)| resource.kind == kind)
            .map(|(id, resource)| (id.as_str(), resource))
    }
}

/// A whole number. It may be a number, or a text, as the values of parameters are.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether a value is true. It may be a boolean, or a text, as the values of parameters are.
pub(crate) fn flag(value: &Value) -> bool {
    value == &Value::Bool(true) || value.as_str() == Some("true")
}

/// A property that changes behaviour, and that `myaku local` does not support.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not run on this machine")]
pub(crate) struct UnknownProperty(String);

/// Refuses properties other than `known`, because ignoring a property in silence would hide a difference from AWS.
pub(crate) fn only(properties: &Value, known: &[&str]) -> Result<(), UnknownProperty> {
    let mut names = properties.as_object().into_iter().flatten().map(|(name, _)| name);
    names.find(|name| !known.contains(&name.as_str())).map_or(Ok(()), |name| Err(UnknownProperty(name.clone())))
}

fn section<'a>(template: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    template[name].as_object().into_iter().flatten()
}

/// A scalar as a text, which is how CloudFormation passes it on.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn check_number(declaration: &Value, value: &str, place: &str) -> Result<(), TemplateError> {
    if declaration["Type"] != "Number" {
        return Ok(());
    }
    let number: f64 = value.parse().map_err(|_| TemplateError::at(place, format!("{value:?} is not a number")))?;
    for (bound, broken) in [
        ("MinValue", number.lt(&bound_of(declaration, "MinValue", f64::MIN))),
        ("MaxValue", number.gt(&bound_of(declaration, "MaxValue", f64::MAX))),
    ] {
        if broken {
            let problem = format!("{value} is outside {bound}, which is {}", declaration[bound]);
            return Err(TemplateError::at(place, problem));
        }
    }
    Ok(())
}

fn bound_of(declaration: &Value, bound: &str, otherwise: f64) -> f64 {
    text(&declaration[bound]).parse().unwrap_or(otherwise)
}

/// Adds the entries of `globals` that `properties` lacks, map by map, as SAM does.
fn merge(properties: &mut Value, globals: &Value) {
    if let (Value::Object(properties), Value::Object(globals)) = (properties, globals) {
        for (name, global) in globals {
            match properties.get_mut(name) {
                None => {
                    properties.insert(name.clone(), global.clone());
                }
                Some(own) => merge(own, global),
            }
        }
    }
}

#[cfg(test)]
mod device_policy;
#[cfg(test)]
mod tests;
