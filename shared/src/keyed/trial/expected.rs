//! What the plain list of readings comes to, one device after the other and without faults.

use crate::alert::incidents::memory::MemoryIncidents;
use crate::alert::topic::memory::MemoryTopic;
use crate::alert::{Findings as _, FoundOn, MemoryReporter, Reporter};
use crate::device::reading::Reading;
use crate::keyed::{Incoming, Rule, State};
use crate::platform::clock::ManualClock;
use crate::results::{Item, Outcome};
use crate::stream::batch::Position;
use std::collections::{BTreeMap, HashSet};

/// A reporter that has reported nothing, at a time.
pub(super) fn reporter(now_ms: i64) -> MemoryReporter {
    Reporter { incidents: MemoryIncidents::default(), topic: MemoryTopic::default(), clock: ManualClock::at(now_ms) }
}

/// What the plain list of readings comes to.
pub(super) struct Expected<O> {
    pub(super) devices: BTreeMap<String, OfDevice<O>>,
    /// What it reports.
    pub(super) findings: MemoryReporter,
}

/// What the readings of a device come to.
pub(super) struct OfDevice<O> {
    /// The latest outcomes after each record.
    pub(super) latest: BTreeMap<usize, Vec<(String, O)>>,
    /// The outcomes of an interval and a metric, by the record that made them due.
    pub(super) history: BTreeMap<(Item, String), BTreeMap<usize, O>>,
}

impl<O: Outcome> Expected<O> {
    pub(super) fn of<R: Rule>(settings: &R::Settings, readings: &[Reading]) -> Self
    where
        R::State: State<Outcome = O>,
    {
        let (mut devices, findings) = (BTreeMap::new(), reporter(0));
        let ids: HashSet<&str> = readings.iter().map(|reading| reading.device_id.as_str()).collect();
        for device in ids {
            let mut state = R::State::default();
            let mut of_device = OfDevice { latest: BTreeMap::new(), history: BTreeMap::new() };
            let mut is_known = false;
            for (reading, n) in readings.iter().zip(1..).filter(|(reading, _)| reading.device_id == device) {
                if !R::takes(&reading.value) || !R::wants(settings, &reading.metric) {
                    continue;
                }
                let incoming = Incoming::of(reading);
                let step = R::step(settings, &mut state, &incoming, None);
                let (closed, found) = step.map_or_else(Default::default, |step| (step.history, step.findings));
                let position = Position { sequence: n.to_string().parse().unwrap_or_default(), sub: 0 };
                let found = found.into_iter().map(|finding| FoundOn::new(device, &reading.facility, position, finding));
                // Memory is always there.
                let _ = futures::executor::block_on(findings.report(found.collect()));
                for closed in closed {
                    let item = Item::History { seconds: closed.seconds, from_ms: closed.from_ms };
                    let outcomes = of_device.history.entry((item, reading.metric.clone())).or_default();
                    outcomes.insert(n, closed.outcome);
                }
                of_device.latest.insert(n, R::latest(settings, &state));
                is_known = true;
            }
            if is_known {
                devices.insert(device.to_owned(), of_device);
            }
        }
        Self { devices, findings }
    }

    /// The outcomes of a row for which `position` is the last record.
    pub(super) fn at(&self, device: &str, item: Item, position: usize) -> BTreeMap<&str, &O> {
        let Some(of_device) = self.devices.get(device) else { return BTreeMap::new() };
        match item {
            Item::Latest => {
                let latest = of_device.latest.range(..=position).next_back();
                latest.into_iter().flat_map(|(_, latest)| latest).map(|(metric, o)| (metric.as_str(), o)).collect()
            }
            Item::History { .. } => {
                let of_item = of_device.history.iter().filter(|((of, _), _)| *of == item);
                let last = of_item.filter_map(|((_, metric), outcomes)| {
                    Some((metric.as_str(), outcomes.range(..=position).next_back()?.1))
                });
                last.collect()
            }
        }
    }
}
