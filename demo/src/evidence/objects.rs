//! Lists and fetches objects of a bucket.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;

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
            .with_context(|| format!("cannot list s3://{bucket}/{prefix}"))?;
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
    let body = answer.with_context(|| format!("cannot fetch s3://{bucket}/{key}"))?.body;
    Ok(body
        .collect()
        .await
        .with_context(|| format!("the connection broke while fetching s3://{bucket}/{key}"))?
        .to_vec())
}
