//! The bytes of what is kept of a device: a digest, the version of the format, and [`Kept`] itself.
//!
//! `digest[16] version[1] body`, where numbers are little-endian or LEB128. The digest detects damage, and it is the
//! version for compare-and-set: the same state has the same bytes.

use super::bytes::{CorruptedState, Reader};
use super::{Kept, State};
use sha2::{Digest as _, Sha256};

/// Bytes of the digest.
pub(crate) const DIGEST: usize = 16;
/// The version of the format.
const VERSION: u8 = 3;

/// The bytes of `kept`.
pub fn encode<S: State>(kept: &Kept<S>) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_hint(kept));
    encode_into(&mut out, kept);
    out
}

/// Makes `out` the bytes of `kept`, whatever it was before.
pub(crate) fn encode_into<S: State>(out: &mut Vec<u8>, kept: &Kept<S>) {
    out.clear();
    out.resize(DIGEST, 0);
    out.push(VERSION);
    kept.encode_into(out);
    let digest = Sha256::digest(&out[DIGEST..]);
    out[..DIGEST].copy_from_slice(&digest[..DIGEST]);
}

/// About how many bytes [`encode`] makes of `kept`.
pub(crate) fn size_hint<S: State>(kept: &Kept<S>) -> usize {
    DIGEST + 1 + kept.size_hint()
}

/// What `bytes` are. Decoding is strict, so that nothing half-right is counted on.
///
/// # Errors
/// The bytes are damaged, of another version, or not the one way to write their state.
pub fn decode<S: State>(bytes: &[u8]) -> Result<Kept<S>, CorruptedState> {
    let (digest, body) = bytes.split_at_checked(DIGEST).ok_or(CorruptedState("it is too short"))?;
    if Sha256::digest(body)[..DIGEST] != *digest {
        return Err(CorruptedState("the digest does not match"));
    }
    let mut reader = Reader::new(body);
    let kept = match reader.array()? {
        [VERSION] => Kept::decode(&mut reader)?,
        [2] => Kept::decode_second_format(&mut reader)?,
        [1] => Kept::decode_first_format(&mut reader)?,
        _ => return Err(CorruptedState("its version is unknown")),
    };
    if reader.is_at_end() { Ok(kept) } else { Err(CorruptedState("bytes follow its end")) }
}

/// `bytes` with the digest of what they are now: damage that the digest does not detect, as if a faulty program had written it.
#[cfg(test)]
pub(crate) fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes[DIGEST..]);
    bytes[..DIGEST].copy_from_slice(&digest[..DIGEST]);
    bytes
}
