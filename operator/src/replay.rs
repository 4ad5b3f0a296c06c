//! Sending again: dead letters, batches that were given up, what the IoT rule could not deliver, a stretch of the lake.
//!
//! Everything goes out with the very bytes and partition key that it came with. The identity of a message is in those
//! bytes, so what was counted before counts no second time, whatever is sent again and however often. A stream archives it
//! again all the same, as new records: the lake holds what the stream holds. The one exception is a batch that the archiver
//! itself gave up: its records are in no lake, and go there whole, with their own positions ([`Target::Lake`]).
//!
//! A replay goes through parcels in a fixed order and notes how far it has come behind each stretch that is in. After a
//! crash it goes on there; what was sent behind the last note is sent twice, which changes no result.

mod batches;
mod checkpoint;
mod lake;
mod letters;
mod pace;
mod rule_errors;

#[cfg(test)]
mod tests;

pub use batches::Batches;
pub use checkpoint::{Checkpoint, Notes};
pub use lake::Stretch;
pub use letters::Letters;
pub use rule_errors::RuleErrors;

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use myaku::lake::archive::{Archiver, Heads, Lake};
use myaku::platform::errors::{Remedy, chain};
use myaku::stream::batch::Batch;
use myaku::stream::kpl::KEY_CHARS_MAX;
use myaku::stream::producer::{Item, Limits, Producer, PutRecords};
use pace::Pace;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Records of one call to a stream, at most.
const STRETCH: usize = 500;
/// How often a stretch that did not go in is tried again, each time for as long as the producer's own patience.
const TRIES: u32 = 12;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Why a record is left alone that would stop the replay for good.
const NO_KEY: &str = "no stream takes its partition key";

/// Where parcels come from.
pub trait Parcels: Sync {
    /// The names of all parcels, in the order in which they are sent: that of their [`Name::order`].
    fn names(&self) -> impl Future<Output = Result<Vec<Name>>>;

    /// Opens a parcel.
    fn open(&self, name: &Name) -> impl Future<Output = Result<Parcel>>;
}

/// The name of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Its place among the others, as text.
    pub order: String,
    /// The object's key.
    pub key: String,
}

/// What is sent again together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// What its records are counted under: a reason, a function, a shard.
    pub label: String,
    /// The stream that its records were on, or should have been.
    pub stream: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Records as their producers sent them.
    Records(Vec<Item>),
    /// A batch as it was delivered, with its positions.
    Batch(Batch),
    /// Nothing that can be sent again: why.
    Nothing(String),
}

impl Content {
    fn into_items(self) -> Vec<Item> {
        match self {
            Self::Records(items) => items,
            Self::Batch(batch) => batch
                .user_records()
                .map(|record| Item { key: record.partition_key.to_owned(), data: record.data.to_vec() })
                .collect(),
            Self::Nothing(_) => Vec::new(),
        }
    }
}

/// Where parcels go.
pub enum Target<S, L, H> {
    /// Nowhere: they are counted.
    Nowhere,
    /// Onto streams.
    Streams {
        /// One stream for all; else each record goes to the stream that it was on.
        to: Option<String>,
        /// Opens a stream by its name.
        open: S,
    },
    /// Batches, into the lake.
    Lake(Archiver<L, H>),
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Records that were sent, or would be: by what they were there for, and where they went.
    pub records: BTreeMap<String, u64>,
    /// Records that were in the lake already, of those that were to go there.
    pub known: u64,
    /// Parcels, or records of them, that cannot be sent again, by the reason.
    pub skipped: BTreeMap<String, u64>,
    /// Records that an earlier part of this replay had sent.
    pub sent_before: u64,
}

/// Sends the parcels of `parcels` that `notes` does not know as sent, `rate` records a second at most.
pub async fn replay<P, S, L, H>(
    parcels: &impl Parcels,
    target: &Target<S, L, H>,
    rate: f64,
    notes: &mut Notes,
    progress: &ProgressBar,
) -> Result<Report>
where
    P: PutRecords,
    S: Fn(&str) -> P,
    L: Lake,
    H: Heads,
{
    let mut report = Report { sent_before: notes.checkpoint().sent, ..Report::default() };
    progress.set_message("listing");
    let mut names = parcels.names().await?;
    names.retain(|name| notes.checkpoint().is_left(&name.order));
    progress.set_length(names.len() as u64);
    let mut pace = Pace::new(rate);
    let mut producers = HashMap::<String, Producer<P>>::new();
    for name in names {
        let stopped = || format!("stopped at {}; the same command goes on there", name.key);
        let parcel = parcels.open(&name).await.with_context(stopped)?;
        progress.set_message(parcel.label.clone());
        match (target, parcel.content) {
            (_, Content::Nothing(why)) => *report.skipped.entry(why).or_default() += 1,
            (Target::Nowhere, content) => {
                let items = sendable(content, &mut report);
                *report.records.entry(label(&parcel.label, &parcel.stream)).or_default() += items.len() as u64;
            }
            (Target::Lake(archiver), Content::Batch(batch)) => {
                pace.admit(batch.records.len()).await;
                let done = Box::pin(archiver.archive(&batch)).await;
                if let Some(stopped_at) = done.stopped {
                    return Err(stopped_at.error).with_context(stopped);
                }
                notes.sent(done.records as u64);
                report.known += done.known as u64;
                *report.records.entry(label(&parcel.label, "the lake")).or_default() += done.records as u64;
            }
            (Target::Lake(_), Content::Records(_)) => {
                bail!("only whole batches go into the lake, and {} is none", name.key)
            }
            (Target::Streams { to, open }, content) => {
                let stream = to.as_ref().unwrap_or(&parcel.stream);
                let producer =
                    producers.entry(stream.clone()).or_insert_with(|| Producer::new(open(stream), Limits::default()));
                let items = sendable(content, &mut report);
                let begin = notes.checkpoint().items_of(&name.order).min(items.len());
                for (index, stretch) in items[begin..].chunks(STRETCH.min(pace.burst())).enumerate() {
                    pace.admit(stretch.len()).await;
                    send(producer, stretch.to_vec())
                        .await
                        .with_context(|| format!("stream {stream}"))
                        .with_context(stopped)?;
                    notes.sent(stretch.len() as u64);
                    notes.partly(&name.order, begin + index * STRETCH.min(pace.burst()) + stretch.len())?;
                }
                *report.records.entry(label(&parcel.label, stream)).or_default() += (items.len() - begin) as u64;
            }
        }
        notes.wholly(&name.order)?;
        progress.inc(1);
    }
    Ok(report)
}

/// The records of a parcel that a stream takes; the others are counted in `report`.
fn sendable(content: Content, report: &mut Report) -> Vec<Item> {
    let (items, others): (Vec<Item>, Vec<Item>) =
        content.into_items().into_iter().partition(|item| (1..=KEY_CHARS_MAX).contains(&item.key.chars().count()));
    if !others.is_empty() {
        *report.skipped.entry(NO_KEY.to_owned()).or_default() += others.len() as u64;
    }
    items
}

fn label(what: &str, to: &str) -> String {
    format!("{what} → {to}")
}

/// Puts items until all are in. Those that were refused are put again, and no other.
async fn send<P: PutRecords>(producer: &Producer<P>, mut items: Vec<Item>) -> Result<()> {
    for attempt in 1.. {
        let Err(error) = producer.send(&items).await else { break };
        if attempt == TRIES || error.source.remedy == Remedy::GiveUp {
            return Err(error.into());
        }
        tracing::warn!(records = error.failed.len(), error = chain(&error), "some records are put again");
        items = error.failed.iter().map(|&index| items[index].clone()).collect();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

impl Report {
    /// The report as a text.
    pub fn to_text(&self, is_dry: bool) -> String {
        let mut lines = Vec::new();
        let total: u64 = self.records.values().sum();
        for (what, count) in &self.records {
            lines.push(format!("{count:>10}  {what}"));
        }
        for (why, count) in &self.skipped {
            lines.push(format!("{count:>10}  left alone: {why}"));
        }
        if self.known > 0 {
            lines.push(format!("{:>10}  in the lake before", self.known));
        }
        if self.sent_before > 0 {
            lines.push(format!("{:>10}  sent by an earlier part of this replay", self.sent_before));
        }
        lines.push(format!("{total} records {}.", if is_dry { "would be sent" } else { "were sent" }));
        lines.join("\n")
    }
}
