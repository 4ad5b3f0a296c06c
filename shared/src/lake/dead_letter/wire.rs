//! A letter as JSON. It has the record's bytes in the most readable form from which they can be restored exactly.

use super::{DeadLetter, Failure, Problem, Reason};
use crate::platform::json::{self, is_default};
use crate::stream::batch::Position;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Why a text is not a dead letter.
#[derive(Debug, thiserror::Error)]
#[error("it is not a dead letter")]
pub struct ParseLetterError(#[source] Box<dyn std::error::Error + Send + Sync>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    reason: Reason,
    detail: Cow<'a, str>,
    stream: Cow<'a, str>,
    shard: Cow<'a, str>,
    position: Position,
    #[serde(default, skip_serializing_if = "is_default")]
    whole: bool,
    partition_key: Cow<'a, str>,
    /// Milliseconds since the epoch.
    arrived: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    failures: Vec<WireFailure<'a>>,
    #[serde(default, skip_serializing_if = "is_default")]
    unlisted: usize,
    /// The bytes, if they are JSON on one line.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    json: Option<&'a RawValue>,
    /// The bytes, if they are another text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    /// The bytes in base64, if they are not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b64: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WireFailure<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<Cow<'a, str>>,
    reason: Reason,
    detail: Cow<'a, str>,
}

impl DeadLetter {
    /// The letter as one line of JSON, with its newline.
    ///
    /// The bytes are in `json` (verbatim), `text` or `b64`. [`DeadLetter::from_json`] restores the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let text = std::str::from_utf8(&self.data).ok();
        let json = text.and_then(embeddable);
        let wire = Wire {
            reason: self.reason,
            detail: Cow::Borrowed(&self.detail),
            stream: Cow::Borrowed(&self.stream),
            shard: Cow::Borrowed(&self.shard),
            position: self.position,
            whole: self.is_whole,
            partition_key: Cow::Borrowed(&self.partition_key),
            arrived: self.arrived_ms,
            device_id: self.device_id.as_deref().map(Cow::Borrowed),
            failures: self.failures.iter().map(WireFailure::of).collect(),
            unlisted: self.unlisted,
            json,
            text: text.filter(|_| json.is_none()).map(Cow::Borrowed),
            b64: text.is_none().then(|| STANDARD.encode(&self.data)),
        };
        // Strings and numbers can always be serialized to memory.
        let mut line = serde_json::to_vec(&wire).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Parses what [`DeadLetter::to_json`] wrote, in this version or an earlier one.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ParseLetterError> {
        let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|error| ParseLetterError(error.into()))?;
        let data = match (wire.json, wire.text, wire.b64) {
            (Some(json), None, None) => json.get().as_bytes().to_vec(),
            (None, Some(text), None) => text.into_owned().into_bytes(),
            (None, None, Some(b64)) => STANDARD.decode(b64).map_err(|error| ParseLetterError(error.into()))?,
            _ => return Err(ParseLetterError("it must have exactly one of json, text and b64".into())),
        };
        Ok(Self {
            stream: wire.stream.into_owned(),
            shard: wire.shard.into_owned(),
            position: wire.position,
            is_whole: wire.whole,
            partition_key: wire.partition_key.into_owned(),
            arrived_ms: wire.arrived,
            device_id: wire.device_id.map(Cow::into_owned),
            reason: wire.reason,
            detail: wire.detail.into_owned(),
            failures: wire.failures.into_iter().map(WireFailure::into_failure).collect(),
            unlisted: wire.unlisted,
            data,
        })
    }
}

impl<'a> WireFailure<'a> {
    fn of(Failure { sub, index, metric, problem }: &'a Failure) -> Self {
        let (metric, detail) = (metric.as_deref().map(Cow::Borrowed), Cow::Borrowed(problem.detail.as_str()));
        Self { sub: *sub, index: *index, metric, reason: problem.reason, detail }
    }

    fn into_failure(self) -> Failure {
        let Self { sub, index, metric, reason, detail } = self;
        let problem = Problem { reason, detail: detail.into_owned() };
        Failure { sub, index, metric: metric.map(Cow::into_owned), problem }
    }
}

/// The text as a JSON value that can be embedded verbatim: it is on one line, has no white space around it, and is not
/// nested deeper than ordinary readers allow.
fn embeddable(text: &str) -> Option<&RawValue> {
    // A field that is `null` is read like one that is absent.
    if text.contains(['\n', '\r']) || text == "null" {
        return None;
    }
    json::check(text.as_bytes()).ok()?;
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    (raw.get().len() == text.len()).then_some(raw)
}
