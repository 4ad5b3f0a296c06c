//! Small inputs that become large: gzip of a few kilobytes that inflates to megabytes, against the functions' own binaries
//! in processes of 256 MB.

use super::pipeline::stack_options;
use super::worst::limit_memory;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use myaku::ingest::limits::{BATCH, REQUEST};
use myaku_local::stack::Stack;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// The most bytes of an input. All of these inputs inflate to the limit of a body.
const INPUT_BYTES: usize = 24 * 1_024;
/// The most bytes of an answer. Lambda takes 6 MB.
const ANSWER_BYTES: usize = 4 * 1_024;
/// How long one invocation may take, while other tests run on the same processors.
const TIME_MAX: Duration = Duration::from_secs(20);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

/// `unit` as often as fits a body between `begin` and `end`.
fn full(begin: &[u8], unit: &[u8], end: &[u8]) -> Vec<u8> {
    let count = (BATCH.body_bytes - begin.len() - end.len()) / unit.len();
    [begin, &unit.repeat(count), end].concat()
}

/// An item with a key of seven megabytes.
fn long_key() -> Vec<u8> {
    let key = "k".repeat(7_000_000);
    format!(r#"{{"{key}":1}}"#).into_bytes()
}

/// A map of CBOR with one entry, whose key or value is a list of seven million numbers.
fn long_list(key: &[u8]) -> Vec<u8> {
    let count = 7_000_000_u32;
    [&[0xa1], key, &[0x9a], &count.to_be_bytes(), &vec![0; count as usize], &[0x01]].concat()
}

/// The bodies that gateways and callers may send, by what they repeat.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("numbers in an array", full(b"[1", b",1", b"]")),
        ("empty objects in an array", full(b"[{}", b",{}", b"]")),
        ("empty objects on lines", full(b"{}", b"\n{}", b"")),
        ("numbers on lines", full(b"{}", b"\n1", b"")),
        ("short items on lines", full(b"", b"{\"kind\":\"k\",\"payload\":1}\n", b"")),
        ("a long key", long_key()),
    ]
}

/// The bodies that only gateways may send: CBOR.
fn bodies_of_gateways() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty maps in CBOR", full(b"", b"\xa0", b"")),
        ("a map with many entries in CBOR", full(b"\xbf", b"\x64kind\x61k", b"\xff")),
        ("a list as a key in CBOR", long_list(b"")),
        ("a list as a name in CBOR", long_list(b"\x68deviceId")[..7_000_015].to_vec()),
    ]
}

/// Invokes a function, and checks that it answers shortly, in both senses.
async fn answer(stack: &Stack, function: &str, name: &str, event: &Value) -> anyhow::Result<Value> {
    let began = Instant::now();
    let answer = stack.function(function)?.invoke(event.to_string().into()).await;
    let answer = answer.with_context(|| format!("{function}: {name}"))?;
    println!("{name}: {function} took {:?} and answered with {} bytes", began.elapsed(), answer.len());
    assert!(began.elapsed() < TIME_MAX, "{name}: {function} took {:?}", began.elapsed());
    assert!(answer.len() < ANSWER_BYTES, "{name}: {function} answered with {} bytes", answer.len());
    Ok(serde_json::from_slice(&answer)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn small_inputs_that_inflate_are_refused_within_256_mb_and_seconds() -> anyhow::Result<()> {
    assert_eq!(BATCH.body_bytes, REQUEST.body_bytes);
    let directory = tempfile::tempdir()?;
    let programs = tempfile::tempdir()?;
    let mut options = stack_options(directory.path(), &[])?;
    limit_memory(&options.binaries, programs.path())?;
    options.binaries = programs.path().to_owned();
    let stack = Stack::up(options).await?;

    for (name, body) in bodies() {
        let body = gzip(&body);
        assert!(body.len() <= INPUT_BYTES, "{name}: {} bytes", body.len());
        for kind in ["application/json", "application/x-ndjson"] {
            let mut request: Value = serde_json::from_str(include_str!("../../events/http-gzip.json"))?;
            request["body"] = STANDARD.encode(&body).into();
            request["headers"]["content-type"] = kind.into();
            let answer = answer(&stack, "HttpIngestFunction", &format!("{name}, {kind}"), &request).await?;
            assert!([400, 413].contains(&answer["statusCode"].as_u64().unwrap_or(0)), "{name}: {answer}");
        }
    }
    for (name, body) in bodies().into_iter().chain(bodies_of_gateways()) {
        let body = gzip(&body);
        assert!(body.len() <= INPUT_BYTES, "{name}: {} bytes", body.len());
        let event = json!({"gateway": "hub-1", "facility": "home-1", "clientId": "hub-1", "receivedAt": 1_795_218_892_020_i64,
            "payload": STANDARD.encode(&body)});
        let report = answer(&stack, "IotIngestFunction", name, &event).await?;
        assert_eq!(report, json!({"messages": 0, "deadLetters": 1}), "{name}");
    }
    stack.down().await;
    Ok(())
}
