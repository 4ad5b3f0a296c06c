//! Parses items in JSON: an array, a single object, or lines. A payload keeps its text; it is checked, and not decoded.

use super::{BodyError, Fields, Payloads, RawItem, RawProblem, cut};
use crate::ingest::limits::MAX_DEPTH;
use crate::platform::text::trimmed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Parses an array of items, or a single item. Stops after `limit + 1` items. An array that is not JSON is cut into its
/// items, each of which is judged alone.
pub(super) fn array(body: &[u8], limit: usize, payloads: Payloads) -> Result<Vec<RawItem<'_>>, BodyError> {
    let body = trimmed(body);
    let malformed = |error: serde_json::Error| BodyError::Malformed(format!("it is not JSON: {error}"));
    match body.first() {
        None => Err(BodyError::Empty),
        Some(b'[') => {
            let mut items = Vec::new();
            let mut json = serde_json::Deserializer::from_slice(body);
            let read = json.deserialize_seq(UpTo { items: &mut items, limit }).and_then(|()| json.end());
            // The rest of an array with too many items does not matter.
            if let Err(error) = read
                && items.len() <= limit
            {
                let elements = cut::elements(body, limit).ok_or_else(|| malformed(error))?;
                items = elements.into_iter().map(|element| item(element, payloads)).collect();
            }
            Ok(items)
        }
        Some(b'{') if payloads == Payloads::Any => Ok(vec![item(body, payloads)]),
        Some(b'{') => {
            let item: &RawValue = serde_json::from_str(utf8(body).map_err(BodyError::Malformed)?).map_err(malformed)?;
            Ok(vec![fields(item.get())])
        }
        Some(_) => Err(BodyError::Malformed("it is neither a JSON object nor a JSON array".to_owned())),
    }
}

/// Reads the items of an array until there are more than the limit.
struct UpTo<'v, 'a> {
    items: &'v mut Vec<RawItem<'a>>,
    limit: usize,
}

impl<'de> Visitor<'de> for UpTo<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(item) = array.next_element::<&'de RawValue>()? {
            self.items.push(fields(item.get()));
            if self.items.len() > self.limit {
                return Err(A::Error::custom("too many items"));
            }
        }
        Ok(())
    }
}

/// Parses items on lines, and stops after `limit + 1` items. An error in one does not affect the others.
pub(super) fn lines(body: &[u8], limit: usize, payloads: Payloads) -> Result<Vec<RawItem<'_>>, BodyError> {
    let lines = body.split(|byte| *byte == b'\n').map(trimmed).filter(|line| !line.is_empty());
    let items: Vec<_> = lines.map(|line| item(line, payloads)).take(limit.saturating_add(1)).collect();
    if items.is_empty() { Err(BodyError::Empty) } else { Ok(items) }
}

/// Parses one item. If it is not JSON because of its payload, and that may be anything, the payload is cut out.
fn item(text: &[u8], payloads: Payloads) -> RawItem<'_> {
    let read = utf8(text).map_err(|problem| RawProblem::whole(&problem)).and_then(fields);
    match read {
        Err(problem) if payloads == Payloads::Any => beside_payload(text).ok_or(problem),
        read => read,
    }
}

/// An item whose payload is not JSON. `None` if the rest is not an item either.
fn beside_payload(text: &[u8]) -> Option<Fields<'_>> {
    let range = cut::member(text, "payload")?;
    let payload = trimmed(&text[range.clone()]);
    let rest = [&text[..range.start], b"null", &text[range.end..]].concat();
    let Fields { device_id, facility, kind, message_id, payload: other, sequence } =
        fields(std::str::from_utf8(&rest).ok()?).ok()?;
    let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
    (other.is_none() && !payload.is_empty() && !too_deep(payload)).then(|| Fields {
        device_id: owned(device_id),
        facility: owned(facility),
        kind: owned(kind),
        message_id,
        payload: Some(Cow::Borrowed(payload)),
        sequence,
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow, default)]
    device_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    facility: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sequence: Option<&'a RawValue>,
}

fn fields(text: &str) -> RawItem<'_> {
    let problem = |field: &str, problem: &str| RawProblem::of(field, problem);
    if !text.starts_with('{') {
        return Err(RawProblem::whole("it is not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let wire: Wire<'_> = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let words = error.into_inner().to_string();
        // The parser's error would show the value. Every field that has a type is a string.
        let words = if words.starts_with("invalid type") { "it is not a string" } else { words.as_str() };
        // A text that is cut short has no path.
        if matches!(field.as_str(), "." | "?") { RawProblem::whole(words) } else { RawProblem::of(&field, words) }
    })?;
    json.end().map_err(|error| RawProblem::whole(&error.to_string()))?;
    let payload = match (wire.payload, wire.payload_base64) {
        (Some(_), Some(_)) => {
            return Err(problem("payloadBase64", "only one of payload and payloadBase64 is allowed"));
        }
        (Some(json), None) if too_deep(json.get().as_bytes()) => {
            return Err(problem("payload", &format!("it nests deeper than {MAX_DEPTH} levels")));
        }
        (Some(json), None) => Some(Cow::Borrowed(json.get().as_bytes())),
        (None, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded.as_bytes());
            Some(Cow::Owned(bytes.map_err(|_| problem("payloadBase64", "it is not base64"))?))
        }
        (None, None) => None,
    };
    Ok(Fields {
        device_id: wire.device_id,
        facility: wire.facility,
        kind: wire.kind,
        message_id: wire
            .message_id
            .map(|id| message_id(id.get()).map_err(|why| problem("messageId", &why)))
            .transpose()?,
        payload,
        sequence: wire.sequence.is_some(),
    })
}

/// The text of a string, or the digits of a whole number.
fn message_id(json: &str) -> Result<String, String> {
    if json.starts_with('"') {
        return serde_json::from_str(json).map_err(|error| error.to_string());
    }
    let number: Result<u64, _> = json.parse();
    number.map(|number| number.to_string()).map_err(|_| "it is neither a string nor a whole number".to_owned())
}

/// Whether brackets outside of strings nest too deeply.
fn too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
