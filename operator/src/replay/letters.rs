//! Reads dead letters by reason and time. A record with several letters, as earlier versions wrote them, is sent once.

use super::parcel::{Content, Name, Parcel, Parcels};
use anyhow::{Context as _, Result};
use myaku::lake::archive::{Hour, Lake};
use myaku::lake::dead_letter::{self, DeadLetter, LetterKey, Reason};
use myaku::stream::kpl;
use myaku::stream::producer::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The dead letters of a bucket.
pub struct Letters<B> {
    /// The bucket's objects.
    pub bucket: B,
    /// Only letters with these reasons; with any reason if empty.
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
            for key in self
                .bucket
                .list(&prefix)
                .await
                .with_context(|| format!("cannot list the dead letters under {prefix}"))?
            {
                let Some(letter) = LetterKey::parse(&key).filter(|letter| hours.contains(&letter.hour)) else {
                    continue;
                };
                let LetterKey { stream, hour, shard, position, .. } = letter;
                // A record that was set aside has a letter with all of its user records, at the position of the first one,
                // which may have a letter of its own.
                let set_aside = if reason == Reason::Crashed { "/whole" } else { "" };
                names.entry(format!("{hour}/{stream}/{shard}/{position}{set_aside}")).or_insert(key);
            }
        }
        Ok(names.into_iter().map(|(order, key)| Name { order, key }).collect())
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let stored =
            self.bucket.get(&name.key).await.with_context(|| format!("cannot fetch the dead letter {}", name.key))?;
        let unsendable = |why: &str| Parcel {
            label: "a dead letter".to_owned(),
            stream: String::new(),
            content: Content::Unsendable(why.to_owned()),
        };
        let Some(stored) = stored else { return Ok(unsendable("it expired after it was listed")) };
        let Ok(letter) = DeadLetter::from_json(&stored.body) else { return Ok(unsendable("not a dead letter")) };
        let (label, stream) = (letter.reason.name().to_owned(), letter.stream.clone());
        let content = if self.arrived_ms.contains(&letter.arrived_ms) {
            Content::Records(records(letter))
        } else {
            Content::Unsendable("its record arrived outside the range of time".to_owned())
        };
        Ok(Parcel { label, stream, content })
    }
}

/// The user records that a letter is about: those that it lists. If it lists none or not all, all from its position on.
fn records(letter: DeadLetter) -> Vec<Item> {
    match kpl::decode(&letter.data).filter(|_| letter.is_whole) {
        Some(aggregate) => {
            let listed: BTreeSet<u32> = letter.failures.iter().filter_map(|failure| failure.sub).collect();
            let lists_all = letter.unlisted == 0 && !listed.is_empty();
            let records = (0..).zip(aggregate.records()).skip(letter.position.sub as usize);
            let records = records.filter(|(sub, _)| !lists_all || listed.contains(sub));
            records.map(|(_, (key, _, data))| Item { key: key.to_owned(), data: data.to_vec() }).collect()
        }
        None => vec![Item { key: letter.partition_key, data: letter.data }],
    }
}
