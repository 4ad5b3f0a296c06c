//! The aggregate of texts: how often which of them came, in bounded space.
//!
//! Up to [`MAX_TEXTS`] different texts are counted exactly. When there are more, a new one takes the place of the one
//! that came least often, and its count with it (Space-Saving: <https://doi.org/10.1007/978-3-540-30570-5_27>). A count may then be too high,
//! by at most its error, and never too low; a text that came more often than one time in 32 is always there.

use super::distinct::Distinct;
use super::read_count;
use crate::keyed::bytes::{CorruptedState, Reader, put_text, put_varint};
use std::collections::BTreeMap;

/// How many texts are counted.
pub const MAX_TEXTS: usize = 32;
/// How many of them a summary has.
pub const TOP: usize = 10;

/// What texts come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    count: u64,
    counts: BTreeMap<String, Count>,
    /// All texts, once there were more than are counted.
    distinct: Option<Distinct>,
}

/// How often a text came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    count: u64,
    /// By how much the count may be too high.
    error: u64,
}

/// Statistics of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextsSummary {
    /// How many readings.
    pub count: u64,
    /// How many different texts.
    pub distinct: u64,
    /// Whether `distinct` and all counts are exact. If not, the standard error of `distinct` is 3.25 %.
    pub exact: bool,
    /// The texts that came most often, at most [`TOP`]; at equal counts in their own order.
    pub top: Vec<CountedText>,
}

/// A text and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedText {
    /// The text.
    pub text: String,
    /// How often it came, at most.
    pub count: u64,
    /// By how much that may be too high.
    pub error: u64,
}

impl Texts {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn fold(&mut self, text: &str) {
        self.count += 1;
        if let Some(known) = self.counts.get_mut(text) {
            known.count += 1;
            return;
        }
        let mut error = 0;
        if self.counts.len() >= MAX_TEXTS {
            let mut distinct = self.all();
            distinct.add(text);
            self.distinct = Some(distinct);
            let least = self.counts.iter().min_by_key(|(_, known)| known.count);
            if let Some((least, known)) = least.map(|(text, known)| (text.clone(), *known)) {
                self.counts.remove(&least);
                error = known.count;
            }
        }
        self.counts.insert(text.to_owned(), Count { count: error + 1, error });
    }

    /// As in *Mergeable Summaries*, <https://doi.org/10.1145/2500128>: a text that one side does not count may have come there
    /// as often as the one that it counts least.
    pub(super) fn merge(&mut self, other: &Self) {
        let absent = [self.absent(), other.absent()];
        let both = (self.distinct.is_some() || other.distinct.is_some()).then(|| (self.all(), other.all()));
        let mut merged: BTreeMap<String, Count> = BTreeMap::new();
        for (text, known) in self.counts.iter().chain(&other.counts) {
            let sum = merged.entry(text.clone()).or_default();
            sum.count += known.count;
            sum.error += known.error;
        }
        for (text, sum) in &mut merged {
            for (side, absent) in [&*self, other].into_iter().zip(absent) {
                if !side.counts.contains_key(text) {
                    sum.count += absent;
                    sum.error += absent;
                }
            }
        }
        self.distinct = both.map(|(mut here, there)| {
            here.merge(&there);
            here
        });
        self.count += other.count;
        self.counts = merged;
        if self.counts.len() > MAX_TEXTS {
            self.distinct = Some(self.all());
            let kept: Vec<String> = self.by_count().take(MAX_TEXTS).map(|(text, _)| text.clone()).collect();
            self.counts.retain(|text, _| kept.contains(text));
        }
    }

    /// All texts, those that are not counted any more too.
    fn all(&self) -> Distinct {
        self.distinct.clone().unwrap_or_else(|| {
            let mut distinct = Distinct::default();
            self.counts.keys().for_each(|text| distinct.add(text));
            distinct
        })
    }

    /// How often a text that is not counted may have come.
    fn absent(&self) -> u64 {
        let least = self.counts.values().map(|known| known.count).min();
        least.filter(|_| self.distinct.is_some()).unwrap_or(0)
    }

    fn by_count(&self) -> impl Iterator<Item = (&String, &Count)> {
        let mut counts: Vec<_> = self.counts.iter().collect();
        // Stable, so the order of the texts decides among equal counts.
        counts.sort_by_key(|(_, known)| std::cmp::Reverse(known.count));
        counts.into_iter()
    }

    pub(super) fn summary(&self) -> Option<TextsSummary> {
        if self.count == 0 {
            return None;
        }
        let top = self.by_count().take(TOP);
        let counted = |(text, known): (&String, &Count)| CountedText {
            text: text.clone(),
            count: known.count,
            error: known.error,
        };
        Some(TextsSummary {
            count: self.count,
            distinct: self.distinct.as_ref().map_or(self.counts.len() as u64, Distinct::estimate),
            exact: self.distinct.is_none(),
            top: top.map(counted).collect(),
        })
    }

    /// Appends the bytes: `count(v) texts(v × (text count(v) error(v))) distinct(0 | 1 registers[1024])`.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        put_varint(out, self.counts.len() as u64);
        for (text, known) in &self.counts {
            put_text(out, text);
            put_varint(out, known.count);
            put_varint(out, known.error);
        }
        out.push(self.distinct.is_some().into());
        if let Some(distinct) = &self.distinct {
            distinct.encode_into(out);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let count = read_count(reader)?;
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        for _ in 0..reader.count(3)? {
            let text = reader.text()?;
            let known = Count { count: read_count(reader)?, error: read_count(reader)? };
            let is_ordered = counts.last_key_value().is_none_or(|(last, _)| last.as_str() < text);
            if !is_ordered || known.error >= known.count {
                return Err(CorruptedState("the counts of texts are not valid"));
            }
            counts.insert(text.to_owned(), known);
        }
        let distinct = reader.option(Distinct::decode)?;
        let counted: u64 = counts.values().map(|known| known.count).sum();
        let is_exact = counted == count && counts.values().all(|known| known.error == 0);
        let is_valid =
            if distinct.is_some() { counts.len() == MAX_TEXTS } else { counts.len() <= MAX_TEXTS && is_exact };
        if is_valid {
            Ok(Self { count, counts, distinct })
        } else {
            Err(CorruptedState("the counts of texts contradict"))
        }
    }
}
