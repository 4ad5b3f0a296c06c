//! Opens a payload that stands in a field of another one.

use super::document::{CsvDocument, Encoding, Format};
use super::path::Path;
use super::payload::decompress;
use super::source::View;
use super::time::Time;
use super::tree::Node;
use super::value::Fault;
use crate::lake::dead_letter::Reason;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The alphabets of base64, both without regard to padding.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// A compiled payload within a payload.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    pub(super) path: Path,
    pub(super) encoding: Option<Encoding>,
    pub(super) compressed: bool,
    pub(super) format: Format,
    pub(super) csv: CsvDocument,
    pub(super) time: Option<Time>,
}

impl Inside {
    /// The bytes of the payload inside `view`.
    pub(super) fn open(&self, view: View<'_>) -> Result<Vec<u8>, Fault> {
        let View::Tree(node) = view else { return Ok(Vec::new()) };
        let undecodable = |detail: &str| Fault::new(Reason::Undecodable, format!("the payload inside: {detail}"));
        let bytes = match (self.path.find(node), self.encoding) {
            (None | Some(Node::Null), _) => {
                return Err(Fault::new(Reason::MissingField, "the payload inside is missing".to_owned()));
            }
            (Some(Node::Bytes(bytes)), _) => bytes.clone(),
            (Some(Node::Text(text)), None) => text.as_bytes().to_vec(),
            (Some(Node::Text(text)), Some(encoding)) => {
                decoded(text.trim(), encoding).ok_or_else(|| undecodable("it is not the text that the profile says"))?
            }
            (Some(other), _) => return Err(undecodable(&format!("it is {}, not a text", other.kind()))),
        };
        if self.compressed { decompress(&bytes).map_err(|problem| undecodable(&problem)) } else { Ok(bytes) }
    }
}

fn decoded(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 if text.contains(['-', '_']) => URL_SAFE.decode(text).ok(),
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let pairs = text.as_bytes().chunks(2);
            pairs
                .map(|pair| if let &[high, low] = pair { Some((digit(high)? * 16 + digit(low)?) as u8) } else { None })
                .collect()
        }
    }
}
