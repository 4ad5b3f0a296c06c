//! Audits random lakes, which the archiver wrote from batches in any order, and random damage to them.

use super::*;
use crate::lake::archive::{
    Archiver, Compression, Format, Head, Heads as _, Hour, Lake as _, MemoryHeads, MemoryLake, ObjectKey, ShardHour,
    Slot, Stored, list,
};
use crate::stream::batch::{Batch, Position, SequenceNumber, StreamRecord};
use proptest::prelude::*;
use std::collections::BTreeMap;

const STREAM: &str = "ingest";
const SHARD: &str = "shardId-000000000001";
/// 2026-11-21T03:00:00Z
const START_MS: i64 = 1_795_230_000_000;
/// The stream has every record, and the lake must have every record.
const COMPLETE: Coverage = Coverage { since_ms: 0, archived_ms: i64::MAX };

/// One shard's records, and the objects that the archiver put for them.
#[derive(Clone, Debug)]
struct World {
    shard: Vec<StreamRecord>,
    objects: BTreeMap<String, Stored>,
    head: Option<Head>,
    lineage: Lineage,
}

fn sequence(number: usize) -> SequenceNumber {
    number.to_string().parse().unwrap()
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl World {
    /// Records whose times go back and forth near a change of hour. They are archived in `batches`, stretches in any
    /// order that may overlap; at last the whole shard is archived again, which adds the rest.
    fn new(minutes: &[i64], batches: &[(usize, usize)]) -> Self {
        let record = |(index, minute): (usize, &i64)| StreamRecord {
            sequence: sequence(1_000 + 10 * index),
            partition_key: format!("key-{index}").into(),
            arrived_ms: START_MS + minute * 60_000,
            data: format!("{{\"n\":{index}}}").into(),
        };
        let shard: Vec<_> = minutes.iter().enumerate().map(record).collect();
        let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
        let stretches = batches.iter().map(|&(from, length)| from..(from + length).min(shard.len()));
        let archiver = Archiver::new(&lake, &heads, Compression::new(Format::Zstd, Some(1)).unwrap());
        for stretch in stretches.chain(std::iter::once(0..shard.len())).filter(|stretch| stretch.start < stretch.end) {
            let batch = Batch { stream: STREAM.into(), shard: SHARD.into(), records: shard[stretch].to_vec() };
            assert!(run(archiver.archive(&batch)).stopped.is_none());
        }
        let head = run(heads.get(STREAM, SHARD)).unwrap();
        let span = Span { starting: Some(sequence(999)), ending: Some(sequence(1_000 + 10 * shard.len())) };
        let objects = lake.objects().into_iter().filter(|(key, _)| !key.ends_with("_format")).collect();
        Self { shard, objects, head, lineage: [(SHARD.to_owned(), span)].into_iter().collect() }
    }

    fn hours(&self) -> BTreeMap<Hour, Vec<AuditedObject>> {
        let mut hours = BTreeMap::<Hour, Vec<AuditedObject>>::new();
        for minute in [0, 60, 120] {
            hours.insert(Hour::of(START_MS + minute * 60_000), Vec::new());
        }
        for (key, stored) in &self.objects {
            let key: ObjectKey = key.parse().unwrap();
            hours.entry(key.of.hour).or_default().push(AuditedObject::of(key, stored));
        }
        hours
    }

    /// The findings without the comparison with the stream.
    fn findings(&self) -> Vec<Finding> {
        let hours = self.hours();
        let mut findings: Vec<_> = hours.values().flat_map(|objects| judge_hour(objects)).collect();
        findings.extend(hours.values().flatten().filter_map(|object| self.lineage.judge(object)));
        if let Some(head) = self.head {
            findings.extend(judge_head(SHARD, &head, &hours[&head.hour]));
        }
        findings
    }

    fn compare_with_stream(&self) -> (ComparisonCounts, Vec<Finding>) {
        self.compare(COMPLETE, 0)
    }

    /// Compares with the stream after its first `expired` records have expired.
    fn compare(&self, coverage: Coverage, expired: usize) -> (ComparisonCounts, Vec<Finding>) {
        let hours = self.hours();
        let of = ShardHour { stream: STREAM.into(), hour: Hour::of(START_MS), shard: SHARD.into() };
        let mut comparison =
            Comparison::new(&of, Format::Zstd, coverage, hours.iter().map(|(hour, objects)| (*hour, &objects[..])));
        let batch = Batch { stream: STREAM.into(), shard: SHARD.into(), records: self.shard[expired..].to_vec() };
        for record in batch.user_records() {
            comparison.take(&record).unwrap();
        }
        comparison.finish()
    }

    fn key(&self, index: prop::sample::Index) -> String {
        self.objects.keys().nth(index.index(self.objects.len())).unwrap().clone()
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let minutes = prop::collection::vec((0..6_i64, -4..=0_i64), 2..40).prop_map(|steps| {
        let mut minute = 40;
        steps.into_iter().map(|(step, back)| (minute += step, minute + back).1).collect::<Vec<_>>()
    });
    let batches = prop::collection::vec((0..40_usize, 1..8_usize), 0..8);
    (minutes, batches).prop_map(|(minutes, batches)| World::new(&minutes, &batches))
}

/// Whether the loss of an object leaves no trace: no slot begins or ends at it, and no head names it.
fn nothing_follows(world: &World, key: &ObjectKey) -> bool {
    let hours = world.hours();
    let objects = &hours[&key.of.hour];
    let extent = *objects.iter().find(|object| object.key == *key).unwrap().extent.as_ref().unwrap();
    let beside = |slot: Slot| slot.after == extent.last || slot.before == Some(extent.first);
    let named = world.head.is_some_and(|head| head.hour == key.of.hour && head.last == extent.last);
    !named && !objects.iter().any(|object| beside(object.key.slot))
}

proptest! {
    #[test]
    fn a_lake_is_clean_whatever_was_delivered_when(world in worlds(), expired in any::<prop::sample::Index>()) {
        prop_assert_eq!(world.findings(), []);
        let (counts, findings) = world.compare_with_stream();
        prop_assert_eq!(findings, []);
        prop_assert_eq!(counts.records as usize, world.shard.len());
        prop_assert_eq!(counts.objects as usize, world.objects.len());
        // Records that have expired in the stream are not findings.
        let since_ms = START_MS + 1_000 * 3_600_000;
        let coverage = Coverage { since_ms, ..COMPLETE };
        prop_assert_eq!(world.compare(coverage, expired.index(world.shard.len())).1, []);
    }

    #[test]
    fn an_object_that_was_deleted_is_missing_by_its_key(world in worlds(), index in any::<prop::sample::Index>()) {
        let mut damaged = world.clone();
        let key = world.key(index);
        damaged.objects.remove(&key);
        let (_, findings) = damaged.compare_with_stream();
        prop_assert!(findings.iter().any(|finding| (finding.kind, finding.key.as_str()) == (Kind::Missing, &key)), "{findings:?}");
        // Without the stream, the object is reported if something follows it.
        let findings = damaged.findings();
        if nothing_follows(&world, &key.parse().unwrap()) {
            prop_assert_eq!(findings, []);
        } else {
            let reported = |finding: &Finding| finding.kind == Kind::Head || (finding.kind, finding.key.as_str()) == (Kind::Missing, &key);
            prop_assert!(findings.iter().any(reported), "{key} {findings:?}");
        }
    }

    #[test]
    fn an_object_that_was_truncated_or_altered_is_damaged(
        world in worlds(),
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 0..=255_u8,
    ) {
        let mut damaged = world.clone();
        let key = world.key(index);
        let stored = damaged.objects.get_mut(&key).unwrap();
        let at = at.index(stored.body.len());
        let mut body = stored.body[..at].to_vec();
        if flip > 0 {
            // One byte is changed; with 0 the object is truncated.
            body.extend_from_slice(&stored.body[at..]);
            body[at] ^= flip;
        }
        stored.body = body.into();
        // Two headers of a frame can mean the same.
        prop_assume!(flip == 0 || AuditedObject::of(key.parse().unwrap(), stored).problem.is_some());
        let findings = damaged.findings();
        prop_assert!(findings.iter().any(|finding| (finding.kind, finding.key.as_str()) == (Kind::Damaged, &key)), "{findings:?}");
    }

    #[test]
    fn two_objects_that_were_swapped_are_reported(world in worlds(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (a, b) = (world.key(a), world.key(b));
        prop_assume!(a != b);
        let mut damaged = world.clone();
        let (body_of_a, body_of_b) = (world.objects[&a].clone(), world.objects[&b].clone());
        damaged.objects.insert(a.clone(), body_of_b);
        damaged.objects.insert(b.clone(), body_of_a);
        let findings = damaged.findings();
        prop_assert!(findings.iter().any(|finding| finding.key == a || finding.key == b), "{findings:?}");
    }

    #[test]
    fn an_object_that_was_added_is_reported(
        world in worlds(),
        index in any::<prop::sample::Index>(),
        (after, before) in (990..1_500_usize, prop::option::of(990..1_500_usize)),
    ) {
        // A copy of an object under another key, or an object of invented records, with metadata of its own.
        let at = |number| Position { sequence: sequence(number), sub: 0 };
        let original: ObjectKey = world.key(index).parse().unwrap();
        let slot = Slot { after: at(after), before: before.map(at) };
        let key = ObjectKey { slot, ..original.clone() }.to_string();
        prop_assume!(!world.objects.contains_key(&key));
        let mut damaged = world.clone();
        damaged.objects.insert(key.clone(), world.objects[&original.to_string()].clone());
        let findings = damaged.findings();
        prop_assert!(findings.iter().any(|finding| finding.key == key), "a copy: {findings:?}");

        let invented = StreamRecord { sequence: sequence(after + 1), data: "{}".into(), arrived_ms: original.of.hour.start_ms(), ..world.shard[0].clone() };
        prop_assume!(!world.shard.iter().any(|record| record.sequence == invented.sequence));
        let mut archived = world.clone();
        let batch = Batch { stream: STREAM.into(), shard: SHARD.into(), records: vec![invented] };
        archived.objects.extend(archive_more(&world, &batch));
        let added: Vec<_> = archived.objects.keys().filter(|key| !world.objects.contains_key(*key)).collect();
        prop_assume!(!added.is_empty());
        let (_, findings) = archived.compare_with_stream();
        prop_assert!(findings.iter().any(|finding| finding.key == *added[0]), "invented: {findings:?}");
    }

    #[test]
    fn a_head_that_is_not_the_end_of_an_object_is_reported(world in worlds(), to in 0..3_000_usize, sub in 0..2_u32) {
        let mut damaged = world.clone();
        let head = world.head.unwrap();
        let last = Position { sequence: sequence(to), sub };
        let hours = world.hours();
        let valid = hours[&head.hour].iter().any(|object| object.key.slot.is_open_ended() && object.extent.as_ref().unwrap().last == last);
        damaged.head = Some(Head { last, ..head });
        let findings = damaged.findings();
        let reported = findings.iter().map(|finding| (finding.kind, finding.key.as_str()));
        prop_assert_eq!(reported.collect::<Vec<_>>(), if valid { vec![] } else { vec![(Kind::Head, "head shardId-000000000001")] });
    }
}

/// The objects after the archiver has archived one more batch.
fn archive_more(world: &World, batch: &Batch) -> BTreeMap<String, Stored> {
    let lake = MemoryLake::default();
    let format = Stored { body: "zstd".into(), ..Stored::default() };
    run(lake.put_if_absent("raw/stream=ingest/_format", &format)).unwrap();
    for (key, stored) in &world.objects {
        lake.overwrite(key, stored.clone());
    }
    let archived = run(Archiver::new(&lake, MemoryHeads::default(), Compression::default()).archive(batch));
    assert!(archived.stopped.is_none());
    lake.objects().into_iter().filter(|(key, _)| key.parse::<ObjectKey>().is_ok()).collect()
}

fn plain() -> World {
    World::new(&[0, 1, 2, 3, 4, 5], &[(0, 2), (2, 2), (4, 2)])
}

fn summary(findings: &[Finding]) -> Vec<(Kind, &str)> {
    findings.iter().map(|finding| (finding.kind, finding.what.as_str())).collect()
}

#[test]
fn a_missing_object_is_reported_by_the_key_of_its_slot_and_in_words() {
    let mut world = plain();
    let keys: Vec<_> = world.objects.keys().cloned().collect();
    let middle = run(async {
        let lake = MemoryLake::default();
        for (key, stored) in &world.objects {
            lake.overwrite(key, stored.clone());
        }
        list(&lake, STREAM).await.unwrap()[1].clone()
    });
    world.objects.remove(&keys[1]);
    let findings = world.findings();
    let key = findings[0].key.rsplit('/').next().unwrap();
    assert_eq!(key, middle.to_string().rsplit('/').next().unwrap());
    assert_eq!(
        summary(&findings),
        [
            (Kind::Missing, format!("no object is in this slot, but {} follows it", keys[2]).as_str()),
            (Kind::Misplaced, "it follows 1030.0, but no object of its hour ends there"),
        ]
    );
    let (counts, findings) = world.compare_with_stream();
    assert_eq!((counts.records, counts.missing, counts.objects), (6, 2, 2));
    assert_eq!(
        summary(&findings),
        [(Kind::Missing, "the stream has 2 records from 1020.0 to 1030.0, which no object has")]
    );
}

#[test]
fn a_record_whose_batch_may_still_be_filling_is_not_missing_and_is_counted() {
    let mut world = plain();
    world.objects.pop_last();
    let coverage = Coverage { archived_ms: START_MS + 3 * 60_000, ..COMPLETE };
    let (counts, findings) = world.compare(coverage, 0);
    assert_eq!((findings, counts.missing, counts.waiting), (vec![], 0, 2));
    let coverage = Coverage { archived_ms: START_MS + 4 * 60_000, ..COMPLETE };
    assert_eq!(
        summary(&world.compare(coverage, 0).1),
        [(Kind::Missing, "the stream has the record 1040.0, which no object has")]
    );
}

#[test]
fn records_whose_bytes_keys_or_times_differ_from_the_streams_are_altered() {
    for change in [
        |record: &mut StreamRecord| record.data = [&record.data[..], b" "].concat().into(),
        |record: &mut StreamRecord| record.arrived_ms += 1,
        |record: &mut StreamRecord| record.partition_key = format!("{}x", record.partition_key).into(),
    ] {
        let mut world = plain();
        change(&mut world.shard[2]);
        let (_, findings) = world.compare_with_stream();
        let what = "its records have other bytes, partition keys or times of arrival in the stream";
        assert_eq!(summary(&findings), [(Kind::Altered, what)]);
    }
    let mut world = plain();
    world.shard.remove(2);
    assert_eq!(summary(&world.compare_with_stream().1), [(Kind::Altered, "it has 2 records, but the stream has 1")]);
}

#[test]
fn a_record_from_before_its_shard_began_or_after_it_ended_is_misplaced() {
    let mut world = plain();
    let lineage = |starting: usize, ending: usize| -> Lineage {
        let span = Span { starting: Some(sequence(starting)), ending: Some(sequence(ending)) };
        [(SHARD.to_owned(), span)].into_iter().collect()
    };
    world.lineage = lineage(1_001, 1_050);
    assert_eq!(
        summary(&world.findings()),
        [(Kind::Misplaced, "it begins at 1000, but Kinesis says that its shard begins at 1001")]
    );
    world.lineage = lineage(1_000, 1_049);
    assert_eq!(
        summary(&world.findings()),
        [(Kind::Misplaced, "it ends at 1050, but Kinesis says that its shard ended at 1049")]
    );
    world.lineage = lineage(1_000, 1_050);
    assert_eq!(world.findings(), []);
}

#[test]
fn a_shard_that_never_existed_is_foreign_and_a_dropped_one_is_not() {
    let mut world = plain();
    let span = Span { starting: None, ending: None };
    world.lineage = [("shardId-000000000002".to_owned(), span.clone())].into_iter().collect();
    assert_eq!(world.findings(), [], "the stream knows a younger shard, so it may have dropped this one");
    world.lineage = [("shardId-000000000000".to_owned(), span)].into_iter().collect();
    let findings = world.findings();
    assert_eq!(findings.len(), 3);
    assert!(findings.iter().all(|finding| finding.kind == Kind::Foreign));
}
