//! Checks the reading of keys and positions, which come from stores that others write to as well.

use crate::alert::incidents::Cursor;
use crate::device::registry::Key;
use crate::lake::archive::{Extent, Head, Hour, Metadata, ObjectKey, Slot};
use crate::lake::dead_letter::LetterKey;
use crate::results::{Item, MetricResult, Outcome as _};
use crate::stream::batch::{Position, SequenceNumber};
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Uses the bytes as a key of each kind, and their lines as the metadata of an object in the lake.
pub fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check_same_text::<ObjectKey>(text);
    check_same_text::<Slot>(text);
    check_same_text::<Hour>(text);
    check_same_value::<Head>(text);
    check_same_value::<Position>(text);
    check_same_value::<SequenceNumber>(text);
    check_same_value::<Cursor>(text);
    if let Some(key) = LetterKey::parse(text) {
        assert_eq!(key.to_string(), text, "the key is written differently");
    }
    if let Some(key) = Key::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    let names = MetricResult::NAMES;
    if let Some(item) = Item::parse(text, names) {
        let key = item.key(names);
        assert_eq!(Item::parse(&key, names).map(|item| item.key(names)), Some(key));
    }
    check_metadata(text);
}

/// Checks that a value is written exactly as the text that it was parsed from.
fn check_same_text<T: FromStr + Display>(text: &str) {
    if let Ok(parsed) = text.parse::<T>() {
        assert_eq!(parsed.to_string(), text);
    }
}

/// Checks that a value is written as a text that is parsed to the same value.
fn check_same_value<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(parsed) = text.parse::<T>() {
        assert_eq!(parsed.to_string().parse::<T>().ok(), Some(parsed));
    }
}

fn check_metadata(text: &str) {
    let names = ["first", "last", "count", "sha256"];
    let metadata: Metadata = names.iter().zip(text.lines()).map(|(name, line)| ((*name).into(), line.into())).collect();
    if let Ok(extent) = Extent::from_metadata(&metadata, &Slot::FIRST) {
        assert!(extent.first <= extent.last && extent.count > 0 && extent.covers(extent.first));
        assert_eq!(Extent::from_metadata(&extent.to_metadata(), &Slot::FIRST), Ok(extent));
        assert!(
            Extent::from_metadata(&metadata, &Slot::beyond(extent.last)).is_err(),
            "the extent is accepted in another slot"
        );
    }
}
