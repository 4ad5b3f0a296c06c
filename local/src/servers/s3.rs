//! S3: buckets as directories, whose files a person can read.
//!
//! One lock guards `If-None-Match`, `If-Match` and the object's metadata: the lake's promise rests on these conditions,
//! so they must hold for concurrent writers too. The server does not check checksums of transfers (they use the
//! loopback), and has neither bucket policies nor multipart uploads.

mod service;
mod store;

use super::Server;
use anyhow::Context as _;
use futures::FutureExt as _;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Starts a server on `port` (0 for a free one). An object's bytes are the file `<directory>/<bucket>/<key>`. Its
/// metadata is in memory, and survives a [`stop`](Server::stop).
pub async fn start(port: u16, directory: &Path) -> anyhow::Result<Server> {
    let store = store::Store::open(directory)
        .with_context(|| format!("cannot use {} as the directory for buckets", directory.display()))?;
    let mut builder = S3ServiceBuilder::new(service::Service(Arc::new(store)));
    builder.set_auth(service::AnyKey);
    let service = builder.build();
    Server::start(port, move |socket, stopped| serve(socket, service.clone(), stopped).boxed()).await
}

async fn serve(socket: TcpListener, service: S3Service, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = socket.accept() => accepted?.0,
            _ = &mut stopped => break,
        };
        // Without this, small answers wait for the client's acknowledgements.
        stream.set_nodelay(true)?;
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an S3 connection failed");
            }
        });
    }
    drop(socket);
    graceful.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::AwsEndpoints;
    use super::*;
    use aws_sdk_s3::Client;
    use aws_sdk_s3::primitives::ByteStream;

    const LONG_KEY: &str = "raw/stream=ingest/dt=2026-11-21/hh=03/shardId-000000000000/\
        00000000000000000000000000000000000000000000000000000001.0000000002-\
        00000000000000000000000000000000000000000000000000000003.0000000004.ndjson.gz";

    async fn start_with_bucket(directory: &Path) -> (Server, Client) {
        let s3 = start(0, directory).await.unwrap();
        let endpoints = AwsEndpoints::from([("s3", s3.endpoint())]);
        let client = Client::new(&endpoints.sdk_config());
        client.create_bucket().bucket("bucket").send().await.unwrap();
        (s3, client)
    }

    fn put(
        client: &Client,
        key: &str,
        body: &'static [u8],
    ) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
        client.put_object().bucket("bucket").key(key).body(ByteStream::from_static(body))
    }

    #[tokio::test]
    async fn an_object_is_a_file_and_its_metadata_survives_a_stop() {
        let directory = tempfile::tempdir().unwrap();
        let (s3, client) = start_with_bucket(directory.path()).await;
        put(&client, LONG_KEY, b"lines").metadata("first", "1").metadata("sha256", "ab").send().await.unwrap();
        s3.stop().await;
        assert!(client.head_object().bucket("bucket").key(LONG_KEY).send().await.is_err());
        s3.restart().await.unwrap();

        let head = client.head_object().bucket("bucket").key(LONG_KEY).send().await.unwrap();
        assert_eq!(head.content_length(), Some(5));
        assert_eq!(head.metadata().unwrap().get("first").unwrap(), "1");
        assert_eq!(head.metadata().unwrap().get("sha256").unwrap(), "ab");
        assert_eq!(std::fs::read(directory.path().join("bucket").join(LONG_KEY)).unwrap(), b"lines");
        let got = client.get_object().bucket("bucket").key(LONG_KEY).range("bytes=1-2").send().await.unwrap();
        assert_eq!(got.content_range(), Some("bytes 1-2/5"));
        assert_eq!(&got.body.collect().await.unwrap().into_bytes()[..], b"in");
    }

    #[tokio::test]
    async fn one_of_many_writers_with_if_none_match_wins_and_the_others_get_412() {
        let directory = tempfile::tempdir().unwrap();
        let (_s3, client) = start_with_bucket(directory.path()).await;
        let writers = (0..16).map(|_| put(&client, LONG_KEY, b"x").if_none_match("*").send());
        let outcomes = futures::future::join_all(writers).await;
        let statuses: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .map(|error| error.raw_response().unwrap().status().as_u16())
            .collect();
        assert_eq!(statuses, [412; 15]);
    }

    #[tokio::test]
    async fn a_listing_continues_at_its_token_and_starts_after_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let (_s3, client) = start_with_bucket(directory.path()).await;
        for key in ["a/1", "a/2", "a/3", "a/b=c/4", "b/5"] {
            put(&client, key, b"x").send().await.unwrap();
        }
        let list = || client.list_objects_v2().bucket("bucket").prefix("a/");
        let keys = |contents: &[aws_sdk_s3::types::Object]| -> Vec<String> {
            contents.iter().map(|object| object.key().unwrap().to_owned()).collect()
        };
        let first = list().start_after("a/1").max_keys(2).send().await.unwrap();
        assert_eq!(keys(first.contents()), ["a/2", "a/3"]);
        assert_eq!(first.is_truncated(), Some(true));
        let older = client.list_objects().bucket("bucket").prefix("a/").marker("a/1").max_keys(2).send().await.unwrap();
        assert_eq!((keys(older.contents()), older.next_marker()), (keys(first.contents()), Some("a/3")));
        let second = list().set_continuation_token(first.next_continuation_token).send().await.unwrap();
        assert_eq!(keys(second.contents()), ["a/b=c/4"]);
        assert_eq!(second.is_truncated(), Some(false));
        let folded = list().delimiter("/").send().await.unwrap();
        assert_eq!(keys(folded.contents()), ["a/1", "a/2", "a/3"]);
        assert_eq!(folded.common_prefixes().first().unwrap().prefix(), Some("a/b=c/"));
    }

    #[tokio::test]
    async fn an_empty_object_exists_and_a_deleted_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let (_s3, client) = start_with_bucket(directory.path()).await;
        put(&client, "empty", b"").send().await.unwrap();
        assert_eq!(client.head_object().bucket("bucket").key("empty").send().await.unwrap().content_length(), Some(0));
        client.delete_object().bucket("bucket").key("empty").send().await.unwrap();
        let missing = client.get_object().bucket("bucket").key("empty").send().await.unwrap_err();
        assert!(missing.into_service_error().is_no_such_key());
        assert!(
            client
                .head_object()
                .bucket("bucket")
                .key("empty")
                .send()
                .await
                .unwrap_err()
                .into_service_error()
                .is_not_found()
        );
    }
}
