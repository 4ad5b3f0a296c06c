//! One device's part of a batch: what its readings come to, and how that is settled with the result rows that are stored.
//!
//! A row replaces the row that the loaded state knows of, which is the usual case. Another row may be stored instead.
//! It belongs to a later invocation, and stays. Or it was written by an earlier try of this batch, and is replaced. Or it
//! shows that the state has lost its memory since: then the results are computed again, flagged as partial.

use super::input::NumberRecord;
use super::rule::{Advance, Change, Incoming, Loss, Origin, Rule, State as _};
use super::states::Loaded;
use crate::results::{Item, Row, StoredRow, Write, Written};
use crate::stream::batch::Position;
use std::collections::BTreeMap;

/// The longest that an invocation of Lambda lives, in milliseconds. A row that is older was not written by an invocation
/// that still runs.
const INVOCATION_MS_MAX: i64 = 15 * 60 * 1_000;

/// The position and the revision that a row may replace.
type ExpectedRow = (Option<Position>, u64);

/// One device's part of a batch.
pub(super) struct DeviceUpdate<'a, R: Rule> {
    device_id: &'a str,
    numbers: &'a [&'a NumberRecord<'a>],
    settings: &'a R::Settings,
    origin: Origin<'a>,
    loaded: &'a Loaded<R::State>,
    losses: BTreeMap<String, Loss>,
    advance: Advance<R::State>,
    /// For each change, what its row may replace when it is written next; `None` for a row that is settled.
    unsettled: Vec<Option<ExpectedRow>>,
}

impl<'a, R: Rule> DeviceUpdate<'a, R> {
    /// The update of `device_id` by its `numbers`, computed from `loaded`.
    pub(super) fn new(
        device_id: &'a str,
        numbers: &'a [&'a NumberRecord<'a>],
        settings: &'a R::Settings,
        origin: Origin<'a>,
        loaded: &'a Loaded<R::State>,
    ) -> Self {
        let losses = BTreeMap::new();
        let advance = compute::<R>(numbers, settings, origin, loaded, &losses);
        let unsettled = advance.changes.iter().map(|change| Some(loaded_row(loaded, origin, change))).collect();
        Self { device_id, numbers, settings, origin, loaded, losses, advance, unsettled }
    }

    /// What the readings come to.
    pub(super) const fn advance(&self) -> &Advance<R::State> {
        &self.advance
    }

    /// The device.
    pub(super) const fn device_id(&self) -> &'a str {
        self.device_id
    }

    /// What was loaded.
    pub(super) const fn loaded(&self) -> &'a Loaded<R::State> {
        self.loaded
    }

    /// Whether there is a new state to commit.
    pub(super) fn is_changed(&self) -> bool {
        self.loaded.state.as_ref() != Some(&self.advance.state)
    }

    /// How many of its metrics were found to have lost readings.
    pub(super) fn losses(&self) -> usize {
        self.losses.len()
    }

    /// The rows that are still to be written.
    pub(super) fn writes(&self, now_ms: i64, history_ttl_ms: i64) -> impl Iterator<Item = Write> {
        let unsettled = self.advance.changes.iter().zip(&self.unsettled);
        let unsettled = unsettled.filter_map(|(change, expected)| Some((change, (*expected)?)));
        unsettled.map(move |(change, (over, revision))| {
            let row = self.row(change, now_ms, history_ttl_ms);
            Write { row, over, revision }
        })
    }

    /// Settles what became of [`Self::writes`]. Returns whether a loss was found, and the results computed again.
    pub(super) fn settle(&mut self, writes: &[Write], outcomes: &[Written]) -> bool {
        let mut found_loss = false;
        let mut stored: Vec<(usize, ExpectedRow)> = Vec::new();
        let written: Vec<usize> = (0..self.unsettled.len()).filter(|index| self.unsettled[*index].is_some()).collect();
        for (index, (Write { row, .. }, outcome)) in written.into_iter().zip(writes.iter().zip(outcomes)) {
            match outcome {
                Written::Stored => {
                    self.unsettled[index] = None;
                    stored.push((index, (Some(row.position), row.revision)));
                }
                Written::Kept(there) => {
                    // An earlier try of the same record found a loss, and failed to commit.
                    let found_before = there.partial && there.revision > row.revision;
                    if found_before || self.is_behind(row.item.metric(), there, row) {
                        found_loss |= self.note_loss(row.item.metric(), there);
                    }
                    // A partial row of the same record gives way to a whole one, and a row from a state that lost the
                    // race for its commit gives way to one that counts more.
                    let counts_more = row.revision > there.revision || there.partial && !row.partial;
                    let gives_way = there.position == row.position && counts_more;
                    if there.position < row.position || gives_way {
                        self.unsettled[index] = Some((Some(there.position), there.revision));
                    } else {
                        // A row of an earlier try, whose state knew no more than this one, is written again if a further
                        // loss is found.
                        if there.position == row.position && there.base <= self.seen() {
                            stored.push((index, (Some(there.position), there.revision)));
                        }
                        self.unsettled[index] = None;
                    }
                }
            }
        }
        if found_loss {
            self.compute_again(stored);
        }
        found_loss
    }

    /// Computes everything again, now that more is known to be lost. `stored` are the rows that were written before.
    fn compute_again(&mut self, stored: Vec<(usize, ExpectedRow)>) {
        let advance = compute::<R>(self.numbers, self.settings, self.origin, self.loaded, &self.losses);
        let before = std::mem::replace(&mut self.advance, advance).changes;
        // Rows that were written before the loss was known replace themselves.
        for (index, expected) in stored {
            if self.losses.contains_key(&before[index].metric) {
                self.unsettled[index] = Some(expected);
            }
        }
        let unsettled = self.advance.changes.iter().map(|change| {
            let same = |row: &Change| row.metric == change.metric && row.interval_ms == change.interval_ms;
            match before.iter().position(same) {
                Some(index) => self.unsettled[index],
                // What was lost was newer: the rows of history that it had closed are due now.
                None => Some(loaded_row(self.loaded, self.origin, change)),
            }
        });
        self.unsettled = unsettled.collect();
    }

    /// The highest position that the loaded state has processed.
    fn seen(&self) -> Option<Position> {
        seen(self.loaded, self.origin)
    }

    /// Notes that a metric has lost what a row was computed from. Returns whether more is lost than was known.
    fn note_loss(&mut self, metric: &str, there: &StoredRow) -> bool {
        let at = there.lost_until.map_or(there.at, |until| until.max(there.at));
        let loss = Loss { at, revision: there.revision, position: there.position };
        match self.losses.get_mut(metric) {
            None => {
                self.losses.insert(metric.to_owned(), loss);
                true
            }
            Some(known) => {
                let before = *known;
                known.at = known.at.max(loss.at);
                known.revision = known.revision.max(loss.revision);
                known.position = known.position.max(loss.position);
                before != *known
            }
        }
    }

    /// Whether the state has lost what this row was computed from. There are three signs of it:
    ///
    /// - the state behind the row had processed more than this one;
    /// - this state has not seen the row's own record, and that record is not delivered again, or changes the metric fewer
    ///   times than it did;
    /// - the device has advanced since by other metrics, and the revision of this metric is behind.
    ///
    /// After a reshard a device can be in two shards for a moment. A fresh row of the other shard is then a race, whose
    /// loser is delivered again, and not a loss.
    fn is_behind(&self, metric: &str, there: &StoredRow, row: &Row) -> bool {
        let seen = self.seen();
        let unseen = seen < Some(there.position) || revision(self.loaded, metric) < there.revision;
        let races = there.shard != self.origin.shard && is_fresh(there, row);
        seen < there.base || (unseen && !races && !self.is_delivered_again(metric, there, row))
    }

    /// Whether this batch brings a row's record again, with as many changes of the metric as it had then, or what follows
    /// the batch will.
    fn is_delivered_again(&self, metric: &str, there: &StoredRow, row: &Row) -> bool {
        let position = |number: &NumberRecord<'_>| number.source.position();
        if let Some(index) = self.numbers.iter().rposition(|number| position(number) == there.position) {
            return self.revision_after(metric, index) >= there.revision;
        }
        if Some(there.position) > self.numbers.last().map(|number| position(number)) || there.position == row.position {
            return true;
        }
        // A record that landed in a sibling shard is written at the position that the device had reached. That is higher
        // now if the device's own shard went on since the earlier try.
        let was_misrouted = there.base == Some(there.position) && there.shard == self.origin.shard;
        was_misrouted && self.seen() == Some(row.position) && is_fresh(there, row)
    }

    /// The revision of a metric after the reading at `index`.
    fn revision_after(&self, metric: &str, index: usize) -> u64 {
        let numbers = &self.numbers[..=index];
        compute::<R>(numbers, self.settings, self.origin, self.loaded, &self.losses).state.revision(metric)
    }

    fn row(&self, change: &Change, now_ms: i64, history_ttl_ms: i64) -> Row {
        let reading = &self.numbers[change.index].reading;
        Row {
            device_id: self.device_id.to_owned(),
            item: match change.interval_ms {
                None => Item::Latest { metric: change.metric.clone() },
                Some(from_ms) => Item::History { metric: change.metric.clone(), from_ms },
            },
            facility: reading.facility.clone().into_owned(),
            unit: reading.unit.clone().into_owned(),
            value: change.value,
            at: change.at,
            average: change.average,
            partial: change.partial,
            lost_until: change.lost_until,
            revision: change.revision,
            stream: self.origin.stream.to_owned(),
            shard: self.origin.shard.to_owned(),
            position: change.position,
            base: change.base,
            received_at: reading.received_at,
            updated_at: now_ms,
            // Counted from its own time, so that writing it again writes the same.
            expires_at: change.interval_ms.map(|from_ms| from_ms.saturating_add(history_ttl_ms) / 1_000),
        }
    }
}

/// Whether a row may be of an invocation that still runs.
fn is_fresh(there: &StoredRow, row: &Row) -> bool {
    row.updated_at.saturating_sub(there.updated_at) <= INVOCATION_MS_MAX
}

/// The highest position that the loaded state has processed.
fn seen<S: super::State>(loaded: &Loaded<S>, origin: Origin<'_>) -> Option<Position> {
    loaded.state.as_ref().and_then(|state| state.position(origin.stream))
}

/// In the usual case the stored row is the one that the loaded state was committed with.
fn loaded_row<S: super::State>(loaded: &Loaded<S>, origin: Origin<'_>, change: &Change) -> ExpectedRow {
    (seen(loaded, origin), revision(loaded, &change.metric))
}

/// The revision of a metric in what was loaded.
fn revision<S: super::State>(loaded: &Loaded<S>, metric: &str) -> u64 {
    loaded.state.as_ref().map_or(0, |state| state.revision(metric))
}

fn compute<R: Rule>(
    numbers: &[&NumberRecord<'_>],
    settings: &R::Settings,
    origin: Origin<'_>,
    loaded: &Loaded<R::State>,
    losses: &BTreeMap<String, Loss>,
) -> Advance<R::State> {
    let incoming: Vec<_> = numbers
        .iter()
        .enumerate()
        .map(|(index, number)| Incoming {
            position: number.source.position(),
            metric: &number.reading.metric,
            id: number.id,
            at: number.reading.at,
            value: number.value,
            index,
        })
        .collect();
    R::advance(settings, loaded.state.as_ref(), origin, &incoming, losses)
}
