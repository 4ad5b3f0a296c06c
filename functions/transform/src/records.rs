//! Parses the user records of a batch, as far as possible before the devices are known.

use myaku::device::decoding::Content;
use myaku::stream::batch::UserRecord;

/// One user record, parsed.
pub(crate) struct ParsedRecord<'a> {
    /// As it was sent.
    pub(crate) source: UserRecord<'a>,
    /// What it contains.
    pub(crate) content: Content<'a>,
}

impl<'a> ParsedRecord<'a> {
    /// Parses a record. Never fails: a record that is not a message says so in its content.
    pub(crate) fn of(source: UserRecord<'a>) -> Self {
        Self { content: Content::of(&source), source }
    }

    /// The index of the Kinesis record that it came in.
    pub(crate) const fn record(&self) -> usize {
        self.source.record as usize
    }
}
