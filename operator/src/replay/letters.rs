//! Dead letters, by reason and time. Several letters of one record send it once.

use super::{Content, Name, Parcel, Parcels};
use anyhow::{Context as _, Result};
use myaku::lake::archive::{Hour, Lake};
use myaku::lake::dead_letter::{self, DeadLetter, LetterKey, Reason};
use myaku::stream::producer::Item;
use std::collections::BTreeMap;
use std::ops::Range;

/// The letters of a bucket.
pub struct Letters<B> {
    /// The bucket's objects.
    pub bucket: B,
    /// Why they are there; all reasons where it is empty.
    pub reasons: Vec<Reason>,
    /// When their records arrived, in milliseconds since the epoch.
    pub arrived_ms: Range<i64>,
}

impl<B: Lake> Parcels for Letters<B> {
    async fn names(&self) -> Result<Vec<Name>> {
        let hours = Hour::of(self.arrived_ms.start)..=Hour::of(self.arrived_ms.end - 1);
        let mut names = BTreeMap::new();
        for reason in Reason::ALL {
            if !self.reasons.is_empty() && !self.reasons.contains(&reason) {
                continue;
            }
            let prefix = format!("{}reason={reason}/", dead_letter::PREFIX);
            for key in self.bucket.list(&prefix).await.context("the dead letters cannot be listed")? {
                let Some(letter) = LetterKey::parse(&key).filter(|letter| hours.contains(&letter.hour)) else {
                    continue;
                };
                let LetterKey { stream, hour, shard, position, .. } = letter;
                names.entry(format!("{hour}/{stream}/{shard}/{position}")).or_insert(key);
            }
        }
        Ok(names.into_iter().map(|(order, key)| Name { order, key }).collect())
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let stored = self.bucket.get(&name.key).await.context("a dead letter cannot be fetched")?;
        let nothing = |why: &str| Parcel {
            label: "a dead letter".to_owned(),
            stream: String::new(),
            content: Content::Nothing(why.to_owned()),
        };
        let Some(stored) = stored else { return Ok(nothing("it has expired since it was listed")) };
        let Ok(letter) = DeadLetter::from_json(&stored.body) else { return Ok(nothing("it is no dead letter")) };
        let content = if self.arrived_ms.contains(&letter.arrived_ms) {
            Content::Records(vec![Item { key: letter.partition_key, data: letter.data }])
        } else {
            Content::Nothing("its record arrived at another time".to_owned())
        };
        Ok(Parcel { label: letter.reason.name().to_owned(), stream: letter.stream, content })
    }
}
