//! One device's part of a batch: what its readings come to, and which rows are due. Pure.

use super::input::ReadingRecord;
use super::kept::{Kept, LastRow};
use super::origin::Origin;
use super::pending::{MetricInterval, PendingFinding, PendingHistory};
use super::progress::Acknowledgements;
use super::rule::{Closed, Counts, Incoming, OutcomeOf, Rule, State as _};
use super::states::Loaded;
use crate::alert::FoundOn;
use crate::results::{Item, Outcome as _, Row};
use crate::stream::batch::Position;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How many findings of a rule are reported of a batch: an end, and the last four incidents with their beginnings and ends.
const FINDINGS_MAX: usize = 9;

/// What all devices of a slot have in common in one batch.
pub(super) struct SlotInput<'a> {
    /// The stream and the shard of the batch.
    pub(super) origin: Origin,
    /// What is acknowledged.
    pub(super) acknowledged: &'a Acknowledgements,
    /// Readings of the slot up to this time may be missing, in milliseconds since the epoch.
    pub(super) lost_until: Option<i64>,
    /// The newest reading that was acknowledged of the slot: a state that is lost had none after it.
    pub(super) newest_ms: Option<i64>,
    /// How long a device's latest row waits for more readings, by their arrival.
    pub(super) results_interval: Duration,
}

/// One device's part of a batch.
pub(super) struct DeviceUpdate<'a, R: Rule> {
    device_id: &'a str,
    readings: &'a [&'a ReadingRecord<'a>],
    settings: &'a R::Settings,
    loaded: &'a Loaded<R::State>,
    kept: Kept<R::State>,
    is_due: bool,
    pub(super) tally: Tally,
}

/// What a device's readings came to, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) counted: usize,
    pub(super) duplicates: usize,
    /// Those of them whose value is not the one that was counted.
    pub(super) contradictions: usize,
    pub(super) too_late: usize,
    /// Readings that the rule does nothing with, although it wants their metric.
    pub(super) skipped: usize,
}

impl<'a, R: Rule> DeviceUpdate<'a, R> {
    /// The update of `device_id` by its `readings`, computed from `loaded`.
    pub(super) fn new(
        device_id: &'a str,
        readings: &'a [&'a ReadingRecord<'a>],
        settings: &'a R::Settings,
        slot: &SlotInput<'_>,
        loaded: &'a Loaded<R::State>,
    ) -> Self {
        let kept = loaded.kept.clone().unwrap_or_default();
        let mut update = Self { device_id, readings, settings, loaded, kept, is_due: false, tally: Tally::default() };
        update.advance(slot);
        update
    }

    fn advance(&mut self, slot: &SlotInput<'_>) {
        let Self { kept, tally, .. } = self;
        let lost_until = slot.lost_until.max(slot.newest_ms.filter(|_| self.loaded.is_lost));
        let has_lost = lost_until > kept.lost_until;
        if let Some(until_ms) = lost_until.filter(|_| has_lost) {
            kept.lost_until = lost_until;
            kept.state.lose(until_ms);
        }
        // What is acknowledged was written before. The rest is written again, since an earlier try may have ended before it
        // was.
        kept.history.retain(|_, pending| !slot.acknowledged.covers(pending.origin));
        kept.findings.retain(|pending| !slot.acknowledged.covers(pending.origin));
        let (mut has_changed, mut is_repeated) = (false, false);
        for record in self.readings {
            let origin = Origin { position: record.source.position(), ..slot.origin };
            if kept.has_seen(origin) {
                continue;
            }
            kept.seen = Some(origin);
            let reading = &record.reading;
            let incoming = Incoming {
                metric: &reading.metric,
                id: record.id,
                at: reading.at,
                clock: reading.clock,
                value: &record.value,
            };
            let step = R::step(self.settings, &mut kept.state, &incoming, kept.lost_until);
            let Some(step) = step else {
                tally.skipped += 1;
                continue;
            };
            match step.counts {
                Counts::Once { late } => {
                    tally.counted += 1;
                    tally.too_late += usize::from(late);
                    kept.counted += 1;
                    has_changed = true;
                }
                repeated @ (Counts::Duplicate | Counts::Contradiction) => {
                    tally.duplicates += 1;
                    tally.contradictions += usize::from(repeated == Counts::Contradiction);
                    is_repeated = true;
                }
            }
            for Closed { seconds, from_ms, outcome } in step.history {
                let interval = MetricInterval { seconds, from_ms, metric: reading.metric.to_string() };
                let pending = PendingHistory { origin, counted: kept.counted, fields: outcome.fields() };
                kept.history.insert(interval, pending);
            }
            let findings = step.findings.into_iter().map(|finding| PendingFinding { origin, finding });
            kept.findings.extend(findings);
        }
        keep_newest(&mut kept.findings);
        let arrived_ms = self.readings.last().map_or(0, |record| record.source.arrived_ms);
        let interval_ms = slot.results_interval.as_millis() as i64;
        // A new state and one that notes a loss always write the row: a state that goes missing is found by it.
        let is_due = kept.row.is_none_or(|last| {
            let has_waited = arrived_ms.saturating_sub(last.arrived_ms).max(0) >= interval_ms;
            let has_news = is_repeated || has_changed && has_waited;
            has_lost || has_news && !R::latest(self.settings, &kept.state).is_empty()
        });
        if let Some(origin) = kept.seen.filter(|_| is_due) {
            kept.row = Some(LastRow { origin, arrived_ms });
        }
        self.is_due = is_due || kept.row.is_some_and(|row| !slot.acknowledged.covers(row.origin));
    }

    /// The device.
    pub(super) const fn device_id(&self) -> &'a str {
        self.device_id
    }

    /// What was loaded.
    pub(super) const fn loaded(&self) -> &'a Loaded<R::State> {
        self.loaded
    }

    /// What is to be kept; `None` if nothing has changed.
    pub(super) fn changed(&self) -> Option<&Kept<R::State>> {
        (self.loaded.kept.as_ref() != Some(&self.kept)).then_some(&self.kept)
    }

    /// What is to be reported, in its order.
    pub(super) fn findings(&self) -> impl Iterator<Item = FoundOn> + '_ {
        let facility = self.readings.last().map_or("", |newest| &newest.reading.facility);
        self.kept.findings.iter().map(|PendingFinding { origin, finding }| {
            FoundOn::new(self.device_id, facility, origin.position, finding.clone())
        })
    }

    /// The rows that are due.
    pub(super) fn rows(&self, stream: &str, shard: &str, now_ms: i64, history_ttl: Duration) -> Vec<Row<OutcomeOf<R>>> {
        let Some(newest) = self.readings.last() else { return Vec::new() };
        let row = |item, position: Position, counted| Row {
            device_id: self.device_id.to_owned(),
            item,
            facility: newest.reading.facility.clone().into_owned(),
            metrics: BTreeMap::new(),
            stream: stream.to_owned(),
            shard: shard.to_owned(),
            position,
            counted,
            lost_until: self.kept.lost_until,
            received_at: newest.reading.received_at,
            updated_at: now_ms,
            expires_at: None,
        };
        let mut rows = Vec::new();
        if let Some(seen) = self.kept.seen.filter(|_| self.is_due) {
            let metrics = R::latest(self.settings, &self.kept.state).into_iter().collect();
            rows.push(Row { metrics, ..row(Item::Latest, seen.position, self.kept.counted) });
        }
        let mut history: BTreeMap<Item, Row<_>> = BTreeMap::new();
        for (MetricInterval { seconds, from_ms, metric }, pending) in &self.kept.history {
            let PendingHistory { origin, counted, fields } = pending;
            let Some(outcome) = OutcomeOf::<R>::from_fields(fields) else {
                // Only a version that cannot read the fields of an earlier one comes here: see `Outcome::from_fields`.
                tracing::error!(
                    device = self.device_id,
                    metric,
                    from_ms,
                    "cannot read a pending result; it has no row"
                );
                continue;
            };
            let item = Item::History { seconds: *seconds, from_ms: *from_ms };
            let of_interval = history.entry(item).or_insert_with(|| Row {
                // Counted from its own time, so that writing it again writes the same.
                expires_at: Some(from_ms.saturating_add(history_ttl.as_millis() as i64) / 1_000),
                ..row(item, origin.position, *counted)
            });
            of_interval.position = of_interval.position.max(origin.position);
            of_interval.counted = of_interval.counted.max(*counted);
            of_interval.metrics.insert(metric.clone(), outcome);
        }
        rows.extend(history.into_values());
        rows
    }
}

/// Keeps the newest findings of each rule. A value that crosses a limit thousands of times in a batch gives no thousand alerts.
fn keep_newest(findings: &mut Vec<PendingFinding>) {
    if findings.len() <= FINDINGS_MAX {
        return;
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    findings.reverse();
    findings.retain(|pending| {
        let count = counts.entry(pending.finding.rule().to_owned()).or_default();
        *count += 1;
        *count <= FINDINGS_MAX
    });
    findings.reverse();
}

#[cfg(test)]
mod tests;
