//! Parses items in CBOR, one after the other (RFC 8742). A payload is the content of a byte string, or the item as it
//! was encoded, so that the lake has exactly what was sent.

use super::{BodyError, Fields, RawItem, RawProblem};
use crate::ingest::limits::MAX_DEPTH;
use ciborium::Value;
use std::borrow::Cow;

/// How many levels deep an item may nest: its payload, and the map around it with its keys and values.
const DEPTH: usize = MAX_DEPTH + 2;

/// The longest encoding of a value that is neither a string nor a payload, in bytes. A longer one cannot be a number.
const NUMBER_BYTES: usize = 16;

/// Parses the items of a sequence, and stops after `limit + 1` items. If one is malformed, the whole body is, because the next one begins at an unknown
/// place.
pub(super) fn sequence(body: &[u8], limit: usize) -> Result<Vec<RawItem<'_>>, BodyError> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < body.len() && items.len() <= limit {
        let end = end_of(body, at, DEPTH)
            .map_err(|why| BodyError::Malformed(format!("it is not a CBOR sequence: the item at byte {at} {why}")))?;
        items.push(fields(&body[at..end]));
        at = end;
    }
    if items.is_empty() { Err(BodyError::Empty) } else { Ok(items) }
}

fn fields(item: &[u8]) -> RawItem<'_> {
    let mut fields = Fields::default();
    let entries = Entries::of(item).ok_or_else(|| RawProblem::whole("it is not a CBOR map"))?;
    for (key, value) in entries {
        let Some(Value::Text(key)) = decode(key) else { return Err(RawProblem::whole("a key is not a string")) };
        let problem = |problem: &str| RawProblem::of(&key, problem);
        let text = || match decode(value) {
            Some(Value::Text(text)) => Ok(Some(Cow::Owned(text))),
            _ => Err(problem("it is not a string")),
        };
        match key.as_str() {
            "deviceId" => fields.device_id = text()?,
            "facility" => fields.facility = text()?,
            "kind" => fields.kind = text()?,
            "messageId" => match decode(value) {
                Some(Value::Text(id)) => fields.message_id = Some(id),
                Some(Value::Integer(id)) if u64::try_from(id).is_ok() => {
                    fields.message_id = Some(i128::from(id).to_string());
                }
                _ => return Err(problem("it is neither a string nor a whole number")),
            },
            "payload" => {
                fields.payload = Some(match value[0] >> 5 {
                    BYTES => match decode(value) {
                        Some(Value::Bytes(bytes)) => Cow::Owned(bytes),
                        _ => return Err(problem("it is not a byte string")),
                    },
                    _ => Cow::Borrowed(value),
                });
            }
            "sequence" => fields.sequence = true,
            _ => return Err(problem("this field is unknown")),
        }
    }
    Ok(fields)
}

/// Decodes a string or a number. Anything else would take many times its length, and has no use here.
fn decode(item: &[u8]) -> Option<Value> {
    let is_string = matches!(item.first()? >> 5, BYTES | TEXT);
    let is_short = is_string || item.len() <= NUMBER_BYTES;
    is_short.then(|| ciborium::de::from_reader_with_recursion_limit(item, DEPTH).ok()).flatten()
}

/// The entries of a map, each as the encoded key and value.
struct Entries<'a> {
    item: &'a [u8],
    at: usize,
    /// How many entries are left; `None` if the length is indefinite.
    left: Option<u64>,
}

impl<'a> Entries<'a> {
    /// The entries of an item; `None` if it is not a map. Tags in front of the map, such as that of self-described CBOR, are
    /// skipped.
    fn of(mut item: &'a [u8]) -> Option<Self> {
        loop {
            let head = head(item, 0).ok()?;
            match head.major {
                TAG => item = &item[head.end..],
                MAP => return Some(Self { item, at: head.end, left: head.argument }),
                _ => return None,
            }
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let Self { item, at, left } = self;
        if left.map_or(item.get(*at) == Some(&BREAK), |left| left == 0) {
            return None;
        }
        // The item is whole: the end of each of its parts is known to be in it.
        let middle = end_of(item, *at, DEPTH).ok()?;
        let end = end_of(item, middle, DEPTH).ok()?;
        let entry = (&item[*at..middle], &item[middle..end]);
        *at = end;
        *left = left.map(|left| left - 1);
        Some(entry)
    }
}

/// Major types (RFC 8949, 3.1).
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;
/// Ends an item of indefinite length.
const BREAK: u8 = 0xff;

/// The problem of an item that does not end within the body.
const CUT: &str = "is cut short";

/// The first bytes of an item.
struct Head {
    major: u8,
    /// Its argument; `None` if the length is indefinite.
    argument: Option<u64>,
    /// Where the head ends.
    end: usize,
}

fn head(bytes: &[u8], at: usize) -> Result<Head, &'static str> {
    let first = *bytes.get(at).ok_or(CUT)?;
    let (major, low) = (first >> 5, first & 31);
    let length = match low {
        0..=23 => return Ok(Head { major, argument: Some(u64::from(low)), end: at + 1 }),
        24..=27 => 1 << (low - 24),
        31 if (BYTES..=MAP).contains(&major) => return Ok(Head { major, argument: None, end: at + 1 }),
        _ => return Err("begins with an invalid byte"),
    };
    let end = at + 1 + length;
    let digits = bytes.get(at + 1..end).ok_or(CUT)?;
    let argument = digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit));
    Ok(Head { major, argument: Some(argument), end })
}

/// Where the item that begins at `at` ends.
fn end_of(bytes: &[u8], at: usize, depth: usize) -> Result<usize, &'static str> {
    let depth = depth.checked_sub(1).ok_or("nests too deeply")?;
    let head = head(bytes, at)?;
    let mut end = head.end;
    match (head.major, head.argument) {
        (BYTES | TEXT, Some(length)) => {
            let last = usize::try_from(length).ok().and_then(|length| end.checked_add(length));
            last.filter(|last| *last <= bytes.len()).ok_or(CUT)
        }
        (ARRAY | MAP, Some(count)) => {
            for _ in 0..count.saturating_mul(if head.major == MAP { 2 } else { 1 }) {
                end = end_of(bytes, end, depth)?;
            }
            Ok(end)
        }
        (TAG, _) => end_of(bytes, end, depth),
        (major, None) => {
            let mut count = 0_usize;
            while bytes.get(end) != Some(&BREAK) {
                // The chunks of a string have its major type and a definite length (RFC 8949, 3.2.3).
                if major <= TEXT && bytes.get(end).is_some_and(|first| first >> 5 != major || first & 31 == 31) {
                    return Err("has a chunk of another type");
                }
                end = end_of(bytes, end, depth)?;
                count += 1;
            }
            if major == MAP && count % 2 == 1 { Err("has a key without a value") } else { Ok(end + 1) }
        }
        _ => {
            debug_assert!(head.major < BYTES || head.major == SIMPLE);
            Ok(end)
        }
    }
}
