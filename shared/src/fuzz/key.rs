//! Keys and positions, which are texts in stores that others write to as well.

use crate::alert::incidents::Cursor;
use crate::device::registry::Key;
use crate::lake::archive::{Extent, Head, Hour, Metadata, ObjectKey, Slot};
use crate::lake::dead_letter::LetterKey;
use crate::results::Item;
use crate::stream::batch::{Position, SequenceNumber};
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Bytes as a key of each kind; lines of them as the metadata of an object of the lake.
pub fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    one_spelling::<ObjectKey>(text);
    one_spelling::<Slot>(text);
    one_spelling::<Hour>(text);
    reads_back::<Head>(text);
    reads_back::<Position>(text);
    reads_back::<SequenceNumber>(text);
    reads_back::<Cursor>(text);
    if let Some(key) = LetterKey::parse(text) {
        assert_eq!(key.to_string(), text, "another key would be asked for");
    }
    if let Some(key) = Key::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Some(item) = Item::parse(text) {
        assert_eq!(Item::parse(&item.key()).map(|again| again.key()), Some(item.key()));
    }
    metadata(text);
}

/// What is read is written as it was.
fn one_spelling<T: FromStr + Display>(text: &str) {
    if let Ok(parsed) = text.parse::<T>() {
        assert_eq!(parsed.to_string(), text);
    }
}

/// What is read is written so that it reads the same.
fn reads_back<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(parsed) = text.parse::<T>() {
        assert_eq!(parsed.to_string().parse::<T>().ok(), Some(parsed));
    }
}

fn metadata(text: &str) {
    let names = ["first", "last", "count", "sha256"];
    let metadata: Metadata = names.iter().zip(text.lines()).map(|(name, line)| ((*name).into(), line.into())).collect();
    if let Ok(extent) = Extent::from_metadata(&metadata, &Slot::FIRST) {
        assert!(extent.first <= extent.last && extent.count > 0 && extent.covers(extent.first));
        assert_eq!(Extent::from_metadata(&extent.to_metadata(), &Slot::FIRST), Ok(extent));
        assert!(Extent::from_metadata(&metadata, &Slot::beyond(extent.last)).is_err(), "it is not in that slot");
    }
}
