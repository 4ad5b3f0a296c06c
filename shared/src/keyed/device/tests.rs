use super::super::input::ParsedBatch;
use super::super::progress::Progress;
use super::super::sums::{Ids, Sum, Sums, json};
use super::*;
use crate::stream::batch::{Batch, StreamRecord};
use crate::stream::slot::{Slot, Slots};

const SHARD: &str = "shard";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE_MS: i64 = 60_000;

fn at(n: u32) -> Position {
    Position { sequence: n.to_string().parse().unwrap(), sub: 0 }
}

/// A reading: its position, its id, its time in milliseconds and its arrival in seconds.
type Reading = (u32, u32, i64, i64);

/// The reading `n`, which arrives in second `n`.
fn reading(n: u32) -> Reading {
    (n, n, i64::from(n), i64::from(n))
}

/// A device and what is known of its slot.
struct Device {
    loaded: Loaded<Sum>,
    shard: &'static str,
    stream: &'static str,
    progress: Progress,
    lost_until: Option<i64>,
    newest_ms: Option<i64>,
    interval: Duration,
}

/// What became of a batch.
struct Done {
    /// Whether there was something new to keep.
    is_changed: bool,
    /// The number of readings of the latest row, if it was due.
    latest: Option<u64>,
    /// The rows of history, as minutes, with how many readings they have.
    history: Vec<(i64, u32)>,
    rows: Vec<Row>,
    tally: Tally,
}

impl Device {
    fn new(interval: Duration) -> Self {
        Self {
            loaded: Loaded::default(),
            shard: SHARD,
            stream: "readings",
            progress: Progress::default(),
            lost_until: None,
            newest_ms: None,
            interval,
        }
    }

    fn kept(&self) -> &Kept<Sum> {
        self.loaded.kept.as_ref().unwrap()
    }

    /// Notes that the shard is acknowledged up to a position.
    fn acknowledge(&mut self, position: u32) {
        let slots: Slots = [Slot::of("a")].into_iter().collect();
        self.progress = self.progress.after(self.shard, at(position), 0, slots);
    }

    /// Computes a batch, and keeps what comes of it.
    fn take(&mut self, readings: &[Reading]) -> Done {
        let record = |(position, id, at_ms, arrived): &Reading| StreamRecord {
            sequence: at(*position).sequence,
            partition_key: "a".into(),
            arrived_ms: arrived * 1_000,
            data: json("a", *id, *at_ms).into_bytes().into(),
        };
        let records = readings.iter().map(record).collect();
        let batch = Batch { stream: self.stream.to_owned(), shard: self.shard.to_owned(), records };
        let mut parsed = ParsedBatch::of(&batch, Sums::takes);
        assert_eq!(parsed.letters.take(&batch), []);
        let devices = parsed.devices();
        let last = parsed.last.unwrap();
        let slot = SlotInput {
            origin: Origin::new(self.stream, self.shard, Position::ZERO),
            acknowledged: &Acknowledgements::new(&self.progress, self.stream, self.shard, last),
            lost_until: self.lost_until,
            newest_ms: self.newest_ms,
            results_interval: self.interval,
        };
        let loaded = self.loaded.clone();
        let update = DeviceUpdate::<Sums>::new("a", &devices[0].readings, &Ids::Known, &slot, &loaded);
        let rows = update.rows(self.stream, self.shard, 7_000, HOUR);
        let count = |row: &Row| row.metrics["m"].average.count;
        let done = Done {
            is_changed: update.changed().is_some(),
            latest: rows.iter().find(|row| row.item == Item::Latest).map(|row| row.counted),
            history: rows
                .iter()
                .filter_map(|row| match row.item {
                    Item::History { from_ms, .. } => Some((from_ms / MINUTE_MS, count(row))),
                    Item::Latest => None,
                })
                .collect(),
            tally: update.tally,
            rows,
        };
        self.loaded = Loaded { kept: update.changed().cloned().or(loaded.kept.clone()), ..Loaded::default() };
        done
    }
}

#[test]
fn the_first_reading_has_a_row_and_the_next_row_waits_by_arrival() {
    let mut device = Device::new(Duration::from_secs(30));
    let mut written = Vec::new();
    for n in [5, 6, 34, 35, 36, 64, 65] {
        written.extend(device.take(&[reading(n)]).latest.map(|_| n));
        device.acknowledge(n);
    }
    assert_eq!(written, [5, 35, 65]);
    assert_eq!(device.take(&[reading(66), reading(94), reading(95)]).latest, Some(10), "by the last of the batch");
}

#[test]
fn without_an_interval_each_change_has_a_row_whatever_the_arrival_says() {
    let mut device = Device::new(Duration::ZERO);
    for (n, arrived) in [(1, 50), (2, 50), (3, 40)] {
        assert_eq!(device.take(&[(n, n, i64::from(n), arrived)]).latest, Some(n.into()));
        device.acknowledge(n);
    }
    let duplicate = device.take(&[(4, 2, 2, 60)]);
    assert_eq!(duplicate.tally, Tally { duplicates: 1, ..Tally::default() });
    assert!(duplicate.is_changed, "its position is seen");
}

#[test]
fn a_reading_that_comes_again_makes_the_row_due_at_once_and_counts_no_more() {
    let mut device = Device::new(HOUR);
    device.take(&[reading(1), reading(2)]);
    device.acknowledge(2);
    assert_eq!(device.take(&[reading(3)]).latest, None, "it waits");
    device.acknowledge(3);
    assert_eq!(device.take(&[(4, 2, 2, 4)]).latest, Some(3), "the row may not have been written");
}

#[test]
fn a_row_is_due_at_once_when_more_is_lost_and_only_then() {
    let mut device = Device::new(HOUR);
    device.take(&[reading(1), reading(2)]);
    device.acknowledge(2);
    let mut due = Vec::new();
    for (n, lost_until) in [(3, None), (4, Some(2)), (5, Some(2)), (6, Some(1)), (7, Some(6))] {
        device.lost_until = lost_until;
        let done = device.take(&[reading(n)]);
        device.acknowledge(n);
        if done.latest.is_some() {
            let result = &done.rows[0].metrics["m"];
            due.push((n, result.partial, result.lost_until));
        }
    }
    assert_eq!(due, [(4, true, Some(2)), (7, true, Some(6))]);
    assert_eq!(device.kept().lost_until, Some(6));
}

#[test]
fn a_row_is_written_again_while_its_record_is_not_acknowledged() {
    let mut device = Device::new(HOUR);
    assert_eq!(device.take(&[reading(1), reading(2), reading(3)]).latest, Some(3));
    // The batch is delivered again, cut elsewhere.
    for (readings, counted) in [(1..2, 3), (1..4, 3), (1..6, 5)] {
        let readings: Vec<_> = readings.map(reading).collect();
        assert_eq!(device.take(&readings).latest, Some(counted));
    }
    device.acknowledge(2);
    assert_eq!(device.take(&[reading(6)]).latest, Some(6), "3 made it due");
    device.acknowledge(3);
    assert_eq!(device.take(&[reading(7)]).latest, None);
}

#[test]
fn a_batch_that_is_delivered_again_changes_nothing() {
    let mut device = Device::new(Duration::ZERO);
    let batch: Vec<_> = [1, 2, 70_000, 3].into_iter().zip(1..).map(|(at, n)| (n, n, at, 0)).collect();
    let first = device.take(&batch);
    assert_eq!((first.is_changed, first.tally.counted), (true, 4));
    for part in [&batch[..], &batch[..2], &batch[2..]] {
        let again = device.take(part);
        assert!(!again.is_changed);
        assert_eq!(again.tally, Tally::default());
        assert_eq!((again.latest, again.history), (first.latest, first.history.clone()));
    }
}

#[test]
fn history_is_written_until_its_record_is_acknowledged_and_is_forgotten_then() {
    let mut device = Device::new(HOUR);
    let minute = |n: u32, minute: i64| (n, n, minute * MINUTE_MS, 0);
    let first = device.take(&[minute(1, 0), minute(2, 1), minute(3, 2)]);
    assert_eq!(first.history, [(0, 1), (1, 2)]);
    let positions: Vec<_> = first.rows.iter().map(|row| (row.item, row.position, row.counted)).collect();
    let history = |minute: i64| Item::history(minute * MINUTE_MS);
    assert_eq!(positions, [(Item::Latest, at(3), 3), (history(0), at(2), 2), (history(1), at(3), 3)]);
    let expires: Vec<_> = first.rows.iter().map(|row| row.expires_at).collect();
    assert_eq!(expires, [None, Some(3_600), Some(3_660)]);

    device.acknowledge(2);
    assert_eq!(device.take(&[minute(4, 3)]).history, [(1, 2), (2, 3)]);
    assert_eq!(device.kept().history.len(), 2);
    device.acknowledge(4);
    let done = device.take(&[minute(5, 3)]);
    assert_eq!((done.history.len(), device.kept().history.len()), (0, 0));
}

#[test]
fn what_a_shard_left_unwritten_is_written_unless_the_shard_was_taken_over() {
    let slots: Slots = [Slot::of("a")].into_iter().collect();
    let waiting = || {
        let mut device = Device::new(HOUR);
        device.take(&[(7, 7, 0, 0), (8, 8, MINUTE_MS, 0)]);
        device
    };
    // A shard that was made of it.
    let mut child = waiting();
    child.shard = "child";
    let done = child.take(&[(9, 9, MINUTE_MS, 0)]);
    assert_eq!((done.latest, done.history.len()), (None, 0), "the shard before was processed to its end");
    // The shard that it was made of, of which an invocation is still running.
    let mut parent = waiting();
    parent.shard = "parent";
    parent.progress = Progress::default().after("parent", at(6), 0, slots);
    let done = parent.take(&[(6, 6, 0, 0)]);
    assert!(!done.is_changed, "it is not for this invocation to forget");
    assert_eq!(done.history, [(0, 1)]);
    assert_eq!(done.tally, Tally::default(), "6 is before what was seen");
}

#[test]
fn a_state_that_cannot_be_read_had_nothing_after_what_is_acknowledged() {
    for (lost_until, newest_ms, expected) in
        [(None, None, None), (None, Some(5), Some(5)), (Some(4), Some(5), Some(5)), (Some(6), Some(5), Some(6))]
    {
        let mut device = Device::new(Duration::ZERO);
        (device.lost_until, device.newest_ms) = (lost_until, newest_ms);
        device.loaded.is_lost = true;
        device.take(&[reading(7)]);
        assert_eq!((device.kept().lost_until, device.kept().state.lost_until), (expected, expected));
        // Other devices of the slot are not concerned.
        device.loaded = Loaded::default();
        device.take(&[reading(7)]);
        assert_eq!(device.kept().lost_until, lost_until);
    }
}

#[test]
fn positions_of_another_stream_do_not_make_a_record_a_redelivery() {
    let mut device = Device::new(Duration::ZERO);
    device.take(&[(9, 1, 1, 0)]);
    device.stream = "other";
    let done = device.take(&[(1, 1, 1, 0), (2, 2, 2, 0)]);
    assert_eq!(done.tally, Tally { counted: 1, duplicates: 1, ..Tally::default() });
    assert_eq!(device.kept().seen, Some(Origin::new("other", SHARD, at(2))));
}
