//! Audits what a listing of a whole stream shows: keys, and which objects have the same bytes.

use super::{Finding, Kind, Lineage};
use crate::lake::archive::{Format, Hour, Listed, ObjectKey, format_key};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// What is known of the stream whose keys are judged.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The format of its objects, if it has been noted.
    pub format: Option<Format>,
    /// Its shards.
    pub lineage: &'a Lineage,
    /// The hours whose objects were read. What is wrong with them was found by reading.
    pub read: &'a RangeInclusive<Hour>,
    /// The latest hour in which a record can have arrived.
    pub latest: Hour,
}

/// Judges all keys of a stream. `reported` are keys that have a finding already; they get no other one.
///
/// It finds what the archiver never writes, wherever it is, and copies of objects outside the hours that were read.
pub fn judge_keys(listed: &[Listed], known: Known<'_>, reported: &BTreeSet<&str>) -> Vec<Finding> {
    let note = format_key(known.stream);
    let new = listed.iter().filter(|listed| listed.key != note && !reported.contains(listed.key.as_str()));
    let mut findings = Vec::new();
    let mut objects: HashMap<&str, Vec<ObjectKey>> = HashMap::new();
    for Listed { key, tag } in new {
        match key.parse() {
            Ok(object) => match judge_key(&object, known) {
                Some(finding) => findings.push(finding),
                None => objects.entry(tag).or_default().push(object),
            },
            Err(_) => findings.push(unwritten(key)),
        }
    }
    objects.remove("");
    for copies in objects.values() {
        for key in copies.iter().filter(|key| !known.read.contains(&key.of.hour)) {
            let Some(other) = copies.iter().find(|other| *other != key) else { continue };
            findings.push(Finding::new(Kind::Foreign, key, format!("it has the same bytes as {other}")));
        }
    }
    findings
}

/// The finding that the archiver writes no such key.
pub fn unwritten(key: &str) -> Finding {
    Finding::new(Kind::Foreign, key, "the archiver writes no such key")
}

/// Judges one key of an object by its format, its hour and its shard.
fn judge_key(key: &ObjectKey, known: Known<'_>) -> Option<Finding> {
    wrong_format(key, known.format)
        .or_else(|| {
            let is_future = key.of.hour > known.latest;
            is_future.then(|| Finding::new(Kind::Foreign, key, "its hour has not come yet"))
        })
        .or_else(|| known.lineage.judge_key(key))
}

/// The finding that a key has another format than the stream's objects.
pub fn wrong_format(key: &ObjectKey, format: Option<Format>) -> Option<Finding> {
    let format = format.filter(|format| *format != key.format)?;
    let what = format!("the stream's objects are {format}, so another object fills its slot");
    Some(Finding::new(Kind::Foreign, key, what))
}
