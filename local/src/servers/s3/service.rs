//! S3's operations on the store.

use super::store::{Attributes, Condition, Object, Page, Refusal, Store};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{self, ETag, ETagCondition, StreamingBlob, Timestamp};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The most keys of a page.
const PAGE_KEYS_MAX: usize = 1000;
/// The largest object: it passes through memory as a whole. A Lambda batch is 6 MB.
const OBJECT_BYTES_MAX: usize = 256 << 20;

pub(super) struct Service(pub(super) Arc<Store>);

/// Accepts every access key whose secret is the key itself: signatures must be right, but anyone can make one.
pub(super) struct AnyKey;

#[async_trait::async_trait]
impl S3Auth for AnyKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        Ok(SecretKey::from(access_key))
    }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchBucket => s3_error!(NoSuchBucket),
            Refusal::NoSuchKey => s3_error!(NoSuchKey),
            Refusal::BucketExists => s3_error!(BucketAlreadyOwnedByYou),
            Refusal::BucketNotEmpty => s3_error!(BucketNotEmpty),
            Refusal::PreconditionFailed => s3_error!(PreconditionFailed),
            Refusal::BadName => {
                s3_error!(InvalidArgument, "the key cannot be a file name, so it does not work on this machine")
            }
            Refusal::Io(error) => S3Error::with_source(S3ErrorCode::InternalError, Box::new(error)),
        }
    }
}

impl Service {
    /// Runs a blocking file operation on a thread where blocking is allowed.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Refusal> + Send + 'static,
    ) -> S3Result<T> {
        let store = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        Ok(done.map_err(|error| S3Error::with_source(S3ErrorCode::InternalError, Box::new(error)))??)
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<dto::CreateBucketInput>,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
        let bucket = request.input.bucket;
        let location = Some(format!("/{bucket}"));
        self.with_store(move |store| store.create_bucket(&bucket)).await?;
        Ok(S3Response::new(dto::CreateBucketOutput { location }))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<dto::DeleteBucketInput>,
    ) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
        self.with_store(move |store| store.delete_bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(dto::DeleteBucketOutput {}))
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        if !self.0.has_bucket(&request.input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(S3Response::new(dto::HeadBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _request: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        let buckets = self.0.list_buckets().into_iter().map(|(name, created_ms)| dto::Bucket {
            name: Some(name),
            creation_date: Some(timestamp(created_ms)),
            ..Default::default()
        });
        Ok(S3Response::new(dto::ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() }))
    }

    async fn put_object(&self, request: S3Request<dto::PutObjectInput>) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let dto::PutObjectInput {
            bucket,
            key,
            body,
            content_type,
            content_encoding,
            metadata,
            if_match,
            if_none_match,
            ..
        } = request.input;
        let condition = match (if_none_match, if_match) {
            (None, None) => Condition::Always,
            (Some(ETagCondition::Any), None) => Condition::Absent,
            (None, Some(ETagCondition::Any)) => Condition::Matches(None),
            (None, Some(ETagCondition::ETag(etag))) => Condition::Matches(Some(etag.into_value())),
            (Some(_), _) => {
                return Err(s3_error!(NotImplemented, "If-None-Match works only with *, and without If-Match"));
            }
        };
        let attributes = Attributes { content_type, content_encoding, metadata: metadata.unwrap_or_default() };
        let bytes = collect(body).await?;
        let object = self.with_store(move |store| store.put(&bucket, &key, &bytes, attributes, &condition)).await?;
        Ok(S3Response::new(dto::PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag.clone())),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        Ok(S3Response::new(head(&*self.0.head(&request.input.bucket, &request.input.key)?)))
    }

    async fn get_object(&self, request: S3Request<dto::GetObjectInput>) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let dto::GetObjectInput { bucket, key, range, .. } = request.input;
        let (object, bytes, content_range) = self
            .with_store(move |store| {
                let (object, file) = store.open_object(&bucket, &key)?;
                Ok(read(object, file, range))
            })
            .await??;
        let head = head(&object);
        Ok(S3Response::new(dto::GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            body: Some(StreamingBlob::wrap(futures::stream::iter([Ok::<_, std::io::Error>(bytes)]))),
            content_range,
            e_tag: head.e_tag,
            last_modified: head.last_modified,
            content_type: head.content_type,
            content_encoding: head.content_encoding,
            metadata: head.metadata,
            ..Default::default()
        }))
    }

    /// The older version, which boto3's `bucket.objects` calls.
    async fn list_objects(
        &self,
        request: S3Request<dto::ListObjectsInput>,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
        let response = self.list_objects_v2(request.map_input(Into::into)).await?;
        Ok(response.map_output(|listing| dto::ListObjectsOutput {
            name: listing.name,
            prefix: listing.prefix,
            delimiter: listing.delimiter,
            max_keys: listing.max_keys,
            is_truncated: listing.is_truncated,
            contents: listing.contents,
            common_prefixes: listing.common_prefixes,
            marker: listing.start_after,
            next_marker: listing.next_continuation_token,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let input = request.input;
        let limit = limit(input.max_keys);
        let page = self.0.list(
            &input.bucket,
            input.prefix.as_deref().unwrap_or_default(),
            input.delimiter.as_deref(),
            // A token is the end of the last page, which is never before `start-after`.
            input.continuation_token.as_deref().or(input.start_after.as_deref()),
            limit,
        )?;
        Ok(S3Response::new(dto::ListObjectsV2Output {
            key_count: Some((page.objects.len() + page.prefixes.len()) as i32),
            max_keys: Some(limit as i32),
            is_truncated: Some(page.next.is_some()),
            contents: Some(contents(&page)),
            common_prefixes: Some(common_prefixes(&page)),
            next_continuation_token: page.next,
            continuation_token: input.continuation_token,
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        let input = request.input;
        self.with_store(move |store| store.delete(&input.bucket, &input.key)).await?;
        Ok(S3Response::new(dto::DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        let input = request.input;
        let deleted = self
            .with_store(move |store| {
                let delete = |object: dto::ObjectIdentifier| {
                    store.delete(&input.bucket, &object.key)?;
                    Ok(dto::DeletedObject { key: Some(object.key), ..Default::default() })
                };
                input.delete.objects.into_iter().map(delete).collect::<Result<Vec<_>, Refusal>>()
            })
            .await?;
        Ok(S3Response::new(dto::DeleteObjectsOutput { deleted: Some(deleted), ..Default::default() }))
    }
}

/// An object without its bytes.
fn head(object: &Object) -> dto::HeadObjectOutput {
    let Attributes { content_type, content_encoding, metadata } = object.attributes.clone();
    dto::HeadObjectOutput {
        content_length: Some(object.size as i64),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(timestamp(object.modified_ms)),
        content_type,
        content_encoding,
        metadata: (!metadata.is_empty()).then_some(metadata),
        ..Default::default()
    }
}

/// The keys of a page for a request with this `max-keys`.
fn limit(max_keys: Option<i32>) -> usize {
    max_keys.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(PAGE_KEYS_MAX).min(PAGE_KEYS_MAX)
}

fn contents(page: &Page) -> Vec<dto::Object> {
    let objects = page.objects.iter().map(|(key, object)| dto::Object {
        key: Some(key.clone()),
        size: Some(object.size as i64),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(timestamp(object.modified_ms)),
        ..Default::default()
    });
    objects.collect()
}

fn common_prefixes(page: &Page) -> Vec<dto::CommonPrefix> {
    page.prefixes.iter().map(|prefix| dto::CommonPrefix { prefix: Some(prefix.clone()) }).collect()
}

/// The whole body. One that is too large is refused before all of it is in memory.
async fn collect(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(body) = body else { return Ok(bytes) };
    let mut body = body.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error));
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(s3_error!(EntityTooLarge));
        }
    }
    Ok(bytes)
}

/// An object, the requested bytes, and their `Content-Range`.
type Part = (Arc<Object>, Bytes, Option<String>);

/// Reads the requested bytes of an object. Without a range, all of them, and there is no `Content-Range`.
fn read(object: Arc<Object>, mut file: std::fs::File, range: Option<dto::Range>) -> S3Result<Part> {
    let internal = |error| S3Error::with_source(S3ErrorCode::InternalError, Box::new(error));
    let Some(range) = range else {
        let mut bytes = Vec::with_capacity(object.size as usize);
        file.read_to_end(&mut bytes).map_err(internal)?;
        return Ok((object, bytes.into(), None));
    };
    let range = range.check(object.size)?;
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.seek(SeekFrom::Start(range.start)).map_err(internal)?;
    file.read_exact(&mut bytes).map_err(internal)?;
    let content_range = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), object.size);
    Ok((object, bytes.into(), Some(content_range)))
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs()))
}
