//! Parses paths into JSON and CBOR when a profile is compiled, and follows them when a message is decoded.
//!
//! In `vital.heart["rate.bpm"].samples[0]`, keys come after dots, keys with special characters are in brackets and
//! quotes, and indices are in brackets. `[n="temp"]` is the first element of an array whose member `n` is `temp`. `[*]` stands
//! for each element of an array, where several records are read. `@` alone is the record itself.

use super::tree::Node;
use super::value::Raw;
use std::fmt;

/// The greatest number of steps in a path.
const MAX_STEPS: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// The first element whose member `key` has this value, written as text.
    First {
        key: String,
        value: String,
    },
    Each,
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Parses a path, or says in words what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "@" {
            return Ok(Self(Vec::new()));
        }
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (step, after) = if let Some(inner) = rest.strip_prefix('[') {
                Self::parse_bracket(inner).ok_or_else(|| {
                    format!("`{text}`: brackets must contain an index, `*`, a quoted key or `key=value`")
                })?
            } else {
                let key = if steps.is_empty() { Some(rest) } else { rest.strip_prefix('.') };
                let key = key.ok_or_else(|| format!("`{text}`: a `.` or `[` is missing before `{rest}`"))?;
                let end = key.find(['.', '[', ']', '"']).unwrap_or(key.len());
                (Step::Key(key[..end].to_owned()), &key[end..])
            };
            if step == Step::Key(String::new()) {
                return Err(format!("`{text}`: a key is empty"));
            }
            steps.push(step);
            rest = after;
        }
        match steps.len() {
            0 => Err("the path is empty; give `@` for the record itself".to_owned()),
            1..=MAX_STEPS => Ok(Self(steps)),
            _ => Err(format!("the path has more than {MAX_STEPS} steps")),
        }
    }

    /// Parses what is after an opening bracket. Returns the step, and the text after the closing bracket.
    fn parse_bracket(inner: &str) -> Option<(Step, &str)> {
        if let Some(first) = Self::parse_first(inner) {
            return Some(first);
        }
        if let Some(quoted) = inner.strip_prefix('"') {
            let (key, rest) = quoted.split_once("\"]")?;
            return Some((Step::Key(key.to_owned()), rest));
        }
        let (index, rest) = inner.split_once(']')?;
        if index == "*" {
            return Some((Step::Each, rest));
        }
        let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| index.parse().ok()).flatten().map(|index| (Step::Index(index), rest))
    }

    /// Parses `key=value]`, where both may be in quotes.
    fn parse_first(inner: &str) -> Option<(Step, &str)> {
        let (key, after) = inner.split_once('=')?;
        let key = key.trim();
        let key = key.strip_prefix('"').map_or(Some(key), |key| key.strip_suffix('"'))?;
        let after = after.trim_start();
        let (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\"]")?,
            None => after
                .split_once(']')
                .map(|(value, rest)| (value.trim(), rest))
                .filter(|(value, _)| !value.is_empty())?,
        };
        let is_plain = !key.is_empty() && !key.contains(['"', '[', ']']) && !value.contains('"');
        is_plain.then(|| (Step::First { key: key.to_owned(), value: value.to_owned() }, rest))
    }

    /// Whether the path has a `[*]`.
    pub(super) fn iterates(&self) -> bool {
        self.0.contains(&Step::Each)
    }

    /// Finds the node that the path leads to from `node`, for a path without `[*]`.
    pub(super) fn find<'n, 'a>(&self, node: &'n Node<'a>) -> Option<&'n Node<'a>> {
        self.0.iter().try_fold(node, |node, step| step_into(node, step))
    }

    /// Finds every node that the path leads to from `node`, in the order of the message. If an array or a key is
    /// missing, also returns the kind of what is there instead, for the first one.
    pub(super) fn find_each<'n, 'a>(&self, node: &'n Node<'a>) -> (Vec<&'n Node<'a>>, Option<&'static str>) {
        let mut nodes = vec![node];
        let mut missed = None;
        for step in &self.0 {
            let mut next = Vec::with_capacity(nodes.len());
            for node in nodes {
                match (step, node) {
                    (Step::Each, Node::List(items)) => next.extend(items),
                    (Step::Each, other) => missed = missed.or(Some(other.kind())),
                    _ => match step_into(node, step) {
                        Some(node) => next.push(node),
                        None => missed = missed.or(Some("nothing")),
                    },
                }
            }
            nodes = next;
        }
        (nodes, missed)
    }
}

/// As [`Path::parse`] reads it.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("@");
        }
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if key.contains(['.', '[', ']', '"']) => write!(f, "[\"{key}\"]")?,
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::First { key, value } => write!(f, "[\"{key}\"=\"{value}\"]")?,
                Step::Each => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[inline]
fn step_into<'n, 'a>(node: &'n Node<'a>, step: &Step) -> Option<&'n Node<'a>> {
    match (step, node) {
        (Step::Key(key), Node::Map(_)) => member(node, key),
        (Step::Index(index), Node::List(items)) => items.get(*index),
        (Step::First { key, value }, Node::List(items)) => first(items, key, value),
        // What would stand below it cannot be known, which is not the same as missing.
        (_, Node::Bad(_)) => Some(node),
        _ => None,
    }
}

/// The first element whose member `key` has this value, written as text.
#[cold]
fn first<'n, 'a>(items: &'n [Node<'a>], key: &str, value: &str) -> Option<&'n Node<'a>> {
    items.iter().find(|item| {
        let member = member(item, key).map(|member| Raw::of(Some(member)).into_text());
        matches!(member, Some(Ok(text)) if text == value)
    })
}

/// The member of an object. If a key occurs twice, the last one counts, as in most parsers.
#[inline]
fn member<'n, 'a>(node: &'n Node<'a>, key: &str) -> Option<&'n Node<'a>> {
    let Node::Map(entries) = node else { return None };
    entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Step {
        Step::Key(text.to_owned())
    }

    #[test]
    fn keys_indices_and_iterations_are_parsed() {
        assert_eq!(
            Path::parse(r#"rooms[*]["a.b"][12].c"#).unwrap().0,
            [key("rooms"), Step::Each, key("a.b"), Step::Index(12), key("c")]
        );
        for text in [r#"rooms[*]["a.b"][12].c"#, "[0].a", "@", r#"m["n"="x y"].v"#] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Path::parse("[0]").unwrap().0, [Step::Index(0)]);
        assert_eq!(Path::parse("0").unwrap().0, [key("0")]);
        assert_eq!(Path::parse("@").unwrap().0, []);
    }

    #[test]
    fn an_element_is_chosen_by_the_value_of_a_member() {
        let node =
            Node::json(br#"{"m":[3,{"n":"hr"},{"n":"temp","v":36.5},{"type":1,"on":true,"v":2},{"n":"temp","v":9}]}"#)
                .unwrap();
        let found = |path: &str| Path::parse(path).unwrap().find(&node).cloned();
        for path in [r#"m[n="temp"].v"#, "m[n=temp].v", r#"m["n"="temp"].v"#, "m[ n = temp ].v"] {
            assert_eq!(found(path), Some(Node::Number(36.5)), "{path}");
        }
        assert_eq!(found("m[type=1].v"), Some(Node::Integer(2)));
        assert_eq!(found("m[on=true].v"), Some(Node::Integer(2)));
        assert_eq!(found("m[n=spo2].v"), None);
        assert_eq!(Path::parse(r#"m["a=b"]"#).unwrap().0[1], key("a=b"));
    }

    #[test]
    fn an_invalid_path_is_an_error_in_words() {
        for bad in [
            "m[=1]", "m[n=]", "m[n=\"x]", "", ".", "a.", "a..b", ".a", "a[", "a[]", "a[x]", "a[-1]", "a[0]b", "a\"b",
            "a[\"b]", "a]", "[+1]",
        ] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert!(Path::parse("a.".repeat(40).trim_end_matches('.')).unwrap_err().contains("more than 32"));
        assert_eq!(Path::parse("a[0]b").unwrap_err(), "`a[0]b`: a `.` or `[` is missing before `b`");
    }

    #[test]
    fn nested_arrays_flatten_in_the_order_of_the_message() {
        let node = Node::json(br#"{"r":[{"s":[1,2]},{"x":0},{"s":null},{"s":[3]}]}"#).unwrap();
        let (numbers, missed) = Path::parse("r[*].s[*]").unwrap().find_each(&node);
        assert_eq!(numbers, [&Node::Integer(1), &Node::Integer(2), &Node::Integer(3)]);
        assert_eq!(missed, Some("nothing"), "the second element does not have the key");
        assert_eq!(Path::parse("r[1].x[*]").unwrap().find_each(&node), (vec![], Some("a number")));
    }

    #[test]
    fn a_path_that_runs_into_what_is_not_json_ends_there() {
        let node = Node::json(br#"{"s":[{"t":1} x, {"t":2}]}"#).unwrap();
        let found = |path: &str| Path::parse(path).unwrap().find(&node).cloned();
        assert_eq!(found("s[0].t"), Some(Node::Bad("a value followed by something else")));
        assert_eq!(found("s[1].t"), Some(Node::Integer(2)));
    }

    #[test]
    fn of_a_key_that_occurs_twice_the_last_counts() {
        let node = Node::json(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(Path::parse("a").unwrap().find(&node), Some(&Node::Integer(2)));
    }
}
