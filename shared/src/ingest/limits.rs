//! The limits of what comes in, in one place. The page `docs/formats.md` has them as a table.
//!
//! A body is read up to its limit and one step further: what is refused is never built. A few kilobytes of gzip can inflate
//! to megabytes, whose items would take a hundred times as much again.

/// The limits of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The greatest length of the inflated body, in bytes.
    pub body_bytes: usize,
    /// The greatest number of items.
    pub items: usize,
}

/// The limits of a gateway's batch. AWS IoT accepts messages of 128 KB, which can inflate to far more.
pub const BATCH: Limits = Limits { body_bytes: 8 * 1024 * 1024, items: 10_000 };
/// The limits of a request. The API accepts 10 MB and Lambda 6 MB, which can be gzip of far more. All messages of a request
/// must be on the stream within the API's 30 seconds.
pub const REQUEST: Limits = Limits { body_bytes: 8 * 1024 * 1024, items: 1_000 };

/// How many levels deep a payload may nest. The decoders allow more, so that they can decode every payload that is
/// accepted.
pub const MAX_DEPTH: usize = 100;
/// The longest payload of an item, in bytes. In base64 and with its envelope it still fits a record of 1 MiB.
pub const MAX_PAYLOAD: usize = 512 * 1024;

/// How much of a name that a sender chose is shown in an answer, a dead letter or a log, in bytes.
pub const MAX_NAME_SHOWN: usize = 64;
/// The longest description of a problem of an item, in bytes.
pub const MAX_PROBLEM: usize = 256;
/// How many items' problems an answer names at most.
pub const PROBLEMS_IN_ANSWER: usize = 100;
/// How many items' problems a dead letter names at most.
pub const PROBLEMS_IN_LETTER: usize = 10;

/// The beginning of a text, with at most `bytes` bytes; `…` stands for the rest.
pub fn shown(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::message;

    #[test]
    fn the_page_has_every_limit() {
        let page = include_str!("../../../docs/formats.md");
        let rows =
            |words: &str| page.lines().filter(|line| line.starts_with(&format!("| {words} |"))).collect::<Vec<_>>();
        let grouped = |number: usize| {
            let digits = number.to_string();
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            groups.join(",")
        };
        for (words, limits) in [
            ("a body, inflated, in bytes", [grouped(BATCH.body_bytes), grouped(REQUEST.body_bytes)]),
            ("items of a body", [grouped(BATCH.items), grouped(REQUEST.items)]),
            ("the payload of an item, in bytes", [grouped(MAX_PAYLOAD), grouped(MAX_PAYLOAD)]),
            ("levels of a payload", [grouped(MAX_DEPTH), grouped(MAX_DEPTH)]),
            ("an id, in bytes", [grouped(message::MAX_ID), grouped(message::MAX_ID)]),
            ("a `messageId`, in bytes", [grouped(message::MAX_MESSAGE_ID), grouped(message::MAX_MESSAGE_ID)]),
            ("a name that is shown, in bytes", [grouped(MAX_NAME_SHOWN), grouped(MAX_NAME_SHOWN)]),
            ("the problem of an item, in bytes", [grouped(MAX_PROBLEM), grouped(MAX_PROBLEM)]),
            ("problems that are named", [grouped(PROBLEMS_IN_LETTER), grouped(PROBLEMS_IN_ANSWER)]),
        ] {
            assert_eq!(rows(words), [format!("| {words} | {} | {} |", limits[0], limits[1])]);
        }
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        assert_eq!(shown("kind", 4), "kind");
        assert_eq!(shown("kinds", 4), "kind…");
        assert_eq!(shown("éé", 3), "é…");
    }
}
