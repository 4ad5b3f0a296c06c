//! What an object of the lake covers, and how its metadata state it.

use super::Slot;
use crate::stream::batch::Position;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

/// User metadata of an object, with names in lower case. S3 allows 2 KB; an extent takes about 250 bytes.
pub type Metadata = BTreeMap<String, String>;

const FIRST: &str = "first";
const LAST: &str = "last";
const COUNT: &str = "count";
const SHA256: &str = "sha256";

/// What an object covers: every record of its shard's hour from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The position of its first record.
    pub first: Position,
    /// The position of its last record.
    pub last: Position,
    /// How many records it has.
    pub count: u64,
    /// The SHA-256 of its bytes before compression.
    pub sha256: [u8; 32],
}

impl Extent {
    /// Whether `position` lies within it, both ends included.
    pub fn covers(&self, position: Position) -> bool {
        self.first <= position && position <= self.last
    }

    /// The metadata that state it.
    pub fn to_metadata(&self) -> Metadata {
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256 {
            let _ = write!(sha256, "{byte:02x}");
        }
        [
            (FIRST, self.first.to_string()),
            (LAST, self.last.to_string()),
            (COUNT, self.count.to_string()),
            (SHA256, sha256),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Reads it from the metadata of an object in `slot`.
    ///
    /// # Errors
    /// What is wrong with the metadata, in words.
    pub fn from_metadata(metadata: &Metadata, slot: &Slot) -> Result<Self, String> {
        let extent = Self {
            first: field(metadata, FIRST)?,
            last: field(metadata, LAST)?,
            count: field(metadata, COUNT)?,
            sha256: digest(metadata)?,
        };
        if extent.first > extent.last || extent.count == 0 {
            return Err("its metadata say that it covers nothing".to_owned());
        }
        if !slot.contains(extent.first) || !slot.contains(extent.last) {
            return Err(format!("its metadata say {:?} to {:?}, which is not in its slot", extent.first, extent.last));
        }
        Ok(extent)
    }
}

impl Slot {
    /// The slot for the records of this one that come before its object.
    #[must_use]
    pub const fn left_of(&self, object: &Extent) -> Self {
        Self { after: self.after, before: Some(object.first) }
    }

    /// The slot for the records of this one that come after its object.
    #[must_use]
    pub const fn right_of(&self, object: &Extent) -> Self {
        Self { after: object.last, before: self.before }
    }
}

fn text<'a>(metadata: &'a Metadata, name: &str) -> Result<&'a str, String> {
    metadata.get(name).map(String::as_str).ok_or_else(|| format!("its metadata have no `{name}`"))
}

fn field<T: FromStr>(metadata: &Metadata, name: &str) -> Result<T, String> {
    let text = text(metadata, name)?;
    text.parse().map_err(|_| format!("its metadata have {text:?} as `{name}`"))
}

fn digest(metadata: &Metadata) -> Result<[u8; 32], String> {
    let text = text(metadata, SHA256)?;
    let mut digest = [0; 32];
    let valid = text.len() == 64
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digest.iter_mut().zip(text.as_bytes().chunks(2)).all(|(byte, hex)| {
            let parsed = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            parsed.map(|parsed| *byte = parsed).is_some()
        });
    if valid { Ok(digest) } else { Err(format!("its metadata have {text:?} as `{SHA256}`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(sequence: &str, sub: u32) -> Position {
        Position { sequence: sequence.parse().unwrap(), sub }
    }

    fn extent() -> Extent {
        let sha256 = std::array::from_fn(|index| index as u8 * 8);
        Extent { first: position("5", 0), last: position("9", 3), count: 7, sha256 }
    }

    #[test]
    fn an_extent_round_trips_through_metadata_of_less_than_two_kilobytes() {
        let metadata = extent().to_metadata();
        assert_eq!(Extent::from_metadata(&metadata, &Slot::FIRST), Ok(extent()));
        assert!(metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() < 2_048);
        insta::assert_json_snapshot!(metadata, @r#"
        {
          "count": "7",
          "first": "00000000000000000000000000000000000000000000000000000005.0000000000",
          "last": "00000000000000000000000000000000000000000000000000000009.0000000003",
          "sha256": "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8"
        }
        "#);
    }

    #[test]
    fn an_error_names_the_metadata_that_are_missing_or_wrong() {
        for name in [FIRST, LAST, COUNT, SHA256] {
            let mut metadata = extent().to_metadata();
            metadata.insert(name.to_owned(), "é".to_owned());
            let problem = Extent::from_metadata(&metadata, &Slot::FIRST).unwrap_err();
            assert!(problem.contains(&format!("\"é\" as `{name}`")), "{problem}");
            metadata.remove(name);
            let problem = Extent::from_metadata(&metadata, &Slot::FIRST).unwrap_err();
            assert!(problem.contains(&format!("no `{name}`")), "{problem}");
        }
    }

    #[test]
    fn an_extent_that_is_empty_or_outside_its_slot_is_an_error() {
        let mut backwards = extent();
        std::mem::swap(&mut backwards.first, &mut backwards.last);
        assert!(Extent::from_metadata(&backwards.to_metadata(), &Slot::FIRST).is_err());
        let empty = Extent { count: 0, ..extent() };
        assert!(Extent::from_metadata(&empty.to_metadata(), &Slot::FIRST).is_err());
        let after = Slot::beyond(position("5", 0));
        assert!(Extent::from_metadata(&extent().to_metadata(), &after).unwrap_err().contains("not in its slot"));
    }
}
