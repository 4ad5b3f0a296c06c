//! `template.yaml` as CloudFormation would read it: SAM's globals, parameters, mappings, conditions and intrinsic
//! functions, resolved to plain JSON.
//!
//! What CloudFormation knows only after it has made a resource (its name, its ARN) is asked of [`Ids`]. What this does
//! not know is an error that says where it stands, never a guess.

mod ids;
mod intrinsics;
mod parameters;
mod sam;
#[cfg(test)]
mod tests;
mod yaml;

pub use ids::{Ids, PhysicalIds, Pseudo};

use intrinsics::Resolver;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path as FilePath;

/// A template that cannot be used, with the place where it cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct TemplateError {
    /// Names from the root of the template, joined by dots: `Resources.IngestStream.Properties.ShardCount`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl TemplateError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A template as it was written, in the long form of its intrinsic functions and with the globals merged.
#[derive(Clone, Debug)]
pub struct Template {
    root: Map<String, Value>,
}

/// A template whose every value is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The resources whose condition holds, by logical id.
    pub resources: BTreeMap<String, Resource>,
    /// The values of the outputs whose condition holds.
    pub outputs: BTreeMap<String, Value>,
}

/// A resource to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its type, such as `AWS::Kinesis::Stream`.
    pub kind: String,
    /// The name that [`Ids`] gave it.
    pub physical_id: String,
    /// Its properties. Numbers that came through a parameter are texts, as in CloudFormation.
    pub properties: Value,
    /// Its metadata, such as SAM's build method.
    pub metadata: Value,
}

impl Template {
    /// Reads a template from a file.
    pub fn load(path: &FilePath) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| TemplateError::new(path.display().to_string(), error.to_string()))?;
        Self::parse(&text)
    }

    /// Reads a template from YAML, of which JSON is a part.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut root = match yaml::read(text)? {
            Value::Object(root) => root,
            _ => return Err(TemplateError::new("template", "is no map")),
        };
        sam::merge_globals(&mut root)?;
        Ok(Self { root })
    }

    /// Whether the template declares this parameter.
    pub fn has_parameter(&self, name: &str) -> bool {
        self.section("Parameters").is_some_and(|parameters| parameters.contains_key(name))
    }

    /// Resolves everything, with `parameters` over the template's defaults. Resources whose condition does not hold are
    /// left out.
    pub fn resolve(&self, parameters: &BTreeMap<String, String>, ids: &dyn Ids) -> Result<Resolved, TemplateError> {
        let parameters = parameters::values(self.section("Parameters"), parameters)?;
        let kinds = self.kinds()?;
        let resolver = Resolver::new(&self.root, &parameters, &kinds, ids);
        let mut resolved = Resolved::default();
        for (logical_id, resource) in self.section("Resources").into_iter().flatten() {
            let path = format!("Resources.{logical_id}");
            if !resolver.condition_of(resource, &path)? {
                continue;
            }
            let kind = kinds.get(logical_id).cloned().unwrap_or_default();
            let part = |name: &str| match resource.get(name) {
                Some(value) => Ok(resolver.value(value, &format!("{path}.{name}"))?.unwrap_or(Value::Null)),
                None => Ok(Value::Null),
            };
            let resource = Resource {
                physical_id: ids.name(logical_id, &kind),
                properties: part("Properties")?,
                metadata: part("Metadata")?,
                kind,
            };
            resolved.resources.insert(logical_id.clone(), resource);
        }
        for (name, output) in self.section("Outputs").into_iter().flatten() {
            let path = format!("Outputs.{name}");
            if resolver.condition_of(output, &path)? {
                let value = output.get("Value").ok_or_else(|| TemplateError::new(&path, "has no Value"))?;
                if let Some(value) = resolver.value(value, &format!("{path}.Value"))? {
                    resolved.outputs.insert(name.clone(), value);
                }
            }
        }
        Ok(resolved)
    }

    fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.root.get(name).and_then(Value::as_object)
    }

    /// The type of each logical id, those that SAM will make included.
    fn kinds(&self) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut kinds = BTreeMap::new();
        for (logical_id, resource) in self.section("Resources").into_iter().flatten() {
            let kind = resource.get("Type").and_then(Value::as_str);
            let kind = kind.ok_or_else(|| TemplateError::new(format!("Resources.{logical_id}"), "has no Type"))?;
            kinds.insert(logical_id.clone(), kind.to_owned());
            kinds.extend(sam::generated(logical_id, kind, resource));
        }
        Ok(kinds)
    }
}
