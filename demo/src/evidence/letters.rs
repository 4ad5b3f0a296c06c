//! Reads the dead letters from their bucket.

use super::aggregate;
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
    let letters: Vec<Vec<Letter>> = stream::iter(keys)
        .map(|key| async move {
            let bytes = object(client, bucket, &key).await?;
            letters(&key, &bytes).with_context(|| format!("cannot parse the dead letter {key}"))
        })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    Ok(letters.concat())
}

#[derive(Deserialize)]
struct LetterObject<'a> {
    reason: String,
    #[serde(default)]
    whole: bool,
    #[serde(default)]
    failures: Vec<Failure>,
    #[serde(default)]
    unlisted: usize,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    text: Option<String>,
    b64: Option<String>,
}

/// What an object lists: a value of its message, or a record of its aggregate.
#[derive(Deserialize)]
struct Failure {
    reason: String,
    sub: Option<usize>,
}

/// The letters of an object: one for each reason of its message, or one for each record of its aggregate.
fn letters(key: &str, bytes: &[u8]) -> Result<Vec<Letter>> {
    let written: LetterObject<'_> = serde_json::from_slice(bytes)?;
    let data = match (written.json, written.text, written.b64) {
        (Some(json), None, None) => json.get().as_bytes().to_vec(),
        (None, Some(text), None) => text.into_bytes(),
        (None, None, Some(b64)) => base64::engine::general_purpose::STANDARD.decode(b64)?,
        _ => bail!("it must have exactly one of json, text and b64"),
    };
    let letter =
        |reason: String, data: &[u8]| Letter { key: key.to_owned(), reason, fingerprint: Fingerprint::of_record(data) };
    let records = if written.whole { aggregate::split(&data) } else { None };
    if let Some(records) = records {
        if written.unlisted > 0 {
            bail!("it does not list {} of its records", written.unlisted);
        }
        if written.failures.is_empty() {
            // It was set aside unread.
            return Ok(records.iter().map(|(_, record)| letter(written.reason.clone(), record)).collect());
        }
        let failures = written.failures.into_iter();
        let of_record = |Failure { reason, sub }| Some(letter(reason, &records.get(sub?)?.1));
        return failures
            .map(|failure| of_record(failure).context("it lists a record that is not in its aggregate"))
            .collect();
    }
    let mut reasons: Vec<_> = written.failures.into_iter().map(|failure| failure.reason).collect();
    reasons.push(written.reason);
    reasons.sort();
    reasons.dedup();
    Ok(reasons.into_iter().map(|reason| letter(reason, &data)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_holds_the_bytes_of_its_record() {
        let found = letters("k", br#"{"reason":"not-a-message","detail":"x","text":"link up"}"#).unwrap();
        let fingerprint = Fingerprint::of_record(b"link up");
        assert_eq!(found, [Letter { key: "k".to_owned(), reason: "not-a-message".to_owned(), fingerprint }]);
    }

    #[test]
    fn a_message_counts_once_for_each_reason_that_its_letter_lists() {
        let json = br#"{"reason":"out-of-range","failures":[{"reason":"out-of-range"},{"reason":"missing-field"},
            {"reason":"out-of-range"}],"json":{"hr":9}}"#;
        let reasons: Vec<_> = letters("k", json).unwrap().into_iter().map(|letter| letter.reason).collect();
        assert_eq!(reasons, ["missing-field", "out-of-range"]);
    }
}
