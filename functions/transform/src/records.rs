//! Parses the user records of a batch, as far as possible before the devices are known.

use myaku::device::decoding::Content;
use myaku::stream::batch::{Batch, UserRecord};

/// One user record, parsed.
pub(crate) struct ParsedRecord<'a> {
    /// The index of the Kinesis record that it came in.
    pub(crate) record: usize,
    /// As it was sent.
    pub(crate) source: UserRecord<'a>,
    /// What it contains.
    pub(crate) content: Content<'a>,
}

/// All user records of a batch, in the stream's order.
pub(crate) struct ParsedRecords<'a>(Vec<ParsedRecord<'a>>);

impl<'a> ParsedRecords<'a> {
    /// Parses all of `batch`. Never fails: a record that is not a message says so in its content.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let records = batch.user_records().map(|source| {
            let content = Content::of(&source);
            ParsedRecord { record: source.record as usize, source, content }
        });
        Self(records.collect())
    }

    /// The ids of the devices and sources to resolve.
    pub(crate) fn devices(&self) -> Vec<&str> {
        self.0.iter().filter_map(|parsed| parsed.content.device_id()).collect()
    }

    /// What each record contains.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Content<'a>> {
        self.0.iter().map(|parsed| &parsed.content)
    }

    /// The records in chunks of at least `size`. A chunk never cuts a Kinesis record, because an answer can only name a
    /// whole one.
    pub(crate) fn chunks(&self, size: usize) -> impl Iterator<Item = &[ParsedRecord<'a>]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let last = rest.get(..size.min(rest.len()))?.last()?.record;
            let (chunk, after) = rest.split_at(rest.partition_point(|parsed| parsed.record <= last));
            rest = after;
            Some(chunk)
        })
    }
}
