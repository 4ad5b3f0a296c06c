//! Cuts JSON into its parts without parsing them, so that a part that is not JSON does not cost the others.
//!
//! Only brackets and texts have to end.

use crate::platform::text::trimmed;
use std::ops::Range;

/// Cuts an array into its elements, and stops after `limit + 1`. `None` if it does not end, or if something follows it.
pub(super) fn elements(array: &[u8], limit: usize) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    let mut at = 1;
    loop {
        let end = end_of_value(array, at)?;
        let element = trimmed(&array[at..end]);
        let is_last = array[end] != b',';
        if !(element.is_empty() && is_last) {
            elements.push(element);
        }
        if elements.len() > limit {
            return Some(elements);
        }
        if is_last {
            return (array[end] == b']' && end + 1 == array.len()).then_some(elements);
        }
        at = end + 1;
    }
}

/// Where the value of a member of an object is. `None` if it is not there, or before it something is not cut.
pub(super) fn member(object: &[u8], name: &str) -> Option<Range<usize>> {
    let mut at = 1;
    loop {
        let key = skip_space(object, at);
        let after_key = end_of_text(object, key)?;
        let colon = skip_space(object, after_key);
        if object.get(colon) != Some(&b':') {
            return None;
        }
        let end = end_of_value(object, colon + 1)?;
        if object[key + 1..after_key - 1] == *name.as_bytes() {
            return Some(colon + 1..end);
        }
        if object[end] != b',' {
            return None;
        }
        at = end + 1;
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len())
}

/// The end of the text that begins at `from` with a quotation mark.
fn end_of_text(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from) != Some(&b'"') {
        return None;
    }
    let mut at = from + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The byte that ends the value at `from`: a comma or a closing bracket outside of it.
fn end_of_value(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = end_of_text(bytes, at)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b',' if depth == 0 => return Some(at),
            b']' | b'}' => match depth.checked_sub(1) {
                None => return Some(at),
                Some(outer) => depth = outer,
            },
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_array_is_cut_between_its_elements_whatever_these_are() {
        let array = br#"[ {"a":nan,"b":"],[" } , "x\",", [1,[2]],, -inf ]"#;
        let cut = elements(array, 9).unwrap();
        let cut: Vec<_> = cut.into_iter().map(String::from_utf8_lossy).collect();
        assert_eq!(cut, [r#"{"a":nan,"b":"],[" }"#, r#""x\",""#, "[1,[2]]", "", "-inf"]);
        assert_eq!(elements(array, 1).map(|cut| cut.len()), Some(2), "one more than the limit");
        assert_eq!(elements(b"[]", 9), Some(vec![]));
        for broken in [&b"[1"[..], b"[1,", b"[\"a]", b"[{]", b"[1] 2", b"[1}"] {
            assert_eq!(elements(broken, 9), None, "{}", String::from_utf8_lossy(broken));
        }
    }

    #[test]
    fn a_member_is_found_by_its_name() {
        let object = br#"{"kind":"payload", "payload" : {"t":nan} ,"x":1}"#;
        let found = member(object, "payload").map(|range| &object[range]);
        assert_eq!(found, Some(&br#" {"t":nan} "#[..]));
        for without in [&b"{}"[..], b"{\"a\":1}", b"{\"payload\"}", b"{\"payload\":1", b"{a:1,\"payload\":1}", b"{"] {
            assert_eq!(member(without, "payload"), None, "{}", String::from_utf8_lossy(without));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_not(bytes in "[\\[\\]{}\",:\\\\a ]{0,40}") {
            let _ = elements(bytes.as_bytes(), 5);
            let _ = member(bytes.as_bytes(), "a");
        }
    }
}
