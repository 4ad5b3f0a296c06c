//! Looks up raw values in a payload, by compiled paths and binary fields.

use super::binary::BinaryField;
use super::path::Path;
use super::tree::Node;
use super::value::{Fault, Raw};
use std::fmt;

/// A payload, or one record of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Tree(&'a Node<'a>),
    Bytes(&'a [u8]),
}

impl View<'_> {
    /// Whether an object has a key that no path can name.
    pub(super) fn has_odd_key(&self) -> bool {
        matches!(self, Self::Tree(node) if node.has_odd_key())
    }
}

/// The compiled source of a value: a path, or a field in the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Getter {
    Path(Path),
    Binary(BinaryField),
}

/// As a profile names it.
impl fmt::Display for Getter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Binary(field) => field.fmt(f),
        }
    }
}

impl Getter {
    /// How many bits a whole number in the bytes has. `None` for all else, whose range is not known.
    pub(super) const fn bits(&self) -> Option<u32> {
        match self {
            Self::Path(_) => None,
            Self::Binary(field) => field.bits(),
        }
    }

    /// Reads the raw value from `view`.
    #[inline]
    pub(super) fn get<'a>(&self, view: View<'a>) -> Result<Raw<'a>, Fault> {
        match (self, view) {
            (Self::Path(path), View::Tree(node)) => Ok(Raw::of(path.find(node))),
            (Self::Binary(field), View::Bytes(bytes)) => field.read(bytes),
            // Compilation ensures that paths are only used with trees, and binary fields only with bytes.
            (Self::Path(_), View::Bytes(_)) | (Self::Binary(_), View::Tree(_)) => Ok(Raw::Absent),
        }
    }
}
