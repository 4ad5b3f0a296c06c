//! One device's part of a batch: what its readings come to, and how that is settled with the rows that are there.
//!
//! A row is written over what the state has seen, which passes in the usual case. What stands there otherwise is
//! either somebody newer's, and stays; or of an earlier try of this batch, and is written over; or it tells that the
//! state has lost its memory since: then the results are computed again, flagged as partial.

use crate::intake::Taken;
use crate::windows::MetricWindows;
use myaku::results::{Item, Row, StoredRow, Write, Written};
use myaku::stream::batch::Position;
use myaku::window::state::Loaded;
use myaku::window::{Advance, Change, Incoming, Loss, Origin, Series, advance};
use std::collections::BTreeMap;

/// The longest that an invocation of Lambda lives, in milliseconds: what is older does not race with this one.
const INVOCATION_MS_MAX: i64 = 15 * 60 * 1_000;

/// Over which position and revision a row is to be written.
type Over = (Option<Position>, u64);

/// One device's part of a batch.
pub(crate) struct Part<'a, W> {
    device_id: &'a str,
    taken: &'a [&'a Taken<'a>],
    windows: &'a W,
    origin: Origin<'a>,
    loaded: &'a Loaded,
    losses: BTreeMap<String, Loss>,
    advance: Advance,
    /// Of each change, over what its row is to be written next; `None` for a row that is settled.
    open: Vec<Option<Over>>,
}

impl<'a, W: MetricWindows> Part<'a, W> {
    /// The part of `device_id`, advanced from `loaded`.
    pub(crate) fn new(
        device_id: &'a str,
        taken: &'a [&'a Taken<'a>],
        windows: &'a W,
        origin: Origin<'a>,
        loaded: &'a Loaded,
    ) -> Self {
        let losses = BTreeMap::new();
        let advance = compute(taken, windows, origin, loaded, &losses);
        let open = advance.changes.iter().map(|change| Some(over_loaded(loaded, origin, change))).collect();
        Self { device_id, taken, windows, origin, loaded, losses, advance, open }
    }

    /// What the readings come to.
    pub(crate) const fn advance(&self) -> &Advance {
        &self.advance
    }

    /// The device.
    pub(crate) const fn device_id(&self) -> &'a str {
        self.device_id
    }

    /// What was loaded.
    pub(crate) const fn loaded(&self) -> &'a Loaded {
        self.loaded
    }

    /// Whether there is a new state to commit.
    pub(crate) fn is_changed(&self) -> bool {
        self.loaded.state.as_ref() != Some(&self.advance.state)
    }

    /// How many of its metrics were found to have lost readings.
    pub(crate) fn losses(&self) -> usize {
        self.losses.len()
    }

    /// The rows that are still to be written.
    pub(crate) fn writes(&self, now_ms: i64, history_ttl_ms: i64) -> impl Iterator<Item = Write> {
        let open = self.advance.changes.iter().zip(&self.open).filter_map(|(change, over)| Some((change, (*over)?)));
        open.map(move |(change, (over, revision))| {
            let row = self.row(change, now_ms, history_ttl_ms);
            Write { row, over, revision }
        })
    }

    /// Takes in what became of [`Self::writes`]; whether it tells that the state has lost something.
    pub(crate) fn settle(&mut self, writes: &[Write], outcomes: &[Written]) -> bool {
        let mut anew = false;
        let mut stored: Vec<(usize, Over)> = Vec::new();
        let written: Vec<usize> = (0..self.open.len()).filter(|index| self.open[*index].is_some()).collect();
        for (index, (Write { row, .. }, outcome)) in written.into_iter().zip(writes.iter().zip(outcomes)) {
            match outcome {
                Written::Stored => {
                    self.open[index] = None;
                    stored.push((index, (Some(row.position), row.revision)));
                }
                Written::Kept(there) => {
                    // An earlier try of this very record found a loss, and its commit did not come.
                    let told = there.partial && there.revision > row.revision;
                    if told || self.is_behind(row.item.metric(), there, row) {
                        anew |= self.lose(row.item.metric(), there);
                    }
                    // A partial row of the same record gives way to a whole one, and one from a state that lost the race
                    // for its commit to one that counts more.
                    let counts_more = row.revision > there.revision || there.partial && !row.partial;
                    let gives_way = there.position == row.position && counts_more;
                    if there.position < row.position || gives_way {
                        self.open[index] = Some((Some(there.position), there.revision));
                    } else {
                        // A row of an earlier try whose state knew no more than this one is written again, if more is
                        // found to be lost.
                        if there.position == row.position && there.base <= self.seen() {
                            stored.push((index, (Some(there.position), there.revision)));
                        }
                        self.open[index] = None;
                    }
                }
            }
        }
        if anew {
            self.compute_anew(stored);
        }
        anew
    }

    /// Computes everything again, now that more is known to be lost; `stored` are the rows that went before.
    fn compute_anew(&mut self, stored: Vec<(usize, Over)>) {
        let advance = compute(self.taken, self.windows, self.origin, self.loaded, &self.losses);
        let before = std::mem::replace(&mut self.advance, advance).changes;
        // Rows that went before the loss was known are written again, over themselves.
        for (index, over) in stored {
            if self.losses.contains_key(&before[index].metric) {
                self.open[index] = Some(over);
            }
        }
        let open = self.advance.changes.iter().map(|change| {
            let same = |row: &Change| row.metric == change.metric && row.interval_ms == change.interval_ms;
            match before.iter().position(same) {
                Some(index) => self.open[index],
                // What was lost was newer: rows of history that it had closed are due now.
                None => Some(over_loaded(self.loaded, self.origin, change)),
            }
        });
        self.open = open.collect();
    }

    /// The furthest record that the loaded state has taken in.
    fn seen(&self) -> Option<Position> {
        seen(self.loaded, self.origin)
    }

    /// Notes that a metric has lost what a row was computed from; whether more is lost than was known.
    fn lose(&mut self, metric: &str, there: &StoredRow) -> bool {
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

    /// Whether the state has lost what this row was computed from: the state behind the row had come further; or the
    /// row's own record, which the state has not seen, is not delivered again either, or changes the metric for fewer times
    /// than it did; or the device has come further since, by other metrics, and this one is behind in its revisions. After a
    /// reshard a device can be in two shards for a moment: a fresh row of the other one is a race, whose loser is delivered
    /// again, and no loss.
    fn is_behind(&self, metric: &str, mark: &StoredRow, row: &Row) -> bool {
        let seen = self.seen();
        let unseen = seen < Some(mark.position) || revision(self.loaded, metric) < mark.revision;
        let races = mark.shard != self.origin.shard && is_fresh(mark, row);
        seen < mark.base || (unseen && !races && !self.is_delivered_again(metric, mark, row))
    }

    /// Whether this batch brings a row's record again, with as many changes of the metric as it then had, or what comes
    /// behind the batch will.
    fn is_delivered_again(&self, metric: &str, mark: &StoredRow, row: &Row) -> bool {
        let position = |taken: &Taken<'_>| taken.source.position();
        if let Some(index) = self.taken.iter().rposition(|taken| position(taken) == mark.position) {
            return self.revision_after(metric, index) >= mark.revision;
        }
        if Some(mark.position) > self.taken.last().map(|taken| position(taken)) || mark.position == row.position {
            return true;
        }
        // What came astray is written at the position that the device had reached, which is further now if the other shard
        // has gone on since the earlier try.
        let came_astray = mark.base == Some(mark.position) && mark.shard == self.origin.shard;
        came_astray && self.seen() == Some(row.position) && is_fresh(mark, row)
    }

    /// The revision of a metric behind the reading at `index`.
    fn revision_after(&self, metric: &str, index: usize) -> u64 {
        let advance = compute(&self.taken[..=index], self.windows, self.origin, self.loaded, &self.losses);
        advance.state.series(metric).map_or(0, Series::revision)
    }

    fn row(&self, change: &Change, now_ms: i64, history_ttl_ms: i64) -> Row {
        let reading = &self.taken[change.index].reading;
        Row {
            device_id: self.device_id.to_owned(),
            item: match change.interval_ms {
                None => Item::Latest { metric: change.metric.clone() },
                Some(from_ms) => Item::History { metric: change.metric.clone(), from_ms },
            },
            facility: reading.facility.clone().into_owned(),
            unit: reading.unit.clone().into_owned(),
            value: change.newest.value,
            at: change.newest.place.at,
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
            // From its own time, so that doing it again does the same.
            expires_at: change.interval_ms.map(|from_ms| from_ms.saturating_add(history_ttl_ms) / 1_000),
        }
    }
}

/// Whether a row may be of an invocation that is still under way.
fn is_fresh(mark: &StoredRow, row: &Row) -> bool {
    row.updated_at.saturating_sub(mark.updated_at) <= INVOCATION_MS_MAX
}

/// The furthest record that the loaded state has taken in.
fn seen(loaded: &Loaded, origin: Origin<'_>) -> Option<Position> {
    loaded.state.as_ref().and_then(|state| state.position(origin.stream))
}

/// In the usual case a row is what the loaded state was when it was written.
fn over_loaded(loaded: &Loaded, origin: Origin<'_>, change: &Change) -> Over {
    (seen(loaded, origin), revision(loaded, &change.metric))
}

/// The revision of a metric in what was loaded.
fn revision(loaded: &Loaded, metric: &str) -> u64 {
    loaded.state.as_ref().and_then(|state| state.series(metric)).map_or(0, Series::revision)
}

fn compute<W: MetricWindows>(
    taken: &[&Taken<'_>],
    windows: &W,
    origin: Origin<'_>,
    loaded: &Loaded,
    losses: &BTreeMap<String, Loss>,
) -> Advance {
    let incoming: Vec<_> = taken
        .iter()
        .enumerate()
        .map(|(index, taken)| Incoming {
            position: taken.source.position(),
            metric: &taken.reading.metric,
            id: taken.id,
            at: taken.reading.at,
            value: taken.value,
            index,
        })
        .collect();
    advance(loaded.state.as_ref(), origin, &incoming, |metric| windows.window(metric), losses)
}
