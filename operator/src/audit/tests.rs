//! Audits of a resharded stream that the archiver itself archived.

use super::*;
use myaku::lake::archive::audit::Kind;
use myaku::lake::archive::{AllHeads, Archiver, Compression, Head, Heads as _, MemoryHeads, MemoryLake, Stored};
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::Batch;
use myaku::stream::source::memory::MemoryStream;
use myaku::stream::source::{Read, ReadFrom, Shard};
use std::sync::Mutex;

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
        self.audit_with(with_stream, &Self::options()).await
    }

    fn options() -> Options {
        Options {
            stream: STREAM.into(),
            hours: Hour::of(START_MS)..=Hour::of(START_MS + 2 * HOUR_MS),
            archived_ms: START_MS + 3 * HOUR_MS,
            held_since_ms: 0,
            now_ms: START_MS + 3 * HOUR_MS,
            sweep_max: usize::MAX,
            concurrency: 4,
        }
    }

    async fn audit_with(&self, with_stream: bool, options: &Options) -> Report {
        let source = with_stream.then_some(&self.stream);
        audit(&self.lake, &self.heads, source, options, &ProgressBar::hidden()).await.unwrap()
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
    let vouched = Some(("2026-11-21T03:00:00Z".to_owned(), "2026-11-21T06:00:00Z".to_owned()));
    let compared = StreamCompared { vouched, shards: 5, records: 60, missing: 0, waiting: 0, objects: report.objects };
    assert_eq!(report.stream_compared, Some(compared));
    assert!(report.heads >= 3, "{}", report.heads);
    let alone = world.audit(false).await;
    assert_eq!((alone.clean, &alone.stream_compared), (true, &None));
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
    assert_eq!(report.keys, Some(world.lake.objects().len() as u64));
    let foreign = report.findings.iter().filter(|finding| finding.kind == Kind::Foreign);
    let mut expected = strangers.to_vec();
    expected.sort();
    assert_eq!(foreign.map(|finding| finding.key.clone()).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_lies_outside_the_hours_of_the_audit_and_is_not_the_archivers_is_reported_by_its_key() {
    let world = World::new().await;
    let key = world.keys()[0].clone();
    let stored = world.lake.objects()[&key].clone();
    let hour = |ms| Hour::of(ms).to_string();
    let copy = |to: i64| key.replace(&hour(START_MS), &hour(to));
    let strangers = [
        format!("raw/stream={STREAM}/notes.txt"),
        format!("raw/stream={STREAM}/dt=2026-11-21/readme"),
        key.replace("/hh=03/", "/hh=030/"),
        // A copy in an earlier hour without objects, and one in an hour to come.
        copy(START_MS - 48 * HOUR_MS),
        copy(START_MS + 48 * HOUR_MS),
        copy(START_MS - HOUR_MS).replace(".zst", ".gz"),
        copy(START_MS - HOUR_MS).replace("shardId-000000000000/0", "shardId-000000000099/0"),
    ];
    for stranger in &strangers {
        world.lake.overwrite(stranger, stored.clone());
    }
    let report = world.audit(true).await;
    let mut expected = strangers.to_vec();
    expected.sort();
    assert_eq!(report.findings.iter().map(|finding| finding.key.clone()).collect::<Vec<_>>(), expected);
    assert!(report.findings.iter().all(|finding| finding.kind == Kind::Foreign));

    // A lake that is too large to be listed whole is not, and the report says so.
    let too_large = Options { sweep_max: 3, ..World::options() };
    let report = world.audit_with(true, &too_large).await;
    assert_eq!((report.clean, report.keys), (true, None));
    assert!(report.to_text().contains("Outside these hours, nothing was looked for"), "{}", report.to_text());
}

#[tokio::test(start_paused = true)]
async fn an_object_outside_the_hours_is_no_copy_of_one_that_is_wrong_itself() {
    let world = World::new().await;
    let first_hour = Options { hours: Hour::of(START_MS + HOUR_MS)..=Hour::of(START_MS + HOUR_MS), ..World::options() };
    let original = world.keys()[0].clone();
    let copy = original.replace(&Hour::of(START_MS).to_string(), &Hour::of(START_MS + HOUR_MS).to_string());
    world.lake.overwrite(&copy, world.lake.objects()[&original].clone());
    let report = world.audit_with(false, &first_hour).await;
    assert!(report.findings.iter().any(|finding| finding.key == copy), "{:?}", report.findings);
    assert!(!report.findings.iter().any(|finding| finding.key == original), "{:?}", report.findings);
}

#[tokio::test(start_paused = true)]
async fn the_report_says_for_which_times_it_vouches_and_how_many_later_records_are_on_their_way() {
    let world = World::new().await;
    for index in 100..103 {
        drop(world.put(index, START_MS + 2 * HOUR_MS + index));
    }
    let options =
        Options { archived_ms: START_MS + 2 * HOUR_MS - 1, held_since_ms: START_MS + HOUR_MS, ..World::options() };
    let report = world.audit_with(true, &options).await;
    let compared = report.stream_compared.clone().unwrap();
    assert_eq!((report.clean, compared.missing, compared.waiting), (true, 0, 3));
    assert_eq!(compared.vouched, Some(("2026-11-21T04:00:00Z".to_owned(), "2026-11-21T05:00:00Z".to_owned())));
    let text = report.to_text();
    let verdict = "The lake is whole. It has every record that arrived from 2026-11-21T04:00:00Z to \
                   2026-11-21T05:00:00Z. The audit does not vouch for later ones.";
    assert!(text.ends_with(verdict), "{text}");
    let vouches_for_nothing = Options { held_since_ms: i64::MAX, ..options };
    let report = world.audit_with(true, &vouches_for_nothing).await;
    assert_eq!(report.stream_compared.clone().unwrap().vouched, None);
    assert!(report.to_text().ends_with("the stream has no record that must be in it."), "{}", report.to_text());
}

/// A stream to which a record is put before each read.
struct Endless<'a>(&'a World);

impl Source for Endless<'_> {
    type Cursor = <MemoryStream as Source>::Cursor;

    async fn shards(&self) -> Result<Vec<Shard>, RemoteError> {
        self.0.stream.shards().await
    }

    async fn open(&self, shard: &str, from: ReadFrom) -> Result<Self::Cursor, RemoteError> {
        self.0.stream.open(shard, from).await
    }

    async fn read(&self, cursor: &mut Self::Cursor, limit: usize) -> Result<Read, RemoteError> {
        for index in 0..20 {
            drop(self.0.put(index, START_MS + 2 * HOUR_MS + 1_000));
        }
        self.0.stream.read(cursor, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_ends_although_records_go_on_arriving() {
    let world = World::new().await;
    let options =
        Options { now_ms: START_MS + 2 * HOUR_MS, archived_ms: START_MS + 2 * HOUR_MS - 1, ..World::options() };
    let source = Endless(&world);
    let (lake, heads) = (&world.lake, &world.heads);
    let progress = ProgressBar::hidden();
    let audit = audit(lake, heads, Some(&source), &options, &progress);
    let report = tokio::time::timeout(std::time::Duration::from_mins(2), audit).await.expect("it ends").unwrap();
    assert_eq!(report.findings, []);
}

/// Heads of which some cannot be read.
struct BadHeads<'a>(&'a MemoryHeads, Mutex<Vec<(String, String)>>);

impl HeadsKeeper for BadHeads<'_> {
    async fn all(&self, stream: &str) -> Result<AllHeads, RemoteError> {
        let bad = self.1.lock().unwrap().clone();
        let good = self.0.all(stream).await?.into_iter().filter(|(shard, _)| !bad.iter().any(|(bad, _)| bad == shard));
        let bad = bad.iter().map(|(shard, problem)| (shard.clone(), Err(problem.clone())));
        Ok(good.chain(bad).collect())
    }

    async fn replace(&self, stream: &str, shard: &str, head: Option<Head>) -> Result<(), RemoteError> {
        self.1.lock().unwrap().retain(|(bad, _)| bad != shard);
        self.0.replace(stream, shard, head).await
    }
}

#[tokio::test(start_paused = true)]
async fn heads_that_are_wrong_are_reported_by_their_shards_and_written_again_from_the_lake() {
    let world = World::new().await;
    let [unreadable, far, unknown] = ["shardId-000000000001", "shardId-000000000004", "shardId-000000000009"];
    let right = world.heads.all(STREAM).await.unwrap();
    let tomorrow = Head { hour: Hour::of(START_MS + 24 * HOUR_MS), last: "9999.0".parse().unwrap() };
    world.heads.advance(STREAM, far, tomorrow).await.unwrap();
    let problems = [unreadable, unknown].map(|shard| (shard.to_owned(), "its item has no text as `head`".to_owned()));
    let heads = BadHeads(&world.heads, Mutex::new(problems.into()));
    let options = World::options();
    let run =
        || async { audit(&world.lake, &heads, Some(&world.stream), &options, &ProgressBar::hidden()).await.unwrap() };
    let mut report = run().await;
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.kind, finding.key.as_str())).collect();
    let expected = [unreadable, far, unknown].map(|shard| format!("head {shard}"));
    assert_eq!(found, expected.each_ref().map(|key| (Kind::Head, key.as_str())));
    assert_eq!(report.records, 60, "everything else is audited");

    repair(&world.lake, &heads, &mut report).await.unwrap();
    assert_eq!(report.repaired.len(), 3);
    assert!(report.to_text().contains("✓ head shardId-000000000009 is now none"), "{}", report.to_text());
    assert_eq!(run().await.findings, []);
    assert_eq!(world.heads.all(STREAM).await.unwrap(), right);
}

#[tokio::test(start_paused = true)]
async fn a_note_that_names_no_format_is_reported_and_the_rest_is_audited() {
    let world = World::new().await;
    let note = myaku::lake::archive::format_key(STREAM);
    world.lake.overwrite(&note, Stored { body: "zip".into(), ..Stored::default() });
    let report = world.audit(false).await;
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.kind, finding.key.as_str())).collect();
    assert_eq!(found, [(Kind::Damaged, note.as_str())]);
    assert_eq!(report.records, 60);
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
