//! The lake's objects, decompressed and read line by line.

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::Read as _;

/// One line of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The object that holds it.
    pub object: String,
    /// The sequence number of its record.
    pub sequence: String,
    /// Its place in that record.
    pub sub: u64,
    /// The record's bytes.
    pub data: Vec<u8>,
}

/// The lake, read whole.
#[derive(Debug, Default)]
pub struct Contents {
    /// All lines of all objects.
    pub lines: Vec<Line>,
    /// How many objects there are.
    pub objects: usize,
    /// Their size as they are stored, in bytes.
    pub bytes: u64,
}

/// Reads every object of `bucket` under `prefix`.
pub async fn read(client: &Client, bucket: &str, prefix: &str) -> Result<Contents> {
    let mut contents = Contents::default();
    for key in keys(client, bucket, prefix).await?.into_iter().filter(|key| !is_hidden(key)) {
        let bytes = object(client, bucket, &key).await?;
        contents.objects += 1;
        contents.bytes += bytes.len() as u64;
        contents.lines.extend(lines(&key, &bytes).with_context(|| format!("{key} cannot be read"))?);
    }
    Ok(contents)
}

/// Whether engines pass over an object: those whose name begins with an underscore or a dot hold no rows.
pub fn is_hidden(key: &str) -> bool {
    key.rsplit('/').next().is_some_and(|name| name.starts_with(['_', '.']))
}

/// The keys of all objects under `prefix`.
pub async fn keys(client: &Client, bucket: &str, prefix: &str) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_continuation_token(token)
            .send()
            .await
            .with_context(|| format!("{bucket}/{prefix} cannot be listed"))?;
        keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            return Ok(keys);
        }
    }
}

/// The bytes of one object.
pub async fn object(client: &Client, bucket: &str, key: &str) -> Result<Vec<u8>> {
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let body = answer.with_context(|| format!("{bucket}/{key} cannot be fetched"))?.body;
    Ok(body.collect().await.with_context(|| format!("{bucket}/{key} broke off"))?.to_vec())
}

/// The text of an object, by the ending of its key. Only the first gzip member is read, as some readers of the lake do:
/// an object that has more would lose lines here, and be found out.
pub fn text(key: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let ending = key.rsplit_once('.').map_or("", |(_, ending)| ending);
    if ending == "gz" {
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut text)?;
    } else if ending == "zst" {
        zstd::Decoder::new(bytes)?.single_frame().read_to_end(&mut text)?;
    } else if ending.ends_with("json") {
        text.extend(bytes);
    } else {
        bail!("its ending says nothing of how it is compressed");
    }
    Ok(text)
}

#[derive(Deserialize)]
struct Written<'a> {
    seq: String,
    sub: u64,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    b64: Option<String>,
}

/// The lines of one object.
pub fn lines(key: &str, bytes: &[u8]) -> Result<Vec<Line>> {
    let text = text(key, bytes)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let written: Written<'_> = serde_json::from_slice(line).context("a line is not as it should be")?;
            let data = match (written.json, written.b64) {
                (Some(json), None) => json.get().as_bytes().to_vec(),
                (None, Some(b64)) => base64::engine::general_purpose::STANDARD.decode(b64)?,
                _ => bail!("a line has not exactly one of json and b64"),
            };
            Ok(Line { object: key.to_owned(), sequence: written.seq, sub: written.sub, data })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_gzipped_object_gives_the_very_bytes_of_json_and_of_other_records() {
        let text = b"{\"seq\":\"49\",\"sub\":0,\"key\":\"k\",\"arrived\":1,\"json\":{\"a\": 1}}\n{\"seq\":\"50\",\"sub\":2,\"key\":\"k\",\"arrived\":1,\"b64\":\"/w==\"}\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let lines = lines("raw/x.ndjson.gz", &gzip.finish().unwrap()).unwrap();
        assert_eq!(lines[0].data, b"{\"a\": 1}");
        assert_eq!((lines[1].sequence.as_str(), lines[1].sub, &lines[1].data[..]), ("50", 2, &[0xff][..]));
    }

    #[test]
    fn a_line_that_is_cut_is_an_error() {
        assert!(lines("x.json", b"{\"seq\":\"49\"").is_err());
    }
}
