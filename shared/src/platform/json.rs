//! Checks JSON without keeping it, and leaves out what need not be written.
//!
//! A tree of small values takes up to a hundred times the memory of its text, and a sender chooses the text.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The deepest nesting of a value that can still be embedded in another one: readers allow 127 levels.
const DEPTH_MAX: usize = 126;

/// Whether a field is what a reader assumes where it is missing, so that it need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Checks that `bytes` are one JSON value that ordinary readers accept, also as a member of another value: its texts are
/// Unicode, its numbers are finite, and it does not nest too deeply.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    Check { depth_left: DEPTH_MAX }.deserialize(&mut parser)?;
    parser.end()
}

/// Reads a value, and forgets it.
#[derive(Clone, Copy)]
struct Check {
    depth_left: usize,
}

impl Check {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("it nests too deeply"))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while seq.next_element_seed(deeper)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while map.next_entry_seed(deeper, deeper)?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_passes_can_be_embedded_one_level_deeper() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        for (depth, passes) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false), (100_000, false)] {
            assert_eq!(check(nested(depth).as_bytes()).is_ok(), passes, "{depth}");
        }
        serde_json::from_str::<serde_json::Value>(&format!("[{}]", nested(DEPTH_MAX))).unwrap();
    }

    proptest! {
        #[test]
        fn it_passes_what_a_tree_can_be_made_of(
            text in r#"[ \n]?([\[{]?(-?[0-9]{1,3}(\.[0-9])?(e[0-9]{1,3})?|null|true|"(\\u[dD][89a-f][0-9a-f]{2}|a|é){0,2}"|"a": ?1)[,:\]} ]?){0,4}"#,
        ) {
            let tree = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(check(text.as_bytes()).is_ok(), tree.is_ok(), "{}: {:?}", text, tree);
        }
    }
}
