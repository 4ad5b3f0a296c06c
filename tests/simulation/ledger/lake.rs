//! The model of the lake: it must hold every record of `ingest` once.

use super::Checked;
use crate::invariants::{Invariant, Violation};
use myaku::lake::archive::{self, Extent, Head, Hour, ObjectKey, ShardHour, Slot, Stored};
use myaku::stream::batch::{Batch, Position, UserRecord};
use std::collections::BTreeMap;

/// The records of the stream and the objects of the lake, by shard and hour.
#[derive(Default)]
pub(crate) struct LakeModel {
    records: BTreeMap<ShardHour, Vec<(Position, Vec<u8>)>>,
    objects: BTreeMap<ShardHour, Vec<(Slot, Extent)>>,
}

fn of(stream: &str, shard: &str, hour: Hour) -> ShardHour {
    ShardHour { stream: stream.to_owned(), hour, shard: shard.to_owned() }
}

impl LakeModel {
    /// A record was put on the stream.
    pub(crate) fn arrived(&mut self, stream: &str, shard: &str, record: &UserRecord<'_>) {
        let records = self.records.entry(of(stream, shard, Hour::of(record.arrived_ms))).or_default();
        records.push((record.position(), record.data.to_vec()));
    }

    /// An object was put.
    pub(crate) fn object(&mut self, key: &str, stored: &Stored) -> Checked {
        // The note of the stream's format is among the objects.
        let Ok(key) = key.parse::<ObjectKey>() else { return Ok(()) };
        let wrong = |invariant, what: &str| Err(Violation::new(invariant, format!("{what}: {key}")));
        let extent = match Extent::from_metadata(&stored.metadata, &key.slot) {
            Ok(extent) if key.slot.contains(extent.first) && key.slot.contains(extent.last) => extent,
            Ok(_) => return wrong(Invariant::OneSlotOneObject, "an object is outside its slot"),
            Err(problem) => return wrong(Invariant::OneSlotOneObject, &problem),
        };
        let records = self
            .records
            .get(&key.of)
            .map_or(0, |records| records.iter().filter(|(position, _)| extent.covers(*position)).count() as u64);
        if records != extent.count {
            let what = format!("an object has {} records, but the stream has {records}", extent.count);
            return wrong(Invariant::AnObjectIsContiguous, &what);
        }
        let objects = self.objects.entry(key.of.clone()).or_default();
        let other = objects.iter().find(|(_, other)| extent.first <= other.last && other.first <= extent.last);
        if let Some((slot, _)) = other {
            return wrong(Invariant::OneSlotOneObject, &format!("an object overlaps the object in {slot}"));
        }
        objects.push((key.slot, extent));
        Ok(())
    }

    /// A head was moved.
    pub(crate) fn head(&self, stream: &str, shard: &str, head: Head) -> Checked {
        let objects = self.objects.get(&of(stream, shard, head.hour));
        let mut ends = objects.into_iter().flatten().filter(|(slot, _)| slot.is_open_ended());
        if ends.any(|(_, extent)| extent.last == head.last) {
            return Ok(());
        }
        Err(Violation::new(Invariant::AHeadIsAnOpenEnd, format!("the head of {shard} is {head}")))
    }

    /// The first `records` records of a batch were acknowledged.
    pub(crate) fn acknowledged(&self, batch: &Batch, records: usize) -> Checked {
        for record in batch.user_records().take_while(|record| (record.record as usize) < records) {
            let objects = self.objects.get(&of(&batch.stream, &batch.shard, Hour::of(record.arrived_ms)));
            if !objects.into_iter().flatten().any(|(_, extent)| extent.covers(record.position())) {
                let what = format!("{:?} of {} is in no object", record.position(), batch.shard);
                return Err(Violation::new(Invariant::ArchivedBeforeAcknowledged, what));
            }
        }
        Ok(())
    }

    /// Checks the lake after everything is processed.
    pub(crate) fn settled(&self, objects: &BTreeMap<String, Stored>) -> Checked {
        let wrong = |what: String| Err(Violation::new(Invariant::OnceInTheLake, what));
        let mut archived = BTreeMap::<ShardHour, Vec<(Position, Vec<u8>)>>::new();
        for (key, stored) in objects {
            let Ok(key) = key.parse::<ObjectKey>() else { continue };
            let records = match archive::read(&key, stored) {
                Ok((_, records)) => records,
                Err(error) => return wrong(myaku::platform::errors::chain(&error)),
            };
            let records = records.into_iter().map(|record| (record.position, record.data));
            archived.entry(key.of).or_default().extend(records);
        }
        for (of, expected) in &self.records {
            let mut found = archived.remove(of).unwrap_or_default();
            found.sort();
            if found != *expected {
                let [found, expected] = [&found, expected].map(|list| list.iter().map(|(position, _)| *position));
                let (found, expected): (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
                return wrong(format!("{of:?} holds {found:?}, but {expected:?} were sent"));
            }
        }
        if archived.is_empty() {
            Ok(())
        } else {
            wrong(format!("the lake has records that were never sent, in {:?}", archived.keys()))
        }
    }
}
