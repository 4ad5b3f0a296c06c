//! Carrying out the plan: puts, and what they find.

use super::plan::{self, Task};
use super::slot::stream_prefix;
use super::{Compression, Encoded, Extent, Format, Head, Heads, Lake, ObjectKey, Put, ShardHour, Slot, Stored};
use crate::platform::errors::{self, RemoteError};
use crate::stream::batch::{Batch, Position, UserRecord};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Slots found taken in one hour before its objects are listed (again): one is a head that is slightly old.
const COLLISIONS_MAX: u32 = 2;
/// Tries of a slot whose object is there for the put and not for the look at it.
const FLICKERS_MAX: u32 = 3;
/// The object that says in which format a stream's objects are.
const FORMAT_NAME: &str = "_format";

/// Puts batches into the lake.
#[derive(Debug)]
pub struct Archiver<L, H> {
    lake: L,
    heads: H,
    compression: Compression,
    /// The compression of the streams met so far.
    streams: Mutex<HashMap<String, Compression>>,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Archived {
    /// Records that this batch brought to the lake.
    pub records: usize,
    /// Bytes of those records as their producers sent them.
    pub bytes: usize,
    /// Objects put.
    pub objects: usize,
    /// Records that were in the lake before.
    pub known: usize,
    /// Why it ended early, if it did.
    pub stopped: Option<Stopped>,
}

/// Where and why archiving a batch ended early.
#[derive(Debug)]
pub struct Stopped {
    /// The index in the batch of the first Kinesis record that is not wholly archived: all before it are.
    pub record: usize,
    /// Why.
    pub error: ArchiveError,
}

/// Why a record could not be archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The lake did not do as asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A slot holds an object that the archiver did not put there, or not so.
    #[error("{key} is no object of the archiver: {problem}")]
    Foreign {
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An object was there and then not, again and again: something deletes from the lake.
    #[error("{0} exists when it is put and does not when it is read: something deletes it")]
    Flickers(String),
    /// The records could not be compressed.
    #[error("the records could not be compressed")]
    Encode(#[from] io::Error),
}

impl<L: Lake, H: Heads> Archiver<L, H> {
    /// An archiver to `lake`. `compression` is that of streams that the lake does not have yet: a stream keeps the format
    /// that it began with, since a key names it and one slot must not have two keys.
    pub fn new(lake: L, heads: H, compression: Compression) -> Self {
        Self { lake, heads, compression, streams: Mutex::default() }
    }

    /// Archives the records of `batch` that are not in the lake yet. It ends at the first error; what was archived
    /// before it stays, and is found again when the batch comes again.
    pub async fn archive(&self, batch: &Batch) -> Archived {
        let mut done = Archived::default();
        if batch.records.is_empty() {
            return done;
        }
        let (head, compression) =
            futures::join!(self.head(&batch.stream, &batch.shard), self.compression(&batch.stream));
        let compression = match compression {
            Ok(compression) => compression,
            Err(error) => {
                done.stopped = Some(Stopped { record: 0, error });
                return done;
            }
        };
        let mut reached = None;
        let mut hours = plan::by_hour(batch.user_records()).into_iter();
        for (hour, records) in hours.by_ref() {
            let of = ShardHour { stream: batch.stream.clone(), hour, shard: batch.shard.clone() };
            let tasks = plan::begin(hour, &records, head.as_ref());
            let mut filling = Filling::new(&self.lake, of, records, tasks, compression);
            let result = filling.run(&mut done).await;
            reached = reached.max(filling.last_open_ended.map(|last| Head { hour, last }));
            if let Err(error) = result {
                done.stopped = Some(Stopped { record: filling.first_left().unwrap_or(0), error });
                break;
            }
        }
        // Arrival times go back now and then: a later hour's records may stand before this one's.
        if let Some(stopped) = &mut done.stopped {
            let later = hours.filter_map(|(_, records)| records.first().map(|record| record.record as usize));
            stopped.record = later.fold(stopped.record, usize::min);
        }
        if let Some(reached) = reached.filter(|reached| head.is_none_or(|head| head < *reached)) {
            self.advance(&batch.stream, &batch.shard, reached).await;
        }
        done
    }

    /// The shard's head. It is a hint: without it the lake itself is asked.
    async fn head(&self, stream: &str, shard: &str) -> Option<Head> {
        let head = self.heads.get(stream, shard).await;
        head.unwrap_or_else(|error| {
            tracing::warn!(stream, shard, error = errors::chain(&error), "no head, so the shard's hour is listed");
            None
        })
    }

    async fn advance(&self, stream: &str, shard: &str, head: Head) {
        if let Err(error) = self.heads.advance(stream, shard, head).await {
            tracing::warn!(stream, shard, error = errors::chain(&error), "the head stays behind, which costs reads");
        }
    }

    /// How a stream's objects are compressed. The first archiver that meets the stream decides and leaves a note: with
    /// the format in the key, `If-None-Match` protects a slot only if all use the same one.
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
        let format = format_of(key, &note)?;
        let compression = if format == wanted.format() {
            wanted
        } else {
            tracing::warn!(stream, setting = name, used = %format, "the stream's lake keeps the format that it began with");
            Compression::of(format)
        };
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), compression);
        Ok(compression)
    }
}

/// The key of the note that says in which format a stream's objects are.
fn format_key(stream: &str) -> String {
    format!("{}{FORMAT_NAME}", stream_prefix(stream))
}

fn format_of(key: String, note: &Stored) -> Result<Format, ArchiveError> {
    let format = std::str::from_utf8(&note.body).ok().and_then(|text| text.trim().parse().ok());
    format.ok_or_else(|| ArchiveError::Foreign { key, problem: "it names no format".to_owned() })
}

/// The format that a stream's objects have; `None` while the lake has nothing of the stream.
pub async fn noted_format(lake: &impl Lake, stream: &str) -> Result<Option<Format>, ArchiveError> {
    let key = format_key(stream);
    let note = lake.get(&key).await?;
    note.map(|note| format_of(key, &note)).transpose()
}

/// The filling of one shard's hour with a batch's records.
struct Filling<'a, L> {
    lake: &'a L,
    of: ShardHour,
    records: Vec<UserRecord<'a>>,
    compression: Compression,
    /// What is left to do, the first last.
    tasks: Vec<Task>,
    /// The slots that a listing found filled.
    listed: Option<Vec<Slot>>,
    /// What the objects cover that were looked at.
    extents: HashMap<Slot, Extent>,
    collisions: u32,
    /// The object of these records, kept for the next slot that takes the same ones.
    encoded: Option<(Range<usize>, Encoded)>,
    /// The last record of the furthest object met in an open-ended slot.
    last_open_ended: Option<Position>,
}

impl<'a, L: Lake> Filling<'a, L> {
    fn new(
        lake: &'a L,
        of: ShardHour,
        records: Vec<UserRecord<'a>>,
        mut tasks: Vec<Task>,
        compression: Compression,
    ) -> Self {
        tasks.reverse();
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
        }
    }

    /// The first record that is left, by its index in the batch.
    fn first_left(&self) -> Option<usize> {
        self.tasks.iter().map(|task| self.records[task.range().start].record as usize).min()
    }

    async fn run(&mut self, done: &mut Archived) -> Result<(), ArchiveError> {
        while let Some(task) = self.tasks.last().cloned() {
            let mut next = match &task {
                Task::Put(range, slot) => self.put(range, *slot, done).await?,
                Task::Locate(range) => self.locate(range).await?,
            };
            let left: usize = next.iter().map(|task| task.range().len()).sum();
            if let Task::Locate(range) = &task {
                done.known += range.len() - left;
            }
            self.tasks.pop();
            next.reverse();
            self.tasks.append(&mut next);
        }
        Ok(())
    }

    /// Puts records into a slot, or what is left of them if it is taken.
    async fn put(&mut self, range: &Range<usize>, slot: Slot, done: &mut Archived) -> Result<Vec<Task>, ArchiveError> {
        let Some(object) = self.encode(range)? else { return Ok(Vec::new()) };
        let stored = Stored { body: object.body, metadata: object.extent.to_metadata() };
        let key = self.key(slot);
        for _ in 0..FLICKERS_MAX {
            if self.lake.put_if_absent(&key, &stored).await? == Put::Created {
                self.met(slot, object.extent);
                done.objects += 1;
                done.records += range.len();
                done.bytes += self.records[range.clone()].iter().map(|record| record.data.len()).sum::<usize>();
                return Ok(Vec::new());
            }
            let Some(extent) = self.extent(slot).await? else { continue };
            self.collisions += 1;
            let mut left = plan::split(&self.records, range, &slot, &extent);
            done.known += range.len() - left.iter().map(|task| task.range().len()).sum::<usize>();
            if self.collisions == COLLISIONS_MAX {
                self.listed = None;
                left = left.into_iter().map(Task::relocated).collect();
            }
            return Ok(left);
        }
        Err(ArchiveError::Flickers(key))
    }

    /// Finds the slot of the first of the records.
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
        Ok(plan::place(&self.records, range, Some((&slot, &extent))))
    }

    async fn list(&self) -> Result<Vec<Slot>, ArchiveError> {
        let keys = self.lake.list(&self.of.prefix()).await?;
        let keys = keys.iter().filter_map(|key| key.parse::<ObjectKey>().ok());
        Ok(keys.filter(|key| key.format == self.compression.format()).map(|key| key.slot).collect())
    }

    /// What the object in `slot` covers; `None`: there is none.
    async fn extent(&mut self, slot: Slot) -> Result<Option<Extent>, ArchiveError> {
        if let Some(extent) = self.extents.get(&slot) {
            return Ok(Some(*extent));
        }
        let key = self.key(slot);
        let Some(metadata) = self.lake.metadata(&key).await? else { return Ok(None) };
        let extent =
            Extent::from_metadata(&metadata, &slot).map_err(|problem| ArchiveError::Foreign { key, problem })?;
        self.met(slot, extent);
        Ok(Some(extent))
    }

    /// Remembers what an object covers.
    fn met(&mut self, slot: Slot, extent: Extent) {
        self.extents.insert(slot, extent);
        if slot.is_open_ended() {
            self.last_open_ended = self.last_open_ended.max(Some(extent.last));
        }
    }

    fn encode(&mut self, range: &Range<usize>) -> io::Result<Option<Encoded>> {
        if let Some((_, object)) = self.encoded.as_ref().filter(|(encoded, _)| encoded == range) {
            return Ok(Some(object.clone()));
        }
        let object = Encoded::of(&self.records[range.clone()], self.compression)?;
        self.encoded = object.clone().map(|object| (range.clone(), object));
        Ok(object)
    }

    fn key(&self, slot: Slot) -> String {
        ObjectKey { of: self.of.clone(), slot, format: self.compression.format() }.to_string()
    }
}
