//! The bytes of a stored state: a digest, the version of the format, and what the state itself writes.
//!
//! `digest[16] version[1] body`, where numbers are little-endian or LEB128. The digest detects damage, and it is the
//! version for compare-and-set: the same state has the same bytes.

use super::State;
use super::bytes::{CorruptedState, Reader};
use sha2::{Digest as _, Sha256};

/// Bytes of the digest.
pub(crate) const DIGEST: usize = 16;
/// The bytes of `state`.
pub fn encode<S: State>(state: &S) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_hint(state));
    encode_into(&mut out, state);
    out
}

/// Makes `out` the bytes of `state`, whatever it was before.
pub(crate) fn encode_into<S: State>(out: &mut Vec<u8>, state: &S) {
    out.clear();
    out.resize(DIGEST, 0);
    out.push(S::VERSION);
    state.encode_into(out);
    let digest = Sha256::digest(&out[DIGEST..]);
    out[..DIGEST].copy_from_slice(&digest[..DIGEST]);
}

/// About how many bytes [`encode`] makes of `state`.
pub(crate) fn size_hint<S: State>(state: &S) -> usize {
    DIGEST + 1 + state.size_hint()
}

/// The state that `bytes` are. Decoding is strict, so that nothing half-right is counted on.
///
/// # Errors
/// The bytes are damaged, of another version, or not the one way to write their state.
pub fn decode<S: State>(bytes: &[u8]) -> Result<S, CorruptedState> {
    let (digest, body) = bytes.split_at_checked(DIGEST).ok_or(CorruptedState("it is too short"))?;
    if Sha256::digest(body)[..DIGEST] != *digest {
        return Err(CorruptedState("the digest does not match"));
    }
    let mut reader = Reader::new(body);
    if reader.array::<1>()? != [S::VERSION] {
        return Err(CorruptedState("its version is unknown"));
    }
    let state = S::decode(&mut reader)?;
    if reader.is_at_end() { Ok(state) } else { Err(CorruptedState("bytes follow its end")) }
}
