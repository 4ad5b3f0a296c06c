//! Aggregates and takes apart on behalf of `tests/kpl_interop.py`: one JSON value a line, in and out.
//!
//! `encode`: `[[key, explicit hash key or null, base64], …]` to the aggregate in base64; `decode`: the other way,
//! `null` for what is no aggregate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::error::Error;
use std::io::{self, Write as _};

type Record = (String, Option<String>, String);

fn main() -> Result<(), Box<dyn Error>> {
    let mode = std::env::args().nth(1).ok_or("say `encode` or `decode`")?;
    let mut out = io::stdout().lock();
    for line in io::stdin().lines() {
        let answer = match mode.as_str() {
            "encode" => encode(&serde_json::from_str::<Vec<Record>>(&line?)?)?,
            "decode" => decode(&serde_json::from_str::<String>(&line?)?)?,
            other => return Err(format!("{other:?} is neither `encode` nor `decode`").into()),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn encode(records: &[Record]) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut builder = myaku::kpl::Builder::new();
    for (key, hash_key, data) in records {
        builder.push(key, hash_key.as_deref(), &STANDARD.decode(data)?);
    }
    Ok(STANDARD.encode(builder.finish()).into())
}

fn decode(aggregate: &str) -> Result<serde_json::Value, Box<dyn Error>> {
    let bytes = STANDARD.decode(aggregate)?;
    let records = myaku::kpl::decode(&bytes).map(|aggregate| {
        let record = |(key, hash_key, data): (&str, Option<&str>, &[u8])| -> Record {
            (key.to_owned(), hash_key.map(str::to_owned), STANDARD.encode(data))
        };
        aggregate.into_iter().map(record).collect::<Vec<_>>()
    });
    Ok(serde_json::to_value(records)?)
}
