//! Reads the dead letters from their bucket.

use super::objects::{keys, object};
use crate::fingerprint::Fingerprint;
use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use base64::Engine as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Objects that are fetched in parallel.
const CONCURRENT_READS: usize = 8;

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its key.
    pub key: String,
    /// Why it is there.
    pub reason: String,
    /// Which message its record is.
    pub fingerprint: Fingerprint,
}

/// Reads all letters of `bucket` under `prefix`.
pub async fn read(client: &Client, bucket: &str, prefix: &str) -> Result<Vec<Letter>> {
    let keys = keys(client, bucket, prefix).await?;
    stream::iter(keys)
        .map(|key| async move {
            let bytes = object(client, bucket, &key).await?;
            letter(&key, &bytes).with_context(|| format!("cannot parse the dead letter {key}"))
        })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await
}

#[derive(Deserialize)]
struct LetterObject<'a> {
    reason: String,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    text: Option<String>,
    b64: Option<String>,
}

fn letter(key: &str, bytes: &[u8]) -> Result<Letter> {
    let written: LetterObject<'_> = serde_json::from_slice(bytes)?;
    let data = match (written.json, written.text, written.b64) {
        (Some(json), None, None) => json.get().as_bytes().to_vec(),
        (None, Some(text), None) => text.into_bytes(),
        (None, None, Some(b64)) => base64::engine::general_purpose::STANDARD.decode(b64)?,
        _ => bail!("it must have exactly one of json, text and b64"),
    };
    Ok(Letter { key: key.to_owned(), reason: written.reason, fingerprint: Fingerprint::of_record(&data) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_holds_the_bytes_of_its_record() {
        let letter = letter("k", br#"{"reason":"not-a-message","detail":"x","text":"link up"}"#).unwrap();
        assert_eq!(letter.fingerprint, Fingerprint::of_record(b"link up"));
        assert_eq!(letter.reason, "not-a-message");
    }
}
