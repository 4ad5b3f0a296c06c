//! Reads a part of the lake.

use super::parcel::{Content, Name, Parcel, Parcels};
use crate::selection::Selection;
use anyhow::{Context as _, Result};
use myaku::lake::archive::{Lake, ObjectKey, read_object};
use myaku::stream::producer::Item;

/// The records of a selection, one parcel for each object.
pub struct Stretch<L> {
    /// The lake.
    pub lake: L,
    /// Which of its records.
    pub selection: Selection,
}

impl<L: Lake> Parcels for Stretch<L> {
    async fn names(&self) -> Result<Vec<Name>> {
        let objects = self.selection.objects(&self.lake).await?;
        // Keys sort by hour, shard and position.
        Ok(objects.iter().map(ToString::to_string).map(|key| Name { order: key.clone(), key }).collect())
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let key: ObjectKey = name.key.parse()?;
        let (_, mut records) =
            read_object(&self.lake, &key).await.with_context(|| format!("cannot read {} of the lake", name.key))?;
        records.retain(|record| self.selection.has(record));
        let items = records.into_iter().map(|record| Item { key: record.partition_key, data: record.data });
        let content = Content::Records(items.collect());
        Ok(Parcel { label: key.of.shard, stream: key.of.stream, content })
    }
}
