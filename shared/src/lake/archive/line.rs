//! Writes and reads a line of the lake: one record with its position, partition key and time of arrival.

use super::json::Canonical;
use super::record::LakeRecord;
use crate::stream::batch::{Position, UserRecord};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Appends the line of `record` with its line feed: `{"seq","sub","key","arrived","json":…}` if the record is
/// [canonical](Canonical) JSON, else `{…,"b64":"…"}`. `seq` is a string of fixed width, because no reader's number type
/// holds 186 bits; `arrived` is in milliseconds since the epoch.
pub(super) fn write(out: &mut Vec<u8>, record: &UserRecord<'_>, canonical: &mut Canonical) -> std::io::Result<()> {
    out.extend_from_slice(b"{\"seq\":\"");
    out.extend_from_slice(record.sequence.fixed_width().as_bytes());
    out.extend_from_slice(b"\",\"sub\":");
    serde_json::to_writer(&mut *out, &record.sub)?;
    out.extend_from_slice(b",\"key\":");
    serde_json::to_writer(&mut *out, record.partition_key)?;
    out.extend_from_slice(b",\"arrived\":");
    serde_json::to_writer(&mut *out, &record.arrived_ms)?;
    if canonical.is(record.data) {
        out.extend_from_slice(b",\"json\":");
        out.extend_from_slice(record.data);
        out.extend_from_slice(b"}\n");
    } else {
        out.extend_from_slice(b",\"b64\":\"");
        base64_simd::STANDARD.encode_append(record.data, &mut *out);
        out.extend_from_slice(b"\"}\n");
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    seq: Cow<'a, str>,
    sub: u32,
    #[serde(borrow)]
    key: Cow<'a, str>,
    arrived: i64,
    #[serde(borrow, default, deserialize_with = "present")]
    json: Option<&'a RawValue>,
    #[serde(borrow)]
    b64: Option<Cow<'a, str>>,
}

/// The text of a member exactly as it is in the line. A member that is `null` is present, too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a line, without its line feed.
pub(super) fn parse(line: &[u8]) -> Result<LakeRecord, ParseLineError> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    let data = match (line.json, line.b64) {
        (Some(raw), None) => raw.get().as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text.as_bytes())?,
        _ => return Err(ParseLineError::Content),
    };
    let sequence = line.seq.parse().map_err(ParseLineError::Position)?;
    Ok(LakeRecord {
        position: Position { sequence, sub: line.sub },
        partition_key: line.key.into_owned(),
        arrived_ms: line.arrived,
        data,
    })
}

/// Why a text is not a line of the lake.
#[derive(Debug, thiserror::Error)]
pub enum ParseLineError {
    /// It is not a JSON object with the members of a line.
    #[error("it is not a line of the lake")]
    Json(#[from] serde_json::Error),
    /// It has neither or both of `json` and `b64`.
    #[error("it must have exactly one of `json` and `b64`")]
    Content,
    /// Its `b64` is not base64.
    #[error("its `b64` is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Its `seq` is not a sequence number.
    #[error("its `seq` is not a sequence number")]
    Position(#[source] crate::stream::batch::ParsePositionError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(key: &str, data: &[u8]) -> String {
        let sequence = "49541296383533603670305612607160966548683674396982771921".parse().unwrap();
        let record = UserRecord {
            record: 0,
            sequence: &sequence,
            sub: 3,
            partition_key: key,
            arrived_ms: 1_795_218_892_020,
            data,
        };
        let mut out = Vec::new();
        write(&mut out, &record, &mut Canonical::default()).unwrap();
        let parsed = parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(parsed.data, data);
        assert_eq!(
            (parsed.partition_key.as_str(), parsed.arrived_ms, parsed.position),
            (key, 1_795_218_892_020, record.position())
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn canonical_json_is_embedded_and_any_other_record_is_base64() {
        insta::assert_snapshot!(line("bed-17", br#"{"deviceId":"bed-17"}"#), @r#"{"seq":"49541296383533603670305612607160966548683674396982771921","sub":3,"key":"bed-17","arrived":1795218892020,"json":{"deviceId":"bed-17"}}"#);
        insta::assert_snapshot!(line("a \"key\"\n", b"{ }"), @r#"{"seq":"49541296383533603670305612607160966548683674396982771921","sub":3,"key":"a \"key\"\n","arrived":1795218892020,"b64":"eyB9"}"#);
        insta::assert_snapshot!(line("", b""), @r#"{"seq":"49541296383533603670305612607160966548683674396982771921","sub":3,"key":"","arrived":1795218892020,"b64":""}"#);
        insta::assert_snapshot!(line("", b"null"), @r#"{"seq":"49541296383533603670305612607160966548683674396982771921","sub":3,"key":"","arrived":1795218892020,"b64":"bnVsbA=="}"#);
    }

    #[test]
    fn a_text_that_is_not_a_line_of_the_lake_is_an_error() {
        for bad in [
            "",
            "{}",
            r#"{"seq":"1","sub":0,"key":"","arrived":1}"#,
            r#"{"seq":"1","sub":0,"key":"","arrived":1,"json":1,"b64":""}"#,
            r#"{"seq":"x","sub":0,"key":"","arrived":1,"json":1}"#,
            r#"{"seq":"1","sub":0,"key":"","arrived":1,"b64":"?"}"#,
            r#"{"seq":"1","sub":0,"key":"","arrived":1,"json":1,"more":1}"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let null = parse(br#"{"seq":"1","sub":0,"key":"","arrived":1,"json":null}"#).unwrap();
        assert_eq!(null.data, b"null");
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip_through_one_line(key in "\\PC*", data: Vec<u8>) {
            prop_assert_eq!(line(&key, &data).matches('\n').count(), 1);
        }

        #[test]
        fn texts_that_resemble_json_round_trip_through_one_line(key in "[\u{0}-\u{ff}]{0,9}", data in "[\\[\\]{}:,\"\\\\a0-9.eE \n\r\t\u{2028}-]{0,24}") {
            prop_assert_eq!(line(&key, data.as_bytes()).matches('\n').count(), 1);
        }
    }
}
