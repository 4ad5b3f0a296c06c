//! Audits of a resharded stream that the archiver itself archived.

use super::*;
use myaku::lake::archive::audit::Kind;
use myaku::lake::archive::{Archiver, Compression, Head, Heads as _, MemoryHeads, MemoryLake, Stored};
use myaku::stream::batch::Batch;
use myaku::stream::source::memory::MemoryStream;

const STREAM: &str = "ingest";
/// 2026-11-21T03:00:00Z
const START_MS: i64 = 1_795_230_000_000;
const HOUR_MS: i64 = 3_600_000;

struct World {
    stream: MemoryStream,
    lake: MemoryLake,
    heads: MemoryHeads,
}

impl World {
    /// Two hours of records, during which one shard is split and two are merged.
    async fn new() -> Self {
        let world = Self { stream: MemoryStream::new(2), lake: MemoryLake::default(), heads: MemoryHeads::default() };
        for index in 0..60 {
            match index {
                20 => world.stream.split("shardId-000000000000"),
                40 => world.stream.merge("shardId-000000000001", "shardId-000000000003"),
                _ => {}
            }
            drop(world.put(index, START_MS + index * 2 * 60_000));
        }
        world.archive().await;
        world
    }

    /// Puts a record, and returns its shard.
    fn put(&self, index: i64, arrived_ms: i64) -> String {
        self.stream.put(&format!("key-{index}"), format!("{{\"n\":{index}}}").as_bytes(), arrived_ms).0
    }

    /// Archives everything that the stream has, five records at a time.
    async fn archive(&self) {
        let archiver = Archiver::new(&self.lake, &self.heads, Compression::default());
        for shard in self.stream.shards().await.unwrap() {
            let mut cursor = self.stream.open(&shard.id, myaku::stream::source::ReadFrom::TrimHorizon).await.unwrap();
            loop {
                let records = self.stream.read(&mut cursor, 5).await.unwrap().records;
                if records.is_empty() {
                    break;
                }
                let batch = Batch { stream: STREAM.into(), shard: shard.id.clone(), records };
                assert!(archiver.archive(&batch).await.stopped.is_none());
            }
        }
    }

    async fn audit(&self, with_stream: bool) -> Report {
        let options = Options {
            stream: STREAM.into(),
            hours: Hour::of(START_MS)..=Hour::of(START_MS + 2 * HOUR_MS),
            archived_ms: START_MS + 3 * HOUR_MS,
            held_since_ms: 0,
            concurrency: 4,
        };
        let source = with_stream.then_some(&self.stream);
        audit(&self.lake, &self.heads, source, &options, &ProgressBar::hidden()).await.unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.lake.objects().into_keys().filter(|key| !key.ends_with("_format")).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_lake_of_a_resharded_stream_is_whole_and_is_compared_with_every_record_of_it() {
    let world = World::new().await;
    let report = world.audit(true).await;
    assert_eq!(report.findings, []);
    assert_eq!((report.clean, report.records, report.objects), (true, 60, world.keys().len() as u64));
    // Five shards: the first two, two from the split, one from the merge.
    let compared = StreamCompared { shards: 5, records: 60, missing: 0, objects: report.objects };
    assert_eq!(report.stream_compared, Some(compared));
    assert!(report.heads >= 3, "{}", report.heads);
    let alone = world.audit(false).await;
    assert_eq!((alone.clean, alone.stream_compared), (true, None));
    assert!(alone.to_text().ends_with("it was not compared with the stream."));
}

#[tokio::test(start_paused = true)]
async fn all_records_of_a_shard_without_objects_are_reported_missing() {
    let world = World::new().await;
    world.stream.split("shardId-000000000002");
    let shards: std::collections::BTreeSet<_> =
        (100..130).map(|index| world.put(index, START_MS + 2 * HOUR_MS)).collect();
    let report = world.audit(true).await;
    assert_eq!(report.stream_compared.unwrap().missing, 30);
    let named = report.findings.iter().filter_map(|finding| finding.key.split('/').nth(4)).map(str::to_owned);
    assert_eq!(named.collect::<std::collections::BTreeSet<_>>(), shards);
    assert!(report.findings.iter().all(|finding| finding.kind == Kind::Missing));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_an_object_of_the_stream_is_reported_as_foreign_by_its_key() {
    let world = World::new().await;
    let key = world.keys()[0].clone();
    let stored = world.lake.objects()[&key].clone();
    let strangers = [
        key.replace(".zst", ".gz"),
        key.replace("shardId-000000000000/0", "shardId-000000000099/0"),
        format!("{key}.tmp"),
        format!("{}notes.txt", myaku::lake::archive::hour_prefix(STREAM, Hour::of(START_MS))),
    ];
    for stranger in &strangers {
        world.lake.overwrite(stranger, stored.clone());
    }
    let report = world.audit(true).await;
    let foreign = report.findings.iter().filter(|finding| finding.kind == Kind::Foreign);
    let mut expected = strangers.to_vec();
    expected.sort();
    assert_eq!(foreign.map(|finding| finding.key.clone()).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_names_no_archived_record_is_reported_even_if_its_hour_is_empty() {
    let world = World::new().await;
    let last = "9999.0".parse().unwrap();
    world
        .heads
        .advance(STREAM, "shardId-000000000004", Head { hour: Hour::of(START_MS + 2 * HOUR_MS), last })
        .await
        .unwrap();
    let report = world.audit(false).await;
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.kind, finding.key.as_str())).collect();
    assert_eq!(found, [(Kind::Head, "head shardId-000000000004")]);
}

#[tokio::test(start_paused = true)]
async fn the_text_shows_some_findings_and_counts_the_rest_and_the_json_has_all() {
    let world = World::new().await;
    for index in 0..60 {
        world.lake.overwrite(
            &format!("{}{index:02}", myaku::lake::archive::hour_prefix(STREAM, Hour::of(START_MS))),
            Stored::default(),
        );
    }
    let report = world.audit(false).await;
    assert!(
        report
            .to_text()
            .contains("… and 10 more: --json prints all of them\nThe lake is not whole: the findings above")
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 60);
    assert_eq!((&json["clean"], &json["findings"][0]["kind"]), (&false.into(), &"foreign".into()));
}
