//! The lake over the wire: S3 with `If-None-Match`, and the heads in DynamoDB.

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use myaku::lake::archive::{
    self, Archiver, Compression, DynamoDbHeads, Format, Lake as _, MemoryHeads, S3Lake, Stored,
};
use myaku::stream::batch::Batch;
use myaku_local::servers::{self, AwsEndpoints, Server};
use std::path::Path;

const BUCKET: &str = "lake";
const TABLE: &str = "heads";
const EVENT: &str = include_str!("../../events/kinesis-archiver.json");

async fn lake(directory: &Path) -> anyhow::Result<(Server, S3Lake)> {
    let server = servers::s3::start(0, directory).await?;
    let config = AwsEndpoints::from([("s3", server.endpoint())]).sdk_config();
    let client =
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    client.create_bucket().bucket(BUCKET).send().await?;
    let lake = S3Lake::new(&config, BUCKET);
    Ok((server, lake))
}

async fn heads(server: &Server) -> anyhow::Result<DynamoDbHeads> {
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    let mut request = aws_sdk_dynamodb::Client::new(&config).create_table().table_name(TABLE);
    for (name, kind) in [("stream", KeyType::Hash), ("shard", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        request = request.key_schema(KeySchemaElement::builder().attribute_name(name).key_type(kind).build()?);
        request = request.attribute_definitions(attribute.build()?);
    }
    request.billing_mode(BillingMode::PayPerRequest).send().await?;
    Ok(DynamoDbHeads::new(&config, TABLE))
}

#[tokio::test]
async fn s3_holds_the_lake_as_every_store_does() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (_server, lake) = lake(directory.path()).await?;
    archive::conformance::lake(lake).await;
    Ok(())
}

#[tokio::test]
async fn dynamodb_holds_heads_as_every_store_does() -> anyhow::Result<()> {
    let server = servers::dynamodb::start(0).await?;
    archive::conformance::heads(heads(&server).await?).await;
    Ok(())
}

#[tokio::test]
async fn a_repeated_batch_is_in_the_lake_once() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (_server, lake) = lake(directory.path()).await?;
    let dynamodb = servers::dynamodb::start(0).await?;
    let heads = heads(&dynamodb).await?;
    let batch = Batch::from_event(EVENT)?;
    let zstd = Compression::new(Format::Zstd, None)?;
    // Twice with its head, then by another archiver that does not have the head.
    let archiver = Archiver::new(lake.clone(), heads, zstd);
    for known in [0, batch.records.len()] {
        let done = Box::pin(archiver.archive(&batch)).await;
        assert!(done.stopped.is_none(), "{done:?}");
        assert_eq!(done.known, known);
    }
    let other = Archiver::new(lake.clone(), MemoryHeads::default(), Compression::default());
    let done = Box::pin(other.archive(&batch)).await;
    assert_eq!((done.known, done.objects), (batch.records.len(), 0));

    let mut data = Vec::new();
    for key in archive::list(&lake, &batch.stream).await? {
        let (_, records) = archive::read_object(&lake, &key).await?;
        data.extend(records.into_iter().map(|record| record.data));
    }
    assert_eq!(data, batch.records.iter().map(|record| record.data.clone()).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_lake_that_is_down_stops_the_batch_at_its_first_record() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (server, lake) = lake(directory.path()).await?;
    lake.put_if_absent("raw/other", &Stored::default()).await?;
    drop(server);
    let batch = Batch::from_event(EVENT)?;
    let archived = Archiver::new(lake, MemoryHeads::default(), Compression::default()).archive(&batch).await;
    assert_eq!(archived.stopped.map(|stopped| stopped.record), Some(0));
    Ok(())
}
