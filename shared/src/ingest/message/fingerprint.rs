//! A short name that follows from content.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Bytes of a hash that are kept: among a million messages a second, for a year, two are the same by chance once in a
/// hundred billion years' worth of such platforms.
const HASH_BYTES: usize = 16;

/// A hash of parts, each behind its length, so that no two lists of parts read the same: 32 hexadecimal digits.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().iter().take(HASH_BYTES).fold(String::with_capacity(2 * HASH_BYTES), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
