//! Carries out a batch's plan: puts objects into slots, and reads what fills the slots that are taken.

use super::plan::{self, Task};
use super::slot::stream_prefix;
use super::{Compression, EncodedObject, Extent, Format, Head, Heads, Lake, ObjectKey, Put, ShardHour, Slot, Stored};
use crate::platform::errors::{self, RemoteError};
use crate::stream::batch::{Batch, Position, UserRecord};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Slots of one hour that may turn out to be taken before the hour's objects are listed (again). One taken slot only
/// means that the head is slightly old.
const COLLISIONS_MAX: u32 = 2;
/// Attempts at a slot whose object exists for the put, and does not for the read after it.
const FLICKERS_MAX: u32 = 3;
/// The object that names the format of a stream's objects.
const FORMAT_NAME: &str = "_format";

/// Puts batches into the lake.
#[derive(Debug)]
pub struct Archiver<L, H> {
    lake: L,
    heads: H,
    compression: Compression,
    /// The compression of the streams that this archiver has met so far.
    streams: Mutex<HashMap<String, Compression>>,
}

/// What the archiver did with a batch.
#[derive(Debug, Default)]
pub struct ArchiveOutcome {
    /// Records that this batch brought to the lake.
    pub records: usize,
    /// Bytes of those records as their producers sent them.
    pub bytes: usize,
    /// Objects put.
    pub objects: usize,
    /// Records that were in the lake before.
    pub known: usize,
    /// Why it ended early, if it did.
    pub stopped: Option<EarlyStop>,
}

impl ArchiveOutcome {
    /// Adds the counts of one of the batch's hours.
    const fn add(&mut self, hour: &Self) {
        self.records += hour.records;
        self.bytes += hour.bytes;
        self.objects += hour.objects;
        self.known += hour.known;
    }
}

/// Where and why archiving a batch ended early.
#[derive(Debug)]
pub struct EarlyStop {
    /// The index in the batch of the first Kinesis record that is not wholly archived. All records before it are.
    pub record: usize,
    /// Why.
    pub error: ArchiveError,
}

/// Why a record could not be archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A call to the lake failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A slot holds an object that the archiver did not put there, or that was changed since.
    #[error("{key} is not an object of the archiver: {problem}")]
    Foreign {
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An object repeatedly existed for a put and was missing for the read after it: something deletes from the lake.
    #[error("{0} exists when it is put and is missing when it is read: something deletes objects from the lake")]
    Flickers(String),
    /// The records could not be compressed.
    #[error("the records could not be compressed")]
    Encode(#[from] io::Error),
}

impl<L: Lake, H: Heads> Archiver<L, H> {
    /// An archiver to `lake`. `compression` applies to streams that the lake does not have yet. A stream keeps its
    /// first format, because a key names the format and one slot must not have two keys.
    pub fn new(lake: L, heads: H, compression: Compression) -> Self {
        Self { lake, heads, compression, streams: Mutex::default() }
    }

    /// Archives the records of `batch` that are not in the lake yet. It ends at the first error. What it archived
    /// before the error stays, and counts as known when the batch is delivered again.
    pub async fn archive(&self, batch: &Batch) -> ArchiveOutcome {
        let mut outcome = ArchiveOutcome::default();
        if batch.records.is_empty() {
            return outcome;
        }
        let (head, compression) =
            futures::join!(self.head(&batch.stream, &batch.shard), self.compression(&batch.stream));
        let compression = match compression {
            Ok(compression) => compression,
            Err(error) => {
                outcome.stopped = Some(EarlyStop { record: 0, error });
                return outcome;
            }
        };
        let mut new_head = None;
        let mut hours = plan::by_hour(batch.user_records()).into_iter();
        for (hour, records) in hours.by_ref() {
            let of = ShardHour { stream: batch.stream.clone(), hour, shard: batch.shard.clone() };
            let tasks = plan::begin(hour, &records, head.as_ref());
            let mut archiver = HourArchiver::new(&self.lake, of, records, tasks, compression);
            let result = archiver.run().await;
            outcome.add(&archiver.outcome);
            new_head = new_head.max(archiver.last_open_ended.map(|last| Head { hour, last }));
            if let Err(error) = result {
                outcome.stopped = Some(EarlyStop { record: archiver.first_unarchived().unwrap_or(0), error });
                break;
            }
        }
        // Arrival times sometimes go back, so a later hour can have records that come before this hour's.
        if let Some(stopped) = &mut outcome.stopped {
            let later = hours.filter_map(|(_, records)| records.first().map(|record| record.record as usize));
            stopped.record = later.fold(stopped.record, usize::min);
        }
        if let Some(new_head) = new_head.filter(|new_head| head.is_none_or(|head| head < *new_head)) {
            self.advance(&batch.stream, &batch.shard, new_head).await;
        }
        outcome
    }

    /// The shard's head. It is a hint: without it the archiver lists the hour's objects.
    async fn head(&self, stream: &str, shard: &str) -> Option<Head> {
        let head = self.heads.get(stream, shard).await;
        head.unwrap_or_else(|error| {
            let error = errors::chain(&error);
            tracing::warn!(stream, shard, error, "cannot read the shard's head; its hour is listed instead");
            None
        })
    }

    async fn advance(&self, stream: &str, shard: &str, head: Head) {
        if let Err(error) = self.heads.advance(stream, shard, head).await {
            let error = errors::chain(&error);
            tracing::warn!(
                stream,
                shard,
                error,
                "cannot advance the shard's head; the next batch reads more of the lake"
            );
        }
    }

    /// How a stream's objects are compressed. The first archiver that meets the stream decides, and puts a note of it
    /// into the lake. The format is part of a key, so `If-None-Match` protects a slot only if all archivers use the
    /// same format.
    async fn compression(&self, stream: &str) -> Result<Compression, ArchiveError> {
        if let Some(known) = self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(stream) {
            return Ok(*known);
        }
        let key = format_key(stream);
        let wanted = self.compression;
        let name = wanted.format().name();
        let mut note = self.lake.get(&key).await?;
        if note.is_none() {
            let ours = Stored { body: Bytes::from_static(name.as_bytes()), metadata: super::Metadata::new() };
            note = match self.lake.put_if_absent(&key, &ours).await? {
                Put::Created => Some(ours),
                Put::Exists => self.lake.get(&key).await?,
            };
        }
        let note = note.ok_or_else(|| ArchiveError::Flickers(key.clone()))?;
        let format = parse_format(key, &note)?;
        let compression = if format == wanted.format() {
            wanted
        } else {
            tracing::warn!(
                stream,
                setting = name,
                used = %format,
                "the stream keeps its first format; the setting is ignored"
            );
            Compression::of(format)
        };
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), compression);
        Ok(compression)
    }
}

/// The key of the note that names the format of a stream's objects.
pub fn format_key(stream: &str) -> String {
    format!("{}{FORMAT_NAME}", stream_prefix(stream))
}

fn parse_format(key: String, note: &Stored) -> Result<Format, ArchiveError> {
    let format = std::str::from_utf8(&note.body).ok().and_then(|text| text.trim().parse().ok());
    format.ok_or_else(|| ArchiveError::Foreign { key, problem: "it does not name a format".to_owned() })
}

/// The format of a stream's objects; `None` while the lake has nothing of the stream.
pub async fn stream_format(lake: &impl Lake, stream: &str) -> Result<Option<Format>, ArchiveError> {
    let key = format_key(stream);
    let note = lake.get(&key).await?;
    note.map(|note| parse_format(key, &note)).transpose()
}

/// Archives a batch's records of one shard's hour.
struct HourArchiver<'a, L> {
    lake: &'a L,
    of: ShardHour,
    records: Vec<UserRecord<'a>>,
    compression: Compression,
    /// What is left to do, in the order of the records.
    tasks: Vec<Task>,
    /// The filled slots that a listing found.
    listed: Option<Vec<Slot>>,
    /// What the objects cover that were put or read.
    extents: HashMap<Slot, Extent>,
    /// Slots that turned out to be taken.
    collisions: u32,
    /// The object of these records, kept for the next slot if this one is taken.
    encoded: Option<(Range<usize>, EncodedObject)>,
    /// The last record of the furthest object in an open-ended slot.
    last_open_ended: Option<Position>,
    /// What was done so far.
    outcome: ArchiveOutcome,
}

impl<'a, L: Lake> HourArchiver<'a, L> {
    fn new(
        lake: &'a L,
        of: ShardHour,
        records: Vec<UserRecord<'a>>,
        tasks: Vec<Task>,
        compression: Compression,
    ) -> Self {
        Self {
            lake,
            of,
            records,
            compression,
            tasks,
            listed: None,
            extents: HashMap::new(),
            collisions: 0,
            encoded: None,
            last_open_ended: None,
            outcome: ArchiveOutcome::default(),
        }
    }

    /// The first record that is not archived yet, by its index in the batch.
    fn first_unarchived(&self) -> Option<usize> {
        self.tasks.iter().map(|task| self.records[task.range().start].record as usize).min()
    }

    /// Works through the tasks in order. After an error, `tasks` still has the task that failed.
    async fn run(&mut self) -> Result<(), ArchiveError> {
        while let Some(task) = self.tasks.first().cloned() {
            let rest = match &task {
                Task::Put(range, slot) => self.put(range, *slot).await?,
                Task::Locate(range) => self.locate(range).await?,
            };
            // What is left of the task takes its place.
            self.tasks.splice(..1, rest);
        }
        Ok(())
    }

    /// Puts records into a slot. Returns what is left of them if the slot is taken.
    async fn put(&mut self, range: &Range<usize>, slot: Slot) -> Result<Vec<Task>, ArchiveError> {
        let Some(object) = self.encode(range)? else { return Ok(Vec::new()) };
        let stored = Stored { body: object.body, metadata: object.extent.to_metadata() };
        let key = self.key(slot);
        for _ in 0..FLICKERS_MAX {
            if self.lake.put_if_absent(&key, &stored).await? == Put::Created {
                self.remember(slot, object.extent);
                self.outcome.objects += 1;
                self.outcome.records += range.len();
                self.outcome.bytes += self.records[range.clone()].iter().map(|record| record.data.len()).sum::<usize>();
                return Ok(Vec::new());
            }
            let Some(extent) = self.extent(slot).await? else { continue };
            self.collisions += 1;
            let mut rest = plan::split(&self.records, range, &slot, &extent);
            self.count_known(range, &rest);
            if self.collisions == COLLISIONS_MAX {
                self.listed = None;
                rest = rest.into_iter().map(Task::relocated).collect();
            }
            return Ok(rest);
        }
        Err(ArchiveError::Flickers(key))
    }

    /// Finds the slot of the first of the records. Returns where the records go, without those that are archived.
    async fn locate(&mut self, range: &Range<usize>) -> Result<Vec<Task>, ArchiveError> {
        let slots = match self.listed.take() {
            Some(slots) => slots,
            None => self.list().await?,
        };
        let narrowest = plan::narrowest(&slots, self.records[range.start].position());
        self.listed = Some(slots);
        let Some(slot) = narrowest else { return Ok(plan::place(&self.records, range, None)) };
        let extent = self.extent(slot).await?;
        let extent = extent.ok_or_else(|| ArchiveError::Flickers(self.key(slot)))?;
        let rest = plan::place(&self.records, range, Some((&slot, &extent)));
        self.count_known(range, &rest);
        Ok(rest)
    }

    /// Counts the records of `range` that no task is left for: the lake has them.
    fn count_known(&mut self, range: &Range<usize>, rest: &[Task]) {
        self.outcome.known += range.len() - rest.iter().map(|task| task.range().len()).sum::<usize>();
    }

    async fn list(&self) -> Result<Vec<Slot>, ArchiveError> {
        let keys = self.lake.list(&self.of.prefix()).await?;
        let keys = keys.iter().filter_map(|key| key.parse::<ObjectKey>().ok());
        Ok(keys.filter(|key| key.format == self.compression.format()).map(|key| key.slot).collect())
    }

    /// What the object in `slot` covers; `None` if there is no object.
    async fn extent(&mut self, slot: Slot) -> Result<Option<Extent>, ArchiveError> {
        if let Some(extent) = self.extents.get(&slot) {
            return Ok(Some(*extent));
        }
        let key = self.key(slot);
        let Some(metadata) = self.lake.metadata(&key).await? else { return Ok(None) };
        let extent =
            Extent::from_metadata(&metadata, &slot).map_err(|problem| ArchiveError::Foreign { key, problem })?;
        self.remember(slot, extent);
        Ok(Some(extent))
    }

    /// Remembers what an object covers.
    fn remember(&mut self, slot: Slot, extent: Extent) {
        self.extents.insert(slot, extent);
        if slot.is_open_ended() {
            self.last_open_ended = self.last_open_ended.max(Some(extent.last));
        }
    }

    fn encode(&mut self, range: &Range<usize>) -> io::Result<Option<EncodedObject>> {
        if let Some((_, object)) = self.encoded.as_ref().filter(|(encoded, _)| encoded == range) {
            return Ok(Some(object.clone()));
        }
        let object = EncodedObject::of(&self.records[range.clone()], self.compression)?;
        self.encoded = object.clone().map(|object| (range.clone(), object));
        Ok(object)
    }

    fn key(&self, slot: Slot) -> String {
        ObjectKey { of: self.of.clone(), slot, format: self.compression.format() }.to_string()
    }
}
