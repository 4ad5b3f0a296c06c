//! Inflates gzip, up to a limit.

use super::BodyError;
use flate2::read::MultiGzDecoder;
use std::io::Read as _;

/// Whether a body begins with the magic number of gzip (RFC 1952, 2.3.1).
pub fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// Inflates gzip of at most `limit` bytes. Whatever the body claims, no more than `limit + 1` bytes are written.
///
/// # Errors
/// It is not gzip, is cut short, or has more than `limit` bytes.
pub fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut inflated = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take(limit as u64 + 1);
    decoder.read_to_end(&mut inflated).map_err(|_| BodyError::NotGzip)?;
    if inflated.len() > limit { Err(BodyError::TooLarge { limit }) } else { Ok(inflated) }
}
