//! Sends records again: dead letters, failed batches, messages that the IoT rule could not deliver, a part of the lake.
//!
//! Each record is sent with the same bytes and the same partition key as the first time. The identity of a message is
//! in its bytes, so a message counts once, however often it is sent again. The lake holds what the stream holds, so it
//! archives what is sent again as new records. A batch that the archiver itself gave up is the one exception. Its
//! records are not in the lake, and go there as a whole batch, with their own positions ([`Target::Lake`]).
//!
//! A replay sends parcels in a fixed order, and notes its progress after each call that the stream accepted. After a
//! crash it resumes from the last note. It sends again what it had sent after that note, which changes no result.

mod batches;
mod checkpoint;
mod lake;
mod letters;
mod pace;
mod parcel;
mod rule_errors;

#[cfg(test)]
mod tests;

pub use batches::Batches;
pub use checkpoint::{Checkpoint, Notes};
pub use lake::Stretch;
pub use letters::Letters;
pub use parcel::{Content, Name, Parcel, Parcels};
pub use rule_errors::RuleErrors;

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use myaku::lake::archive::{Archiver, Heads, Lake};
use myaku::platform::errors::{Remedy, chain};
use myaku::stream::kpl::KEY_CHARS_MAX;
use myaku::stream::producer::{Item, Limits, Placement, Producer, PutRecords};
use pace::Pace;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The most records of one call to a stream.
const CALL_RECORDS: usize = 500;
/// How often a call is tried, each time for as long as the producer itself keeps trying.
const TRIES: u32 = 12;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Why a record is skipped that would otherwise stop the replay for good.
const UNUSABLE_KEY: &str = "its partition key is empty or too long for a stream";

/// The target of a replay.
pub enum Target<S, L, H> {
    /// Nothing is sent: the records are counted.
    Nowhere,
    /// The records go onto streams.
    Streams {
        /// The stream for all records; if `None`, each record goes to the stream that it was on.
        to: Option<String>,
        /// Opens a stream by its name.
        open: S,
    },
    /// Batches go into the lake.
    Lake(Archiver<L, H>),
}

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Records that were sent, or would be sent, by their parcel's label and where they went.
    pub records: BTreeMap<String, u64>,
    /// Records that were to go into the lake and were there already.
    pub known: u64,
    /// Parcels, or records of them, that cannot be sent again, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Records that an earlier run of this replay sent.
    pub sent_before: u64,
}

/// Sends the parcels that `notes` does not record as sent, at most `rate` records a second.
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
    progress.set_message("listing what to send");
    let mut names = parcels.names().await?;
    names.retain(|name| notes.checkpoint().is_left(&name.order));
    progress.set_length(names.len() as u64);
    let mut pace = Pace::new(rate);
    let mut producers = HashMap::<String, Producer<P>>::new();
    for name in names {
        let stopped = || format!("the replay stopped at {}; run the same command to resume there", name.key);
        let parcel = parcels.open(&name).await.with_context(stopped)?;
        progress.set_message(parcel.label.clone());
        match (target, parcel.content) {
            (_, Content::Unsendable(why)) => *report.skipped.entry(why).or_default() += 1,
            (Target::Nowhere, content) => {
                let items = sendable(content, &mut report);
                *report.records.entry(label(&parcel.label, &parcel.stream)).or_default() += items.len() as u64;
            }
            (Target::Lake(archiver), Content::Batch(batch)) => {
                pace.admit(batch.records.len()).await;
                let outcome = Box::pin(archiver.archive(&batch)).await;
                if let Some(stopped_at) = outcome.stopped {
                    return Err(stopped_at.error).with_context(stopped);
                }
                notes.sent(outcome.records as u64);
                report.known += outcome.known as u64;
                *report.records.entry(label(&parcel.label, "the lake")).or_default() += outcome.records as u64;
            }
            (Target::Lake(_), Content::Records(_)) => {
                bail!("{} is not a batch: only whole batches can go into the lake; replay it onto a stream", name.key)
            }
            (Target::Streams { to, open }, content) => {
                let stream = to.as_ref().unwrap_or(&parcel.stream);
                // Readings must be put per slot, or a device could be in two shards. Messages may be: nothing depends on the
                // shard that a message is in.
                let producer = producers
                    .entry(stream.clone())
                    .or_insert_with(|| Producer::new(open(stream), Placement::Slots, Limits::default()));
                let items = sendable(content, &mut report);
                let begin = notes.checkpoint().items_of(&name.order).min(items.len());
                let mut sent = begin;
                for records in items[begin..].chunks(CALL_RECORDS.min(pace.burst())) {
                    pace.admit(records.len()).await;
                    send(producer, records.to_vec())
                        .await
                        .with_context(|| format!("cannot put records onto the stream {stream}"))
                        .with_context(stopped)?;
                    sent += records.len();
                    notes.sent(records.len() as u64);
                    notes.partly(&name.order, sent)?;
                }
                *report.records.entry(label(&parcel.label, stream)).or_default() += (items.len() - begin) as u64;
            }
        }
        notes.wholly(&name.order)?;
        progress.inc(1);
    }
    Ok(report)
}

/// Returns the records of a parcel that a stream accepts, and counts the others in `report`.
fn sendable(content: Content, report: &mut Report) -> Vec<Item> {
    let (items, unusable): (Vec<Item>, Vec<Item>) =
        content.into_items().into_iter().partition(|item| (1..=KEY_CHARS_MAX).contains(&item.key.chars().count()));
    if !unusable.is_empty() {
        *report.skipped.entry(UNUSABLE_KEY.to_owned()).or_default() += unusable.len() as u64;
    }
    items
}

fn label(what: &str, to: &str) -> String {
    format!("{what} → {to}")
}

/// Puts items until the stream has all of them. Only those that it refused are put again.
async fn send<P: PutRecords>(producer: &Producer<P>, mut items: Vec<Item>) -> Result<()> {
    for attempt in 1.. {
        let Err(error) = producer.send(&items).await else { break };
        if attempt == TRIES || error.source.remedy == Remedy::GiveUp {
            return Err(error.into());
        }
        tracing::warn!(
            records = error.failed.len(),
            error = chain(&error),
            "the stream refused some records; they are put again"
        );
        items = error.failed.iter().map(|&index| items[index].clone()).collect();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

impl Report {
    /// Returns the report as text.
    pub fn to_text(&self, is_dry: bool) -> String {
        let mut lines = Vec::new();
        let total: u64 = self.records.values().sum();
        for (what, count) in &self.records {
            lines.push(format!("{count:>10}  {what}"));
        }
        for (why, count) in &self.skipped {
            lines.push(format!("{count:>10}  skipped: {why}"));
        }
        if self.known > 0 {
            lines.push(format!("{:>10}  in the lake already", self.known));
        }
        if self.sent_before > 0 {
            lines.push(format!("{:>10}  sent by an earlier run of this replay", self.sent_before));
        }
        lines.push(format!("{total} records {}.", if is_dry { "would be sent" } else { "were sent" }));
        lines.join("\n")
    }
}
