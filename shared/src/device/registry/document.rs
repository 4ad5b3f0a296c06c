//! Documents as the store keeps them: JSON under a key. Reading and writing go through the same checks.

use super::device::{Device, id_problem};
use crate::device::profile::{Problem, Profile, ProfileDocument};
use std::fmt;

/// The largest document, in bytes: DynamoDB takes items up to 400 KB.
pub const MAX_DOCUMENT: usize = 300_000;

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A [`Device`].
    Device,
    /// A [`ProfileDocument`].
    Profile,
}

impl Kind {
    /// The name in keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Profile => "profile",
        }
    }
}

/// The key of a document: `device#<id>` or `profile#<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What the document describes.
    pub kind: Kind,
    /// The device's or the profile's id.
    pub id: String,
}

impl Key {
    /// The key of the `kind` with this id.
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }

    /// The key that is written as `text`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('#')?;
        let kind = [Kind::Device, Kind::Profile].into_iter().find(|known| known.name() == kind)?;
        Some(Self::new(kind, id))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.kind.name(), self.id)
    }
}

/// What the store has at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The document; `None` where there is none.
    pub document: Option<String>,
    /// When that was read from the store, in milliseconds since the epoch.
    pub read_ms: i64,
}

/// A document's type, as a cache needs it.
pub(super) trait Parse: Sized {
    /// Reads the document stored under `id`, or says what is wrong with it.
    fn parse(id: &str, document: &str) -> Result<Self, String>;
}

impl Parse for Device {
    fn parse(id: &str, document: &str) -> Result<Self, String> {
        parse_device(document)
            .and_then(|device| same("deviceId", &device.device_id, id).map(|()| device))
            .map_err(|problems| told(&problems))
    }
}

impl Parse for Profile {
    fn parse(id: &str, document: &str) -> Result<Self, String> {
        let named = |problems: Vec<Problem>| format!("profile {id}: {}", told(&problems));
        let document = parse_profile(document).map_err(named)?;
        same("id", &document.id, id).map_err(named)?;
        Self::compile(&document).map_err(named)
    }
}

/// Reads a device, or says by field what is wrong with it.
pub fn parse_device(json: &str) -> Result<Device, Vec<Problem>> {
    let device: Device = serde_json::from_str(json).map_err(|error| vec![syntax(&error)])?;
    let problems = device.problems();
    if problems.is_empty() { Ok(device) } else { Err(problems) }
}

/// Reads a profile's document, or says by field what is wrong with it. Whether it makes sense is decided by
/// [`Profile::compile`].
pub fn parse_profile(json: &str) -> Result<ProfileDocument, Vec<Problem>> {
    let document = ProfileDocument::parse(json.as_bytes()).map_err(|problem| vec![problem])?;
    match id_problem(&document.id) {
        None => Ok(document),
        Some(message) => Err(vec![problem("id", message)]),
    }
}

/// A device as it is stored, if functions will take it.
pub fn device_document(device: &Device) -> Result<(Key, String), Vec<Problem>> {
    let problems = device.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let json = serde_json::to_string(device).map_err(|error| vec![syntax(&error)])?;
    Ok((Key::new(Kind::Device, &device.device_id), json))
}

/// A profile as it is stored, if functions will take it.
pub fn profile_document(document: &ProfileDocument) -> Result<(Key, String), Vec<Problem>> {
    let json = serde_json::to_string(document).map_err(|error| vec![syntax(&error)])?;
    if json.len() > MAX_DOCUMENT {
        return Err(vec![problem(
            "",
            format!("the profile has {} bytes, at most {MAX_DOCUMENT} are allowed", json.len()),
        )]);
    }
    Profile::compile(&parse_profile(&json)?)?;
    Ok((Key::new(Kind::Profile, &document.id), json))
}

fn same(field: &str, found: &str, stored_under: &str) -> Result<(), Vec<Problem>> {
    if found == stored_under {
        return Ok(());
    }
    Err(vec![problem(field, format!("is {found:?}, and it is stored under {stored_under:?}"))])
}

fn problem(field: &str, message: String) -> Problem {
    Problem { field: field.to_owned(), message }
}

/// What a parser says names the field in words, or the place.
fn syntax(error: &serde_json::Error) -> Problem {
    problem("", error.to_string())
}

fn told(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
