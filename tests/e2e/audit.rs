//! The audit over the wire: a lake in S3, heads in DynamoDB, a split stream in Kinesis, and every way to damage the
//! lake.

use anyhow::Context as _;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_s3::primitives::ByteStream;
use indicatif::ProgressBar;
use myaku::lake::archive::audit::Kind;
use myaku::lake::archive::{
    self, Archiver, Compression, DynamoDbHeads, Head, Heads as _, HeadsKeeper as _, Hour, Lake as _, ObjectKey, S3Lake,
    Stored,
};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::batch::{Batch, Position};
use myaku::stream::source::ReadFrom;
use myaku::stream::source::Source as _;
use myaku::stream::source::kinesis::KinesisSource;
use myaku_local::servers::kinesis::Kinesis;
use myaku_local::servers::{self, AwsEndpoints, Server};
use myaku_operator::audit::{Options, Report, audit};
use std::time::Duration;

const STREAM: &str = "ingest";
const BUCKET: &str = "lake";
const TABLE: &str = "heads";

/// A stream whose shard was split between two parts of its records, and the lake of that stream.
struct World {
    _servers: (Kinesis, Server, Server),
    _directory: tempfile::TempDir,
    kinesis: aws_sdk_kinesis::Client,
    s3: aws_sdk_s3::Client,
    source: KinesisSource,
    lake: S3Lake,
    heads: DynamoDbHeads,
    began_ms: i64,
}

impl World {
    async fn up() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let began_ms = SystemClock.now_ms();
        let servers = (
            servers::kinesis::start(0).await?,
            servers::dynamodb::start(0).await?,
            servers::s3::start(0, directory.path()).await?,
        );
        let (kinesis, dynamodb, s3) = (servers.0.endpoint(), servers.1.endpoint(), servers.2.endpoint());
        let config = AwsEndpoints::from([("kinesis", kinesis), ("dynamodb", dynamodb), ("s3", s3)]).sdk_config();
        super::conformance::table(&aws_sdk_dynamodb::Client::new(&config), TABLE, &["stream", "shard"]).await?;
        let s3 = aws_sdk_s3::Client::new(&config);
        s3.create_bucket().bucket(BUCKET).send().await?;
        let world = Self {
            _servers: servers,
            _directory: directory,
            kinesis: aws_sdk_kinesis::Client::new(&config),
            s3,
            source: KinesisSource::new(&config, STREAM),
            lake: S3Lake::new(&config, BUCKET),
            heads: DynamoDbHeads::new(&config, TABLE),
            began_ms,
        };
        world.kinesis.create_stream().stream_name(STREAM).shard_count(1).send().await?;
        world.wait_until_active().await?;
        world.put(0..8).await?;
        let middle = (u128::MAX / 2 + 1).to_string();
        let split = world.kinesis.split_shard().stream_name(STREAM).shard_to_split("shardId-000000000000");
        split.new_starting_hash_key(middle).send().await?;
        world.wait_until_active().await?;
        world.put(8..24).await?;
        world.archive().await?;
        Ok(world)
    }

    async fn wait_until_active(&self) -> anyhow::Result<()> {
        loop {
            let summary = self.kinesis.describe_stream_summary().stream_name(STREAM).send().await?;
            let status = summary.stream_description_summary().map(|summary| summary.stream_status().clone());
            if status.is_some_and(|status| status.as_str() == "ACTIVE") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn put(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        for number in numbers {
            let data = Blob::new(format!("{{\"n\":{number}}}"));
            let put = self.kinesis.put_record().stream_name(STREAM).partition_key(format!("key-{number}"));
            put.data(data).send().await?;
        }
        Ok(())
    }

    /// Archives everything that the stream has, three records at a time.
    async fn archive(&self) -> anyhow::Result<()> {
        let archiver = Archiver::new(self.lake.clone(), self.heads.clone(), Compression::default());
        for shard in self.source.shards().await? {
            let mut cursor = self.source.open(&shard.id, ReadFrom::TrimHorizon).await?;
            loop {
                let read = self.source.read(&mut cursor, 3).await?;
                let ended = read.ended || (read.records.is_empty() && read.behind_ms == 0);
                if !read.records.is_empty() {
                    let batch = Batch { stream: STREAM.into(), shard: shard.id.clone(), records: read.records };
                    let done = Box::pin(archiver.archive(&batch)).await;
                    anyhow::ensure!(done.stopped.is_none(), "{:?}", done.stopped);
                }
                if ended {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn audit(&self, with_stream: bool) -> anyhow::Result<Report> {
        let options = Options {
            stream: STREAM.into(),
            hours: Hour::of(self.began_ms)..=Hour::of(SystemClock.now_ms()),
            archived_ms: i64::MAX,
            held_since_ms: 0,
            now_ms: SystemClock.now_ms(),
            sweep_max: usize::MAX,
            concurrency: 8,
        };
        let source = with_stream.then_some(&self.source);
        audit(&self.lake, &self.heads, source, &options, &ProgressBar::hidden()).await
    }

    /// The objects of the shard that was split: at least three, in order.
    async fn parents(&self) -> anyhow::Result<Vec<ObjectKey>> {
        let mut keys = archive::list(&self.lake, STREAM).await?;
        keys.retain(|key| key.of.shard == "shardId-000000000000");
        Ok(keys)
    }

    async fn get(&self, key: &ObjectKey) -> anyhow::Result<Stored> {
        self.lake.get(&key.to_string()).await?.with_context(|| format!("the lake has no object {key}"))
    }

    /// Replaces an object without any condition.
    async fn overwrite(&self, key: impl ToString, stored: &Stored) -> anyhow::Result<()> {
        let put = self.s3.put_object().bucket(BUCKET).key(key.to_string()).body(ByteStream::from(stored.body.clone()));
        put.set_metadata(Some(stored.metadata.clone().into_iter().collect())).send().await?;
        Ok(())
    }
}

/// Whether the report has a finding of this kind with this key.
fn has_finding(report: &Report, kind: Kind, key: &impl ToString) -> bool {
    report.findings.iter().any(|finding| finding.kind == kind && finding.key == key.to_string())
}

#[tokio::test]
async fn an_undamaged_lake_is_clean() -> anyhow::Result<()> {
    let world = World::up().await?;
    let report = world.audit(true).await?;
    assert_eq!(report.findings, []);
    let compared = report.stream_compared.context("the report compared no stream")?;
    assert_eq!((report.records, compared.records, compared.shards), (24, 24, 3));
    assert_eq!(compared.objects, report.objects);
    Ok(())
}

#[tokio::test]
async fn a_deleted_object_is_reported_by_its_key() -> anyhow::Result<()> {
    let world = World::up().await?;
    let parents = world.parents().await?;
    // An object that others follow, and the last object of a closed shard, which only its head and the stream know.
    for key in [&parents[1], &parents[parents.len() - 1]] {
        let stored = world.get(key).await?;
        world.s3.delete_object().bucket(BUCKET).key(key.to_string()).send().await?;
        let report = world.audit(true).await?;
        assert!(has_finding(&report, Kind::Missing, key), "{key}: {:?}", report.findings);
        assert!(!world.audit(false).await?.clean);
        world.overwrite(key, &stored).await?;
    }
    assert!(world.audit(true).await?.clean, "the lake is complete again");
    Ok(())
}

#[tokio::test]
async fn a_truncated_object_is_reported_by_its_key() -> anyhow::Result<()> {
    let world = World::up().await?;
    let key = world.parents().await?.remove(1);
    let stored = world.get(&key).await?;
    world.overwrite(&key, &Stored { body: stored.body.slice(..stored.body.len() - 9), ..stored }).await?;
    let report = world.audit(false).await?;
    assert!(has_finding(&report, Kind::Damaged, &key), "{:?}", report.findings);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    Ok(())
}

#[tokio::test]
async fn two_swapped_objects_are_reported_by_their_keys() -> anyhow::Result<()> {
    let world = World::up().await?;
    let parents = world.parents().await?;
    let (a, b) = (world.get(&parents[0]).await?, world.get(&parents[1]).await?);
    world.overwrite(&parents[0], &b).await?;
    world.overwrite(&parents[1], &a).await?;
    for with_stream in [false, true] {
        let report = world.audit(with_stream).await?;
        assert!(has_finding(&report, Kind::Damaged, &parents[1]), "{:?}", report.findings);
    }
    Ok(())
}

#[tokio::test]
async fn an_added_object_is_reported_by_its_key() -> anyhow::Result<()> {
    let world = World::up().await?;
    let original = world.parents().await?.remove(1);
    let copy =
        ObjectKey { slot: archive::Slot::beyond(Position { sub: 7, ..original.slot.after }), ..original.clone() };
    let foreign_keys = [format!("{original}.bak"), original.to_string().replace(".zst", ".gz")];
    let stored = world.get(&original).await?;
    world.overwrite(&copy, &stored).await?;
    for foreign_key in &foreign_keys {
        world.overwrite(foreign_key, &stored).await?;
    }
    let report = world.audit(false).await?;
    assert!(has_finding(&report, Kind::Overlapping, &copy), "{:?}", report.findings);
    assert!(
        foreign_keys.iter().all(|foreign_key| has_finding(&report, Kind::Foreign, foreign_key)),
        "{:?}",
        report.findings
    );
    Ok(())
}

#[tokio::test]
async fn a_head_that_is_not_the_end_of_an_object_is_reported_by_its_shard() -> anyhow::Result<()> {
    let world = World::up().await?;
    let (shard, head) = world.heads.all(STREAM).await?.pop().context("the table has no head")?;
    let head = head.map_err(anyhow::Error::msg)?;
    let wrong = Head { last: Position { sub: head.last.sub + 1, ..head.last }, ..head };
    world.heads.advance(STREAM, &shard, wrong).await?;
    let report = world.audit(false).await?;
    assert!(has_finding(&report, Kind::Head, &format!("head {shard}")), "{:?}", report.findings);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    Ok(())
}

#[tokio::test]
async fn an_audit_of_a_lake_that_cannot_be_read_fails_without_a_verdict() -> anyhow::Result<()> {
    let world = World::up().await?;
    world.s3.delete_object().bucket(BUCKET).key("raw/stream=ingest/_format").send().await?;
    assert!(world.audit(false).await?.clean, "without its note, the lake has the format that the keys show");
    let nowhere = S3Lake::new(&AwsEndpoints::from([("s3", "http://127.0.0.1:9".to_owned())]).sdk_config(), BUCKET);
    let now = Hour::of(SystemClock.now_ms());
    let options = Options {
        stream: STREAM.into(),
        hours: now..=now,
        archived_ms: 0,
        held_since_ms: 0,
        now_ms: SystemClock.now_ms(),
        sweep_max: 0,
        concurrency: 1,
    };
    let none = None::<&KinesisSource>;
    assert!(audit(&nowhere, &world.heads, none, &options, &ProgressBar::hidden()).await.is_err());
    Ok(())
}
