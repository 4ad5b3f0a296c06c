//! Prints records of the lake, for people and for tools such as `jq`.
//!
//! Each [`Form`] but [`Form::Raw`] writes one line for each record, whatever bytes it holds, so that a pipeline of
//! line-based tools can read all of them.

use crate::selection::Selection;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use myaku::lake::archive::{Lake, LakeRecord};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Write};
use std::pin::pin;

/// How a record is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line: JSON as it was sent, anything else as `{"b64":"…"}`.
    Record,
    /// One line: the record with its position in the stream, its partition key and its time of arrival.
    Line,
    /// One line: the message with its payload decoded to JSON or text, where it is JSON or text.
    Payload,
    /// The bytes of the record, with nothing between two records.
    Raw,
}

/// Prints the selected records to `out`, by hour, shard and position. Stops without an error when `out` is closed.
pub async fn cat(lake: &impl Lake, selection: &Selection, form: Form, out: &mut impl Write) -> Result<()> {
    let objects = selection.objects(lake).await?;
    let mut read = pin!(selection.records(lake, objects));
    let mut is_open = true;
    while is_open && let Some(read) = read.next().await {
        let (key, records) = read?;
        for record in &records {
            is_open = is_open && written(write(out, &key.of.shard, record, form))?;
        }
    }
    written(out.flush())?;
    Ok(())
}

/// Whether something was written; `false` if the reader has closed its end.
fn written(result: io::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write the records to the output"),
    }
}

/// Returns the bytes as JSON that fits into a line unchanged: without line breaks, and with nothing around the value.
fn single_line_json(data: &[u8]) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_slice(data).ok()?;
    (raw.get().len() == data.len() && !data.contains(&b'\n') && !data.contains(&b'\r')).then_some(raw)
}

/// Writes one record of a shard in a form.
pub fn write(out: &mut impl Write, shard: &str, record: &LakeRecord, form: Form) -> io::Result<()> {
    match form {
        Form::Raw => return out.write_all(&record.data),
        Form::Record => match single_line_json(&record.data) {
            Some(_) => out.write_all(&record.data)?,
            None => write!(out, "{}", json!({ "b64": STANDARD.encode(&record.data) }))?,
        },
        Form::Payload => write!(out, "{}", with_decoded_payload(&record.data))?,
        Form::Line => {
            let position = json!({
                "shard": shard, "seq": record.position.sequence.to_string(), "sub": record.position.sub,
                "arrived": record.arrived_ms, "key": record.partition_key,
            });
            let position = position.to_string();
            // The object stays open: the record's own bytes follow, unchanged.
            write!(out, "{},", position.strip_suffix('}').unwrap_or(&position))?;
            match single_line_json(&record.data) {
                Some(json) => write!(out, "\"json\":{json}}}")?,
                None => write!(out, "\"b64\":\"{}\"}}", STANDARD.encode(&record.data))?,
            }
        }
    }
    out.write_all(b"\n")
}

/// Returns a message with its payload as JSON or text, where it is JSON or text. Any other record is decoded as a
/// whole.
fn with_decoded_payload(data: &[u8]) -> Value {
    let decode = |bytes: &[u8]| match (serde_json::from_slice::<Value>(bytes), std::str::from_utf8(bytes)) {
        (Ok(json), _) => Some(json),
        (Err(_), Ok(text)) => Some(Value::from(text)),
        _ => None,
    };
    let Ok(Value::Object(mut message)) = serde_json::from_slice(data) else {
        return decode(data).unwrap_or_else(|| json!({ "b64": STANDARD.encode(data) }));
    };
    let payload = message.get("payload").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    if let Some(payload) = payload.and_then(|bytes| decode(&bytes)) {
        message.insert("payload".to_owned(), payload);
    }
    Value::Object(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::lake::archive::{Archiver, Compression, MemoryHeads, MemoryLake};
    use myaku::stream::batch::{Batch, Position, StreamRecord};

    fn printed(data: &[u8], form: Form) -> String {
        let record = LakeRecord {
            position: Position { sequence: "49".parse().unwrap(), sub: 3 },
            partition_key: "k}".to_owned(),
            arrived_ms: 7,
            data: data.to_vec(),
        };
        let mut out = Vec::new();
        write(&mut out, "shardId-000000000001", &record, form).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn json_is_printed_as_it_was_sent_and_anything_else_as_base64_on_one_line() {
        assert_eq!(printed(br#"{"b": 1.0,"a":2}"#, Form::Record), "{\"b\": 1.0,\"a\":2}\n");
        assert_eq!(printed(b"link up\n", Form::Record), "{\"b64\":\"bGluayB1cAo=\"}\n");
        assert_eq!(printed(b"{\n}", Form::Record), "{\"b64\":\"ewp9\"}\n");
        assert_eq!(printed(b"\xff\n", Form::Raw), "\u{fffd}\n");
    }

    #[test]
    fn a_line_has_the_position_and_the_record() {
        let line = printed(br#"{"b": 1.0}"#, Form::Line);
        assert!(line.ends_with("\"json\":{\"b\": 1.0}}\n"), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["seq"], &line["sub"], &line["key"]), (&json!("49"), &json!(3), &json!("k}")));
        let binary: Value = serde_json::from_str(&printed(b"\xff", Form::Line)).unwrap();
        assert_eq!((&binary["b64"], &binary["arrived"]), (&json!("/w=="), &json!(7)));
    }

    #[test]
    fn a_payload_is_decoded_to_json_or_text_and_otherwise_stays_base64() {
        let payload = |payload: &[u8]| {
            let message = json!({ "deviceId": "bed-17", "payload": STANDARD.encode(payload) });
            let printed: Value = serde_json::from_str(&printed(message.to_string().as_bytes(), Form::Payload)).unwrap();
            printed["payload"].clone()
        };
        assert_eq!(payload(br#"{"hr": 61}"#), json!({ "hr": 61 }));
        assert_eq!(payload(b"link up"), json!("link up"));
        assert_eq!(payload(b"\xff\x00"), json!("/wA="));
        assert_eq!(printed(b"GET /", Form::Payload), "\"GET /\"\n");
    }

    /// An output whose reader leaves after some bytes.
    struct Closing(usize);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn records_are_printed_in_order_until_the_output_is_closed() {
        let lake = MemoryLake::default();
        let record = |number: i64| StreamRecord {
            sequence: number.to_string().parse().unwrap(),
            partition_key: "k".into(),
            arrived_ms: number,
            data: format!("{{\"n\":{number}}}").into(),
        };
        let batch = Batch { stream: "ingest".into(), shard: "s".into(), records: (1..=4).map(record).collect() };
        let archiver = Archiver::new(lake.clone(), MemoryHeads::default(), Compression::default());
        assert!(archiver.archive(&batch).await.stopped.is_none());
        let selection = Selection { stream: "ingest".to_owned(), arrived_ms: 2..4, shard: None, device: None };

        let mut out = Vec::new();
        cat(&lake, &selection, Form::Record, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"n\":2}\n{\"n\":3}\n");
        cat(&lake, &selection, Form::Record, &mut Closing(10)).await.unwrap();
    }
}
