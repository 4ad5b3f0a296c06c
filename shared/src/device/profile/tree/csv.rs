//! Reads lines of values between separators (CSV, RFC 4180) as a tree: an array of lines.

use super::{MAX_LINES, Node};
use crate::device::profile::document::CsvDocument;
use std::borrow::Cow;

/// The longest name of a header, in bytes: each line gets its own copy.
const NAME_MAX: usize = 64;

/// Reads the lines. With a header, each line is an object by the header's names; without, an array.
pub(super) fn read(payload: &[u8], settings: CsvDocument) -> Result<Node<'static>, String> {
    let payload = crate::platform::text::trimmed(payload);
    let separator = settings.separator.unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(u8::try_from(separator).unwrap_or(b','))
        .has_headers(settings.header)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(payload);
    let header = if settings.header {
        Some(reader.headers().map_err(|_| "the header is not UTF-8".to_owned())?.clone())
    } else {
        None
    };
    if header.as_ref().is_some_and(|header| header.iter().any(|name| name.len() > NAME_MAX)) {
        return Err(format!("a name of the header has more than {NAME_MAX} bytes"));
    }
    let lines = reader.into_records().take(MAX_LINES).map(|line| {
        // A line that is not text costs itself alone.
        let Ok(line) = line else { return Node::Bad("a line that is not UTF-8") };
        match &header {
            None => Node::List(line.iter().map(cell).collect()),
            Some(header) => {
                let named = header.iter().zip(&line).map(|(name, text)| (Cow::Owned(name.to_owned()), cell(text)));
                Node::Map(named.collect())
            }
        }
    });
    Ok(Node::List(lines.collect()))
}

/// A value: nothing, a number, or a text.
pub(super) fn cell(text: &str) -> Node<'static> {
    if text.is_empty() {
        return Node::Null;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    // What a number would not be written as is a text: 007, +5, inf.
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0') || digits.starts_with("0."));
    if is_number && let Ok(number) = text.parse() {
        return Node::Integer(number);
    }
    match text.parse() {
        Ok(number) if is_number => Node::Number(number),
        _ => Node::Text(Cow::Owned(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_arrays_or_objects_by_the_header() {
        let plain = CsvDocument { separator: Some(';'), header: false };
        let node = read("\u{feff}A7;21.5;\r\n\"x;y\";-3;007\n".as_bytes(), plain).unwrap();
        let text = |text: &str| Node::Text(text.to_owned().into());
        assert_eq!(
            node,
            Node::List(vec![
                Node::List(vec![text("A7"), Node::Number(21.5), Node::Null]),
                Node::List(vec![text("x;y"), Node::Integer(-3), text("007")]),
            ])
        );
        let header = CsvDocument { separator: None, header: true };
        assert_eq!(
            read(b"t, hr\n1, 61\n", header).unwrap(),
            Node::List(vec![Node::Map(vec![("t".into(), Node::Integer(1)), ("hr".into(), Node::Integer(61))])])
        );
    }

    #[test]
    fn more_lines_than_values_are_not_read() {
        let settings = CsvDocument { separator: None, header: true };
        let Node::List(lines) = read("v\n".repeat(20_000).as_bytes(), settings).unwrap() else { panic!("not a list") };
        assert_eq!(lines.len(), MAX_LINES);
        assert!(
            read(format!("{}\n1\n", "v".repeat(65)).as_bytes(), settings).unwrap_err().contains("more than 64 bytes")
        );
    }

    #[test]
    fn a_line_that_is_not_text_costs_itself() {
        let settings = CsvDocument { separator: None, header: false };
        let Node::List(lines) = read(b"1,2\n\xff\xfe\n3,4\n", settings).unwrap() else { panic!("not a list") };
        assert_eq!(lines[1], Node::Bad("a line that is not UTF-8"));
        assert_eq!(lines.len(), 3);
    }
}
