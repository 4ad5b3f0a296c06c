//! Reads and writes the documents of the registry, which are JSON under a key. Both use the same checks.

use super::device::{Device, id_problem};
use super::facility::Facility;
use crate::device::profile::{Problem, Profile, ProfileDocument};
use std::fmt;

/// The largest document, in bytes. DynamoDB accepts items of up to 400 KB.
pub const MAX_DOCUMENT: usize = 300_000;

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A [`Device`].
    Device,
    /// A [`ProfileDocument`].
    Profile,
    /// A [`Facility`] where a device was registered, or which has contacts.
    Facility,
}

impl Kind {
    /// The kind's name in keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Profile => "profile",
            Self::Facility => "facility",
        }
    }
}

/// The key of a document: `device#<id>`, `profile#<id>` or `facility#<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What the document describes.
    pub kind: Kind,
    /// The device's or the profile's id, or the facility's name.
    pub id: String,
}

impl Key {
    /// Creates the key of a `kind` and an id.
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }

    /// Parses a key; `None` if `text` is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('#')?;
        let kind = [Kind::Device, Kind::Profile, Kind::Facility].into_iter().find(|known| known.name() == kind)?;
        Some(Self::new(kind, id))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.kind.name(), self.id)
    }
}

/// What is stored at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The document; `None` if nothing is stored.
    pub document: Option<String>,
    /// When it was read from the store, in milliseconds since the epoch.
    pub read_ms: i64,
}

/// A type that is parsed from a document, for the cache.
pub(super) trait Parse: Sized {
    /// Parses the document that is stored under `id`, or returns its problems in words.
    fn parse(id: &str, document: &str) -> Result<Self, String>;
}

impl Parse for Device {
    fn parse(id: &str, document: &str) -> Result<Self, String> {
        parse_device(document)
            .and_then(|device| check_id("deviceId", &device.device_id, id).map(|()| device))
            .map_err(|problems| join(&problems))
    }
}

impl Parse for Profile {
    fn parse(id: &str, document: &str) -> Result<Self, String> {
        let in_words = |problems: Vec<Problem>| format!("profile {id}: {}", join(&problems));
        let document = parse_profile(document).map_err(in_words)?;
        check_id("id", &document.id, id).map_err(in_words)?;
        Self::compile(&document).map_err(in_words)
    }
}

impl Parse for Facility {
    fn parse(id: &str, document: &str) -> Result<Self, String> {
        parse_facility(document)
            .and_then(|facility| check_id("facility", &facility.facility, id).map(|()| facility))
            .map_err(|problems| join(&problems))
    }
}

/// Parses a facility.
///
/// # Errors
/// Every problem of the document, with its field.
pub fn parse_facility(json: &str) -> Result<Facility, Vec<Problem>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let facility: Facility = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| vec![problem(&error.path().to_string(), error.inner().to_string())])?;
    deserializer.end().map_err(|error| vec![syntax(&error)])?;
    let problems = facility.problems();
    if problems.is_empty() { Ok(facility) } else { Err(problems) }
}

/// Returns the key and the document of a facility for writing.
///
/// # Errors
/// Every problem that would make functions reject the facility, with its field.
pub fn facility_document(facility: &Facility) -> Result<(Key, String), Vec<Problem>> {
    let problems = facility.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let json = serde_json::to_string(facility).map_err(|error| vec![syntax(&error)])?;
    Ok((Key::new(Kind::Facility, &facility.facility), json))
}

/// Parses a device.
///
/// # Errors
/// Every problem of the document, with its field.
pub fn parse_device(json: &str) -> Result<Device, Vec<Problem>> {
    let device: Device = serde_json::from_str(json).map_err(|error| vec![syntax(&error)])?;
    let problems = device.problems();
    if problems.is_empty() { Ok(device) } else { Err(problems) }
}

/// Parses a profile's document and checks its id. [`Profile::compile`] checks the rest.
///
/// # Errors
/// The problem that stopped the parser, or what is wrong with the id.
pub fn parse_profile(json: &str) -> Result<ProfileDocument, Vec<Problem>> {
    let document = ProfileDocument::parse(json.as_bytes()).map_err(|problem| vec![problem])?;
    match id_problem(&document.id) {
        None => Ok(document),
        Some(message) => Err(vec![problem("id", message)]),
    }
}

/// The facility where the device of a document stands; `None` if it stands in none, or the document is not of a valid device.
pub(super) fn facility_of(key: &Key, document: &str) -> Option<String> {
    (key.kind == Kind::Device).then(|| parse_device(document).ok()?.facility)?
}

/// Returns the key and the document of a device for writing.
///
/// # Errors
/// Every problem that would make functions reject the device, or that no list of facilities could name it, with its field.
pub fn device_document(device: &Device) -> Result<(Key, String), Vec<Problem>> {
    let problems = device.problems_to_register();
    if !problems.is_empty() {
        return Err(problems);
    }
    let json = serde_json::to_string(device).map_err(|error| vec![syntax(&error)])?;
    Ok((Key::new(Kind::Device, &device.device_id), json))
}

/// Returns the key and the document of a profile for writing.
///
/// # Errors
/// Every problem that would make functions reject the profile, with its field.
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

/// Checks that the id in a document is the id that the document is stored under.
fn check_id(field: &str, id: &str, stored_under: &str) -> Result<(), Vec<Problem>> {
    if id == stored_under {
        return Ok(());
    }
    Err(vec![problem(field, format!("is {id:?}, but the document is stored under {stored_under:?}"))])
}

fn problem(field: &str, message: String) -> Problem {
    Problem { field: field.to_owned(), message }
}

/// The problem of a parser, whose words already name the field or the place.
fn syntax(error: &serde_json::Error) -> Problem {
    problem("", error.to_string())
}

fn join(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
