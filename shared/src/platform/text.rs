//! What surrounds a text and is not part of it.

/// The bytes without white space and NULs around them, and without a byte order mark: what editors, firmware with buffers of
/// a fixed length, and exports of other systems add.
///
/// ```
/// assert_eq!(myaku::platform::text::trimmed(b"\xef\xbb\xbf {}\n\0"), b"{}");
/// ```
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_around = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let from = bytes.iter().position(|byte| !is_around(byte)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|byte| !is_around(byte)).map_or(from, |last| last + 1);
    &bytes[from..to]
}
