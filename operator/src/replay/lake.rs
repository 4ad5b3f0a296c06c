//! A stretch of the lake.

use super::{Content, Name, Parcel, Parcels};
use crate::selection::Selection;
use anyhow::{Context as _, Result};
use myaku::lake::archive::{Lake, ObjectKey, read_object};
use myaku::stream::producer::Item;

/// The records of a selection.
pub struct Stretch<L> {
    /// The lake.
    pub lake: L,
    /// Which of its records.
    pub selection: Selection,
}

impl<L: Lake> Parcels for Stretch<L> {
    async fn names(&self) -> Result<Vec<Name>> {
        let objects = self.selection.objects(&self.lake).await?;
        // The order of keys is that of hours, shards and positions.
        Ok(objects.iter().map(ToString::to_string).map(|key| Name { order: key.clone(), key }).collect())
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let key: ObjectKey = name.key.parse()?;
        let (_, mut records) = read_object(&self.lake, &key).await.context("the lake cannot be read")?;
        records.retain(|record| self.selection.has(record));
        let items = records.into_iter().map(|record| Item { key: record.partition_key, data: record.data });
        let content = Content::Records(items.collect());
        Ok(Parcel { label: key.of.shard, stream: key.of.stream, content })
    }
}
