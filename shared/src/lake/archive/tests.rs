//! The archiver with a lake in memory, case by case. `model` tests it under all faults together.

use super::faults::{Fault, Faulty};
use super::plan::{narrowest, place};
use super::*;
use crate::platform::errors::chain;
use crate::stream::batch::{Batch, Position, StreamRecord};
use std::sync::Mutex;

const STREAM: &str = "ingest";
const SHARD: &str = "shardId-000000000000";
/// 2026-11-21T03:00:00Z
const HOUR_MS: i64 = 1_795_230_000_000;

fn position(sequence: u64) -> Position {
    Position { sequence: sequence.to_string().parse().unwrap(), sub: 0 }
}

/// A batch of records, each a sequence number and the hour of its arrival.
fn batch_of(records: &[(u64, i64)]) -> Batch {
    let record = |&(sequence, hour): &(u64, i64)| StreamRecord {
        sequence: position(sequence).sequence,
        partition_key: "key".into(),
        arrived_ms: HOUR_MS + hour * 3_600_000,
        data: format!("{{\"n\":{sequence}}}").into(),
    };
    Batch { stream: STREAM.into(), shard: SHARD.into(), records: records.iter().map(record).collect() }
}

fn batch(sequences: impl IntoIterator<Item = u64>) -> Batch {
    batch_of(&sequences.into_iter().map(|sequence| (sequence, 0)).collect::<Vec<_>>())
}

async fn archive(lake: impl Lake, heads: impl Heads, batch: &Batch) -> ArchiveOutcome {
    Archiver::new(lake, heads, Compression::default()).archive(batch).await
}

/// Each object as `hour: (after, before) first..last`, in the order of hours and slots.
async fn layout(lake: &MemoryLake) -> Vec<String> {
    let mut layout = Vec::new();
    for key in list(lake, STREAM).await.unwrap() {
        let (extent, _) = read_object(lake, &key).await.unwrap();
        let before = key.slot.before.map_or("end".to_owned(), |before| before.sequence.to_string());
        let (after, first, last) = (key.slot.after.sequence, extent.first.sequence, extent.last.sequence);
        layout.push(format!("{}: ({after}, {before}) {first}..{last}", &key.of.hour.to_string()[14..]));
    }
    layout
}

/// The calls to a port, by name.
struct Calls(Mutex<Vec<String>>);

impl Calls {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn note(&self) -> impl Fn(&str, &str) -> Fault + Sync + Send + '_ {
        |name, subject| {
            if !subject.ends_with("_format") {
                self.0.lock().unwrap().push(name.to_owned());
            }
            Fault::None
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn batches_in_order_fill_open_ended_slots_with_one_put_each() {
    let (lake, heads, calls) = (MemoryLake::default(), MemoryHeads::default(), Calls::new());
    let counted = Faulty::new(&lake, calls.note());
    archive(&counted, &heads, &batch(1..=3)).await;
    assert_eq!(calls.take(), ["list", "put_if_absent"], "the shard has no head yet");
    archive(&counted, &heads, &batch(4..=4)).await;
    assert_eq!(calls.take(), ["put_if_absent"]);
    archive(&counted, &heads, &batch_of(&[(5, 0), (6, 1)])).await;
    assert_eq!(calls.take(), ["put_if_absent", "put_if_absent"]);
    archive(&counted, &heads, &batch_of(&[(7, 1)])).await;
    assert_eq!(calls.take(), ["put_if_absent"]);
    assert_eq!(
        layout(&lake).await,
        [
            "hh=03: (0, end) 1..3",
            "hh=03: (3, end) 4..4",
            "hh=03: (4, end) 5..5",
            "hh=04: (0, end) 6..6",
            "hh=04: (6, end) 7..7"
        ]
    );
}

#[tokio::test]
async fn records_around_an_existing_object_are_archived_on_both_sides() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    archive(&lake, &heads, &batch(4..=6)).await;
    let archived = archive(&lake, &heads, &batch(1..=9)).await;
    assert_eq!((archived.records, archived.known, archived.objects), (6, 3, 2));
    assert_eq!(layout(&lake).await, ["hh=03: (0, 4) 1..3", "hh=03: (0, end) 4..6", "hh=03: (6, end) 7..9"]);
    assert_eq!(heads.get(STREAM, SHARD).await.unwrap().unwrap().last, position(9));
}

#[tokio::test]
async fn an_object_in_a_bounded_slot_does_not_move_the_head() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    archive(&lake, MemoryHeads::default(), &batch(4..=6)).await;
    archive(&lake, &heads, &batch(1..=2)).await;
    // The object of 4 to 6 is in an open-ended slot; the object of 1 to 2 went into the slot left of it.
    assert_eq!(heads.get(STREAM, SHARD).await.unwrap().unwrap().last, position(6));
    archive(&lake, &heads, &batch(7..=7)).await;
    assert_eq!(layout(&lake).await, ["hh=03: (0, 4) 1..2", "hh=03: (0, end) 4..6", "hh=03: (6, end) 7..7"]);
}

#[tokio::test]
async fn records_whose_hours_alternate_go_into_one_object_an_hour() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    archive(&lake, &heads, &batch_of(&[(1, 0), (2, 1), (3, 0), (4, 1)])).await;
    archive(&lake, &heads, &batch_of(&[(5, 0), (6, 1)])).await;
    assert_eq!(
        layout(&lake).await,
        ["hh=03: (0, end) 1..3", "hh=03: (3, end) 5..5", "hh=04: (0, end) 2..4", "hh=04: (4, end) 6..6"]
    );
}

#[tokio::test]
async fn a_retry_begins_at_the_first_unarchived_record_of_any_hour() {
    let lake = MemoryLake::default();
    let batch = batch_of(&[(1, 1), (2, 0), (3, 1), (4, 0)]);
    let refuse = |hour: &'static str| {
        move |name: &str, key: &str| {
            if name == "put_if_absent" && key.contains(hour) { Fault::Refused } else { Fault::None }
        }
    };
    // The earlier hour fails, so the archiver does not begin the later one, which has the first record of the batch.
    let archived = archive(Faulty::new(&lake, refuse("hh=03")), MemoryHeads::default(), &batch).await;
    assert_eq!(archived.stopped.unwrap().record, 0);
    let batch = batch_of(&[(1, 0), (2, 1), (3, 0), (4, 1)]);
    let archived = archive(Faulty::new(&lake, refuse("hh=04")), MemoryHeads::default(), &batch).await;
    assert_eq!(archived.stopped.unwrap().record, 1);
    assert_eq!(layout(&lake).await, ["hh=03: (0, end) 1..3"]);
}

#[tokio::test]
async fn an_old_head_costs_reads_and_a_lost_one_a_listing() {
    let (lake, heads, calls) = (MemoryLake::default(), MemoryHeads::default(), Calls::new());
    let counted = Faulty::new(&lake, calls.note());
    archive(&lake, &heads, &batch([1])).await;
    let old = heads.get(STREAM, SHARD).await.unwrap().unwrap();
    for sequence in 2..50 {
        archive(&lake, &heads, &batch([sequence])).await;
    }
    calls.take();
    let stale = MemoryHeads::default();
    stale.advance(STREAM, SHARD, old).await.unwrap();
    archive(&counted, &stale, &batch([50])).await;
    assert_eq!(
        calls.take(),
        ["put_if_absent", "metadata", "put_if_absent", "metadata", "list", "metadata", "put_if_absent"]
    );
    archive(&counted, MemoryHeads::default(), &batch([51])).await;
    assert_eq!(calls.take(), ["list", "metadata", "put_if_absent"]);
    assert_eq!(layout(&lake).await.len(), 51);
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_counts_once() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    let lost = |name: &str, _: &str| if name == "put_if_absent" { Fault::AnswerLost } else { Fault::None };
    // The first attempt leaves the note of the format, the second one the object.
    for _ in 0..2 {
        let archived = archive(Faulty::new(&lake, lost), &heads, &batch(1..=3)).await;
        assert_eq!(archived.stopped.unwrap().record, 0);
    }
    let archived = archive(&lake, &heads, &batch(1..=4)).await;
    assert_eq!((archived.known, archived.records), (3, 1));
    assert_eq!(layout(&lake).await, ["hh=03: (0, end) 1..3", "hh=03: (3, end) 4..4"]);
}

#[tokio::test]
async fn a_stream_keeps_the_format_of_its_first_object() {
    let (lake, heads) = (MemoryLake::default(), MemoryHeads::default());
    let gzip = Compression::new(Format::Gzip, None).unwrap();
    Archiver::new(&lake, &heads, gzip).archive(&batch(1..=3)).await;
    // With another format in the keys, the same records would fill the same slot a second time.
    archive(&lake, MemoryHeads::default(), &batch(1..=4)).await;
    assert_eq!(layout(&lake).await, ["hh=03: (0, end) 1..3", "hh=03: (3, end) 4..4"]);
    let mut other = batch(1..=3);
    other.stream = "ingest-2".into();
    archive(&lake, &heads, &other).await;
    let formats: Vec<_> = list(&lake, "ingest-2").await.unwrap().iter().map(|key| key.format).collect();
    assert_eq!(formats, [Format::Zstd]);
}

#[tokio::test]
async fn a_foreign_note_of_the_format_is_an_error_that_names_it() {
    let lake = MemoryLake::default();
    lake.overwrite("raw/stream=ingest/_format", Stored { body: "lz4".into(), ..Stored::default() });
    let stopped = archive(&lake, MemoryHeads::default(), &batch([1])).await.stopped.unwrap();
    assert_eq!(
        chain(&stopped.error),
        "raw/stream=ingest/_format is not an object of the archiver: it does not name a format"
    );
}

#[tokio::test]
async fn the_reader_rejects_an_object_that_is_damaged_or_misplaced() {
    let lake = MemoryLake::default();
    archive(&lake, MemoryHeads::default(), &batch(1..=3)).await;
    let key = list(&lake, STREAM).await.unwrap().remove(0);
    let good = lake.get(&key.to_string()).await.unwrap().unwrap();
    let error = |key: &ObjectKey, stored: &Stored| chain(&read(key, stored).unwrap_err());

    let mut twice = good.clone();
    twice.body = [&good.body[..], &good.body[..]].concat().into();
    assert!(error(&key, &twice).ends_with("more than one part"));

    let mut cut = good.clone();
    cut.body = good.body.slice(..good.body.len() - 4);
    assert!(error(&key, &cut).starts_with("cannot decompress"));

    let other = EncodedObject::of(&batch(1..=3).user_records().take(2).collect::<Vec<_>>(), Compression::default());
    let swapped = Stored { body: other.unwrap().unwrap().body, ..good.clone() };
    assert!(error(&key, &swapped).ends_with("its bytes have a different hash"));

    let mut later = key.clone();
    later.of.hour = key.of.hour.next();
    assert!(error(&later, &good).ends_with("it has records of another hour"));

    let elsewhere = ObjectKey { slot: Slot::beyond(position(1)), ..key };
    assert!(error(&elsewhere, &good).contains("not in its slot"));
}

#[test]
fn the_narrowest_slot_around_a_position_is_found_in_any_order() {
    let slot = |after, before: Option<u64>| Slot { after: position(after), before: before.map(position) };
    let slots = [slot(0, Some(5)), slot(0, None), slot(3, Some(5)), slot(9, None), slot(0, Some(2))];
    assert_eq!(narrowest(&slots, position(4)), Some(slot(3, Some(5))));
    assert_eq!(narrowest(&slots, position(1)), Some(slot(0, Some(2))));
    assert_eq!(narrowest(&slots, position(2)), Some(slot(0, Some(5))));
    assert_eq!(narrowest(&slots, position(7)), Some(slot(0, None)));
    assert_eq!(narrowest(&slots, position(10)), Some(slot(9, None)));
    assert_eq!(narrowest(&[], position(10)), None);
}

#[test]
fn records_of_several_slots_are_placed_one_slot_at_a_time() {
    let batch = batch(1..=9);
    let records: Vec<_> = batch.user_records().collect();
    let slot = Slot { after: position(0), before: Some(position(8)) };
    let extent = Extent { first: position(3), last: position(5), count: 3, sha256: [0; 32] };
    let tasks = |from: usize| format!("{:?}", place(&records, &(from..9), Some((&slot, &extent))));
    assert_eq!(tasks(0), "[Put(0..2, Slot { after: 0.0, before: Some(3.0) }), Locate(2..9)]");
    assert_eq!(tasks(3), "[Locate(5..9)]");
    assert_eq!(tasks(5), "[Put(5..7, Slot { after: 5.0, before: Some(8.0) }), Locate(7..9)]");
}
