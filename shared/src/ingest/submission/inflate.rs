//! Gzip, with a bound on what comes out of it.

use super::BodyError;
use flate2::read::MultiGzDecoder;
use std::io::Read as _;

/// Whether bytes begin as gzip does (RFC 1952, 2.3.1).
pub fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// Inflates gzip, up to `limit` bytes: no more than that, and one, is ever written, whatever the body claims.
///
/// # Errors
/// It is no gzip, is cut short, or holds more than `limit` bytes.
pub fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut inflated = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take(limit as u64 + 1);
    decoder.read_to_end(&mut inflated).map_err(|_| BodyError::NotGzip)?;
    if inflated.len() > limit { Err(BodyError::TooLarge { limit }) } else { Ok(inflated) }
}
