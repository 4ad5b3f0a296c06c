//! Ids as eight bytes.

/// Eight bytes for an id, which take less room than the id: 64-bit FNV-1a with a finalizer.
///
/// Two ids of one window share a digest with a chance of some 10⁻¹⁷.
/// <http://www.isthe.com/chongo/tech/comp/fnv/>, <https://doi.org/10.1145/2714064.2660195> (the mix of `SplitMix`).
pub fn id_digest(id: &str) -> u64 {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
