//! Reads InfluxDB's line protocol as a tree: an array of points with `measurement`, `tags`, `fields` and `time`.
//!
//! <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>

use super::{MAX_LINES, Node};
use std::borrow::Cow;

/// Reads the points. A line that is not a point costs itself alone.
pub(super) fn read(payload: &[u8]) -> Result<Node<'static>, String> {
    let text = std::str::from_utf8(crate::platform::text::trimmed(payload))
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).take(MAX_LINES);
    Ok(Node::List(
        lines.map(|line| point(line).unwrap_or(Node::Bad("a line that is not a point of line protocol"))).collect(),
    ))
}

fn point(line: &str) -> Option<Node<'static>> {
    let (series, rest) = split(line, ' ')?;
    let (fields, time) = split(rest.trim_start(), ' ').unwrap_or((rest.trim_start(), ""));
    let mut parts = parts(series, ',').into_iter();
    let measurement = plain(parts.next()?);
    let tags = parts.map(|tag| {
        let (name, value) = split(tag, '=')?;
        Some((Cow::Owned(plain(name)), Node::Text(Cow::Owned(plain(value)))))
    });
    let fields = self::parts(fields, ',').into_iter().map(|field| {
        let (name, value) = split(field, '=')?;
        Some((Cow::Owned(plain(name)), value_of(value)?))
    });
    let mut members = vec![
        ("measurement".into(), Node::Text(Cow::Owned(measurement))),
        ("tags".into(), Node::Map(tags.collect::<Option<_>>()?)),
        ("fields".into(), Node::Map(fields.collect::<Option<_>>()?)),
    ];
    if !time.trim().is_empty() {
        members.push(("time".into(), Node::Integer(time.trim().parse().ok()?)));
    }
    Some(Node::Map(members))
}

/// A value: `"text"`, `1i`, `1u`, `1.5`, or one of the words for true and false.
fn value_of(text: &str) -> Option<Node<'static>> {
    if let Some(quoted) = text.strip_prefix('"') {
        let inner = quoted.strip_suffix('"')?;
        return Some(Node::Text(Cow::Owned(inner.replace("\\\"", "\"").replace("\\\\", "\\"))));
    }
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(Node::Boolean(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(Node::Boolean(false)),
        _ => {}
    }
    match text.strip_suffix(['i', 'u']) {
        Some(digits) => digits.parse().ok().map(Node::Integer),
        None => text.parse().ok().map(Node::Number),
    }
}

/// The text before and after the first `separator` that is neither escaped nor in quotes.
fn split(text: &str, separator: char) -> Option<(&str, &str)> {
    let at = ends(text, separator).next()?;
    Some((&text[..at], &text[at + 1..]))
}

/// The texts between separators that are neither escaped nor in quotes.
fn parts(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for at in ends(text, separator) {
        parts.push(&text[from..at]);
        from = at + 1;
    }
    parts.push(&text[from..]);
    parts
}

fn ends(text: &str, separator: char) -> impl Iterator<Item = usize> + '_ {
    let (mut is_escaped, mut is_quoted) = (false, false);
    text.char_indices().filter_map(move |(at, letter)| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match letter {
            '\\' if !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ if letter == separator && !was_escaped && !is_quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// A name without the backslashes before its commas, equal signs and spaces.
fn plain(text: &str) -> String {
    text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_its_tags_fields_and_time() {
        let payload = br#"weather\ station,location=us\,midwest,kind=a temperature=82.5,bug=3i,on=t,note="a, \"b\" =c" 1465839830100400200"#;
        let Node::List(points) = read(payload).unwrap() else { panic!("not a list") };
        let text = |text: &str| Node::Text(text.to_owned().into());
        assert_eq!(
            points,
            [Node::Map(vec![
                ("measurement".into(), text("weather station")),
                ("tags".into(), Node::Map(vec![("location".into(), text("us,midwest")), ("kind".into(), text("a"))])),
                (
                    "fields".into(),
                    Node::Map(vec![
                        ("temperature".into(), Node::Number(82.5)),
                        ("bug".into(), Node::Integer(3)),
                        ("on".into(), Node::Boolean(true)),
                        ("note".into(), text("a, \"b\" =c")),
                    ])
                ),
                ("time".into(), Node::Integer(1_465_839_830_100_400_200)),
            ])]
        );
    }

    #[test]
    fn a_line_that_is_not_a_point_costs_itself() {
        let Node::List(points) = read(b"# note\nm v=1\nm v=\nm\nm v=2 x\nm v=3\n").unwrap() else {
            panic!("not a list")
        };
        let bad = Node::Bad("a line that is not a point of line protocol");
        assert_eq!(points.iter().filter(|point| **point == bad).count(), 3);
        assert_eq!(points.len(), 5);
        assert!(read(b"\xff").is_err());
    }
}
