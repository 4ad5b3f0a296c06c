//! A batch's user records, read as far as that goes without knowing any device.

use myaku::device::decoding::Content;
use myaku::stream::batch::{Batch, UserRecord};

/// One user record, read.
pub(crate) struct Taken<'a> {
    /// The index of the Kinesis record that it came in.
    pub(crate) record: usize,
    /// As it was sent.
    pub(crate) source: UserRecord<'a>,
    /// What it is.
    pub(crate) content: Content<'a>,
}

/// All user records of a batch, in the stream's order.
pub(crate) struct Intake<'a>(Vec<Taken<'a>>);

impl<'a> Intake<'a> {
    /// Reads all of `batch`. Nothing in it can fail this.
    pub(crate) fn parse(batch: &'a Batch) -> Self {
        let taken = batch.user_records().map(|source| {
            let content = Content::of(&source);
            Taken { record: source.record as usize, source, content }
        });
        Self(taken.collect())
    }

    /// The ids of the devices and sources that must be known.
    pub(crate) fn devices(&self) -> Vec<&str> {
        self.0.iter().filter_map(|taken| taken.content.device_id()).collect()
    }

    /// What each record is.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Content<'a>> {
        self.0.iter().map(|taken| &taken.content)
    }

    /// The records in stretches of some `size`. A Kinesis record is never cut, since an answer can only name a whole one.
    pub(crate) fn stretches(&self, size: usize) -> impl Iterator<Item = &[Taken<'a>]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let last = rest.get(..size.min(rest.len()))?.last()?.record;
            let (stretch, behind) = rest.split_at(rest.partition_point(|taken| taken.record <= last));
            rest = behind;
            Some(stretch)
        })
    }
}
