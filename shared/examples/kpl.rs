//! Encodes and decodes aggregates on the command line: `make interop` compares with AWS's own Python package.
//!
//! `kpl encode` reads lines of `{"key","hashKey","data"}`, data in base64, and writes one aggregate in base64;
//! `kpl decode` does the reverse, one aggregate a line.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use myaku::stream::kpl::{Builder, decode};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{self, BufRead as _, Write as _};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    key: String,
    hash_key: Option<String>,
    data: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let lines = io::stdin().lock().lines();
    let mut out = io::stdout().lock();
    match std::env::args().nth(1).as_deref() {
        Some("encode") => {
            let mut builder = Builder::new();
            for line in lines {
                let line: Line = serde_json::from_str(&line?)?;
                builder.push(&line.key, line.hash_key.as_deref(), &BASE64_STANDARD.decode(line.data)?);
            }
            writeln!(out, "{}", BASE64_STANDARD.encode(builder.finish()))?;
        }
        Some("decode") => {
            for line in lines {
                let bytes = BASE64_STANDARD.decode(line?)?;
                let aggregate = decode(&bytes).ok_or("not an aggregate")?;
                for (key, hash_key, data) in aggregate.records() {
                    let line = Line {
                        key: key.to_owned(),
                        hash_key: hash_key.map(str::to_owned),
                        data: BASE64_STANDARD.encode(data),
                    };
                    writeln!(out, "{}", serde_json::to_string(&line)?)?;
                }
            }
        }
        _ => return Err("usage: kpl encode | kpl decode".into()),
    }
    Ok(())
}
