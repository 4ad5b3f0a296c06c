//! One shard: a reader, and behind it one lane for each concurrent batch, which gathers and delivers.

use super::batcher::{Batcher, Limits};
use super::checkpoint::{Checkpoint, Tracker};
use super::delivery::Delivery;
use super::mapping::{Shared, Stopped};
use super::{OnFailure, StartingPosition};
use crate::clock::Clock;
use crate::function::Invoker;
use crate::function::REQUEST_BYTES_MAX;
use myaku::stream::batch::StreamRecord;
use myaku::stream::source::{Read, ReadFrom, Source};
use std::time::Duration;
use tokio::sync::mpsc;

/// The most that Kinesis gives in one read.
const READ_RECORDS_MAX: usize = 10_000;

/// What a reader hands to a lane.
#[derive(Debug)]
enum Item {
    /// Records, in order.
    Records(Vec<StreamRecord>),
    /// All records that arrived before this time, in milliseconds since the epoch, have been handed over.
    ReadUpTo(i64),
}

/// Reads and processes one shard to its end.
#[derive(Debug)]
pub(super) struct ShardReader<'a, S, I, D, C> {
    shared: &'a Shared<S, I, D, C>,
    shard: String,
}

impl<'a, S: Source, I: Invoker, D: OnFailure, C: Clock> ShardReader<'a, S, I, D, C> {
    pub(super) const fn new(mapping: &'a Shared<S, I, D, C>, shard: String) -> Self {
        Self { shared: mapping, shard }
    }

    /// Completes with the shard's id when it is closed and all of it is processed.
    pub(super) async fn run(self) -> Result<String, Stopped> {
        let lanes = self.shared.settings.parallelization;
        // One hand-over waits while the next read is under way: a lane that stands still stops its reader.
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..lanes).map(|_| mpsc::channel(1)).unzip();
        let gathering = receivers.into_iter().map(|items| self.gather(items));
        let (read, gathered) = futures::join!(self.read(senders), futures::future::try_join_all(gathering));
        read.and(gathered)?;
        self.shared.core.ended(&self.shard);
        self.shared.core.changed();
        Ok(self.shard)
    }

    async fn read(&self, lanes: Vec<mpsc::Sender<Item>>) -> Result<(), Stopped> {
        let shared = self.shared;
        let mut cursor = self.open().await?;
        let mut failures = 0;
        loop {
            shared.core.pass().await?;
            let began_ms = shared.clock.now_ms();
            let read = match shared.source.read(&mut cursor, READ_RECORDS_MAX).await {
                Ok(read) => read,
                Err(error) => {
                    failures += 1;
                    shared.warn(&format!("GetRecords {}", self.shard), &error);
                    shared.back_off(failures).await?;
                    continue;
                }
            };
            failures = 0;
            let ended = read.ended;
            let behind = read.behind_ms > 0 || read.records.len() == READ_RECORDS_MAX;
            let caught_up = read.records.is_empty() && !behind;
            self.hand_over(read, &lanes).await?;
            if caught_up && shared.settings.tumbling_window.is_some() {
                self.send(&lanes[0], Item::ReadUpTo(began_ms)).await?;
            }
            if caught_up {
                self.note_caught_up(began_ms);
            }
            if ended {
                return Ok(());
            }
            let interval = if behind { shared.settings.read_interval } else { shared.settings.poll_interval };
            let elapsed_ms = (shared.clock.now_ms() - began_ms).max(0);
            shared.sleep(interval.saturating_sub(Duration::from_millis(elapsed_ms as u64))).await?;
        }
    }

    async fn open(&self) -> Result<S::Cursor, Stopped> {
        let shared = self.shared;
        let checkpoint = {
            let mut state = shared.core.state();
            state.trackers.insert(self.shard.clone(), Tracker::default());
            state.status.shards.insert(self.shard.clone(), super::ShardStatus::default());
            state.progress.checkpoints.get(&self.shard).cloned()
        };
        let from = match (checkpoint, shared.settings.starting_position) {
            (Some(Checkpoint::After(sequence)), _) => ReadFrom::After(sequence),
            (Some(Checkpoint::StartingPosition), StartingPosition::Latest) => ReadFrom::Latest,
            (Some(Checkpoint::StartingPosition), StartingPosition::AtTimestamp(ms)) => ReadFrom::AtTimestamp(ms),
            _ => ReadFrom::TrimHorizon,
        };
        let mut failures = 0;
        loop {
            match shared.source.open(&self.shard, from.clone()).await {
                Ok(cursor) => return Ok(cursor),
                Err(error) => {
                    failures += 1;
                    shared.warn(&format!("GetShardIterator {}", self.shard), &error);
                    shared.back_off(failures).await?;
                }
            }
        }
    }

    async fn hand_over(&self, read: Read, lanes: &[mpsc::Sender<Item>]) -> Result<(), Stopped> {
        let settings = &self.shared.settings;
        let mut filtered = Vec::new();
        let mut by_lane = vec![Vec::new(); lanes.len()];
        {
            let mut state = self.shared.core.state();
            state.status.shards.entry(self.shard.clone()).or_default().lag_ms = read.behind_ms;
            let tracker = state.trackers.entry(self.shard.clone()).or_default();
            for record in read.records {
                tracker.read(record.sequence);
                if settings.filter.as_ref().is_some_and(|filter| !filter.matches(&record)) {
                    filtered.push(record.sequence);
                } else {
                    by_lane[lane_of(&record.partition_key, lanes.len())].push(record);
                }
            }
            state.status.filtered += filtered.len() as u64;
        }
        self.shared.core.done(&self.shard, filtered);
        for (lane, records) in lanes.iter().zip(by_lane) {
            if !records.is_empty() {
                self.send(lane, Item::Records(records)).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, lane: &mpsc::Sender<Item>, item: Item) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.shared.core.stopped() => Err(Stopped),
            // A lane goes away only when the mapping is stopped.
            sent = lane.send(item) => sent.map_err(|_| Stopped),
        }
    }

    fn note_caught_up(&self, at_ms: i64) {
        {
            let mut state = self.shared.core.state();
            if state.trackers.get(&self.shard).is_none_or(|tracker| tracker.len() == 0) {
                state.status.shards.entry(self.shard.clone()).or_default().caught_up_at_ms = Some(at_ms);
            }
        }
        self.shared.core.changed();
    }

    /// One lane: gathers records into batches and delivers them, one batch at a time.
    async fn gather(&self, mut items: mpsc::Receiver<Item>) -> Result<(), Stopped> {
        let settings = &self.shared.settings;
        let window_ms = settings.window.as_millis() as i64;
        let mut delivery = Delivery::new(self.shared, &self.shard);
        let mut batcher = Batcher::default();
        let mut deadline_ms = None;
        let mut open = true;
        loop {
            while let Some(batch) = batcher.take_full(limits(&delivery, &batcher, settings.batch_size)) {
                delivery.deliver(batch).await?;
                deadline_ms = None;
            }
            let now_ms = self.shared.clock.now_ms();
            let deadline = batcher.first().map(|_| *deadline_ms.get_or_insert(now_ms + window_ms));
            let due = deadline.is_some_and(|deadline| now_ms >= deadline);
            let item = if !open {
                None
            } else if due {
                // What has come meanwhile joins the batch, but nothing is waited for.
                items.try_recv().ok()
            } else {
                let wait = deadline.map(|deadline| Duration::from_millis((deadline - now_ms) as u64));
                tokio::select! {
                    biased;
                    item = items.recv() => {
                        open = item.is_some();
                        item
                    }
                    slept = self.wait(wait) => {
                        slept?;
                        continue;
                    }
                }
            };
            match item {
                Some(Item::Records(records)) => {
                    for record in records {
                        let len = delivery.events.record_len(&record);
                        batcher.push(record, len);
                    }
                    continue;
                }
                Some(Item::ReadUpTo(at_ms)) => {
                    self.drain(&mut delivery, &mut batcher).await?;
                    delivery.close_window_at(at_ms).await?;
                }
                None => self.drain(&mut delivery, &mut batcher).await?,
            }
            deadline_ms = None;
            if !open {
                // "When the shard ends, Lambda considers the window closed"
                return delivery.close_window_at(i64::MAX).await;
            }
        }
    }

    async fn drain(&self, delivery: &mut Delivery<'_, S, I, D, C>, batcher: &mut Batcher) -> Result<(), Stopped> {
        while let Some(batch) = batcher.take_any(limits(delivery, batcher, self.shared.settings.batch_size)) {
            delivery.deliver(batch).await?;
        }
        Ok(())
    }

    async fn wait(&self, duration: Option<Duration>) -> Result<(), Stopped> {
        if let Some(duration) = duration {
            return self.shared.sleep(duration).await;
        }
        self.shared.core.stopped().await;
        Err(Stopped)
    }
}

fn limits<S, I, D, C>(delivery: &Delivery<'_, S, I, D, C>, batcher: &Batcher, records: usize) -> Limits
where
    S: Source,
    I: Invoker,
    D: OnFailure,
    C: Clock,
{
    let before_ms = batcher.first().and_then(|first| delivery.window_end_ms(first.arrived_ms));
    Limits { records, bytes: REQUEST_BYTES_MAX - delivery.frame_len(), before_ms }
}

/// The lane of a partition key, by FNV-1a: all of a key's records go through one lane, which keeps their order.
fn lane_of(partition_key: &str, lanes: usize) -> usize {
    let hash = partition_key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of FNV are its weak ones.
    ((hash >> 32) % lanes as u64) as usize
}
