//! Derives a short id from content.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// How many bytes of a hash are kept. For a platform with a million messages a second, the chance that any two of a
/// year's messages have the same hash is one in hundreds of billions.
const HASH_BYTES: usize = 16;

/// A hash of `parts`, as 32 hexadecimal digits. The length of each part is hashed before the part, so that different
/// lists of parts never give the same input.
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
