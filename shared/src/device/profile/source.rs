//! Where a value stands, compiled, and the payload that it is looked up in.

use super::binary::Place;
use super::path::Path;
use super::tree::Node;
use super::value::{Fault, Raw};

/// A payload, or one record of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Tree(&'a Node<'a>),
    Bytes(&'a [u8]),
}

/// A path or a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Getter {
    Path(Path),
    Place(Place),
}

impl Getter {
    /// What stands there.
    pub(super) fn get<'a>(&self, view: View<'a>) -> Result<Raw<'a>, Fault> {
        match (self, view) {
            (Self::Path(path), View::Tree(node)) => Ok(Raw::of(path.find(node))),
            (Self::Place(place), View::Bytes(bytes)) => place.read(bytes),
            // Compiling pairs paths with trees and places with bytes.
            (Self::Path(_), View::Bytes(_)) | (Self::Place(_), View::Tree(_)) => Ok(Raw::Absent),
        }
    }
}
