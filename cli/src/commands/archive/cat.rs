//! `myaku archive cat`.

use super::{Lake, Times};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use futures::StreamExt as _;
use jiff::SignedDuration;
use myaku::lake::archive::{LakeRecord, S3Lake};
use myaku_operator::selection::Selection;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::pin::pin;

/// The range where nothing is said.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(1);

/// Arguments of `myaku archive cat`.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    lake: Lake,
    /// The last hour without --since.
    #[command(flatten)]
    times: Times,
    /// Of this shard alone.
    #[arg(long, value_name = "ID")]
    shard: Option<String>,
    /// Of this device alone, or of this source of records that are no messages.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// How a record is printed.
    #[arg(long, value_enum, default_value_t = Form::Record)]
    form: Form,
}

/// How a record is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One line: JSON as it was sent, anything else as `{"b64":"…"}`.
    Record,
    /// One line: with its place in the stream, its partition key and its arrival.
    Line,
    /// One line: the message with its payload decoded, as JSON or text where it is some.
    Payload,
    /// Its bytes and nothing else, not even between two of them.
    Raw,
}

/// Runs the command. That nobody reads on is no error.
pub(super) async fn run(args: Args) -> Result<()> {
    let lake = S3Lake::new(&myaku::platform::aws::config().await, &args.lake.bucket);
    let selection = Selection {
        stream: args.lake.stream,
        arrived_ms: args.times.range(DEFAULT_RANGE)?,
        shard: args.shard,
        device: args.device,
    };
    let objects = selection.objects(&lake).await?;
    let mut read = pin!(selection.records(&lake, objects));
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(read) = read.next().await {
        let (key, records) = read?;
        for record in &records {
            match write(&mut out, &key.of.shard, record, args.form) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                written => written.context("the records cannot be written")?,
            }
        }
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("the records cannot be written"),
        _ => Ok(()),
    }
}

/// JSON that stands in a line as it is: on one line itself, with nothing around it.
fn embeddable(data: &[u8]) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_slice(data).ok()?;
    (raw.get().len() == data.len() && !data.contains(&b'\n') && !data.contains(&b'\r')).then_some(raw)
}

fn write(out: &mut impl Write, shard: &str, record: &LakeRecord, form: Form) -> io::Result<()> {
    match form {
        Form::Raw => return out.write_all(&record.data),
        Form::Record => match embeddable(&record.data) {
            Some(_) => out.write_all(&record.data)?,
            None => write!(out, "{}", json!({ "b64": STANDARD.encode(&record.data) }))?,
        },
        Form::Payload => write!(out, "{}", with_payload(&record.data))?,
        Form::Line => {
            let place = json!({
                "shard": shard, "seq": record.position.sequence.to_string(), "sub": record.position.sub,
                "arrived": record.arrived_ms, "key": record.partition_key,
            });
            let place = place.to_string();
            write!(out, "{},", place.trim_end_matches('}'))?;
            match embeddable(&record.data) {
                Some(json) => write!(out, "\"json\":{json}}}")?,
                None => write!(out, "\"b64\":\"{}\"}}", STANDARD.encode(&record.data))?,
            }
        }
    }
    out.write_all(b"\n")
}

/// A message with its payload as JSON or as text, where it is some; any other record as that itself.
fn with_payload(data: &[u8]) -> Value {
    let decoded = |bytes: &[u8]| match (serde_json::from_slice::<Value>(bytes), std::str::from_utf8(bytes)) {
        (Ok(json), _) => Some(json),
        (Err(_), Ok(text)) => Some(Value::from(text)),
        _ => None,
    };
    let Ok(Value::Object(mut message)) = serde_json::from_slice(data) else {
        return decoded(data).unwrap_or_else(|| json!({ "b64": STANDARD.encode(data) }));
    };
    let payload = message.get("payload").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    if let Some(payload) = payload.and_then(|bytes| decoded(&bytes)) {
        message.insert("payload".to_owned(), payload);
    }
    Value::Object(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::stream::batch::Position;

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
    fn json_is_printed_as_it_was_sent_and_anything_else_on_one_line_all_the_same() {
        assert_eq!(printed(br#"{"b": 1.0,"a":2}"#, Form::Record), "{\"b\": 1.0,\"a\":2}\n");
        assert_eq!(printed(b"link up\n", Form::Record), "{\"b64\":\"bGluayB1cAo=\"}\n");
        assert_eq!(printed(b"{\n}", Form::Record), "{\"b64\":\"ewp9\"}\n");
        assert_eq!(printed(b"\xff\n", Form::Raw), "\u{fffd}\n");
    }

    #[test]
    fn a_line_has_the_records_place_beside_it() {
        let line = printed(br#"{"b": 1.0}"#, Form::Line);
        assert!(line.ends_with("\"json\":{\"b\": 1.0}}\n"), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["seq"], &line["sub"], &line["key"]), (&json!("49"), &json!(3), &json!("k}")));
        let binary: Value = serde_json::from_str(&printed(b"\xff", Form::Line)).unwrap();
        assert_eq!((&binary["b64"], &binary["arrived"]), (&json!("/w=="), &json!(7)));
    }

    #[test]
    fn a_payload_is_decoded_to_json_or_text_and_stays_base64_where_it_is_neither() {
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
}
