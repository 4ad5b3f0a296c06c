//! A payload as the versions of a profile want it: decompressed, and parsed at most once in each format.

use super::document::{CsvDocument, Format};
use super::source::View;
use super::tree::Node;
use crate::ingest::message::MAX_PAYLOAD;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use std::cell::OnceCell;
use std::io::Read as _;

/// A payload, parsed at most once in each format.
pub(super) struct Payload<'a> {
    bytes: &'a [u8],
    /// The same, decompressed when a version asks for it.
    decompressed: &'a OnceCell<Result<Vec<u8>, String>>,
    /// The tree that was read first. Most profiles have one format.
    first: Option<(Written, Result<Node<'a>, String>)>,
    others: Vec<(Written, Result<Node<'a>, String>)>,
}

/// How a payload is written.
type Written = (Format, CsvDocument, bool);

impl<'a> Payload<'a> {
    pub(super) const fn new(bytes: &'a [u8], decompressed: &'a OnceCell<Result<Vec<u8>, String>>) -> Self {
        Self { bytes, decompressed, first: None, others: Vec::new() }
    }

    /// What is read of a payload in this format. The error says in words why nothing is.
    pub(super) fn view(&mut self, format: Format, csv: CsvDocument, compressed: bool) -> Result<View<'_>, String> {
        let bytes = if compressed {
            self.decompressed.get_or_init(|| decompress(self.bytes)).as_deref().map_err(Clone::clone)?
        } else {
            self.bytes
        };
        if !format.is_tree() {
            return Ok(View::Bytes(bytes));
        }
        let written = (format, csv, compressed);
        let read = || (written, Node::parse(format, csv, bytes));
        if self.first.get_or_insert_with(read).0 != written && !self.others.iter().any(|(other, _)| *other == written) {
            self.others.push(read());
        }
        let trees = self.first.iter().chain(&self.others);
        let tree = trees.into_iter().find(|(known, _)| *known == written).map(|(_, tree)| tree);
        let tree = tree.ok_or_else(|| "it was not read".to_owned())?;
        tree.as_ref().map(View::Tree).map_err(Clone::clone)
    }
}

/// The bytes of gzip or zlib, at most as many as a payload may have, or in words why there are none.
pub(super) fn decompress(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut inflated = Vec::new();
    let limit = MAX_PAYLOAD as u64 + 1;
    let read = if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut inflated)
    } else {
        ZlibDecoder::new(bytes).take(limit).read_to_end(&mut inflated)
    };
    match read {
        Ok(_) if inflated.len() > MAX_PAYLOAD => Err(format!("it has more than {MAX_PAYLOAD} bytes when decompressed")),
        Ok(_) => Ok(inflated),
        Err(_) => Err("it is neither gzip nor zlib, or it is cut".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn gzip_and_zlib_are_decompressed_up_to_the_limit() {
        let text = b"{\"t\":21.5}".repeat(3);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        assert_eq!(decompress(&gzip.finish().unwrap()), Ok(text.clone()));
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&text).unwrap();
        let zlib = zlib.finish().unwrap();
        assert_eq!(decompress(&zlib), Ok(text));
        let cut = "it is neither gzip nor zlib, or it is cut";
        assert_eq!(decompress(&zlib[..zlib.len() - 6]).unwrap_err(), cut);
        assert_eq!(decompress(b"{}").unwrap_err(), cut);
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![b' '; MAX_PAYLOAD + 1]).unwrap();
        assert!(decompress(&bomb.finish().unwrap()).unwrap_err().contains("when decompressed"));
    }
}
