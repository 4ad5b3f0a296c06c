//! Present values: what the states of devices say now, which is newer than the rows that were written last.

use super::fence::lost_until;
use super::progress::ProgressStore;
use super::rule::{OutcomeOf, Rule, State};
use super::states::{Loaded, SlotDevices, States};
use crate::platform::errors::RemoteError;
use crate::stream::slot::Slot;
use std::collections::BTreeMap;

/// What is known of a device now.
#[derive(Clone, Debug, PartialEq)]
pub struct Live<O> {
    /// The present results of the metrics that its state has, by metric.
    pub results: BTreeMap<String, O>,
    /// Readings up to this time may be missing, in milliseconds since the epoch: from `results`, which say so, and from rows
    /// that were written before the loss was found.
    pub lost_until: Option<i64>,
}

impl<O> Default for Live<O> {
    fn default() -> Self {
        Self { results: BTreeMap::new(), lost_until: None }
    }
}

/// The state of a device now.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveState<S> {
    /// The state, which notes `lost_until`; `None` if there is none.
    pub state: Option<S>,
    /// Readings up to this time may be missing, in milliseconds since the epoch.
    pub lost_until: Option<i64>,
}

/// Reads the present results of each of `devices`, which come with their settings.
///
/// The rule that writes the rows computes them. Readings that a state lacks are flagged as in rows, also before the state
/// itself knows of the loss. `stream` is the stream that the function reads.
///
/// # Errors
/// The progress or the states cannot be read.
pub async fn live<R: Rule>(
    progress: &impl ProgressStore,
    states: &impl States<State = R::State>,
    stream: &str,
    devices: &[(&str, &R::Settings)],
) -> Result<Vec<Live<OutcomeOf<R>>>, RemoteError> {
    let ids: Vec<&str> = devices.iter().map(|(id, _)| *id).collect();
    let states = live_states(progress, states, stream, &ids).await?;
    let present = |((_, settings), LiveState { state, lost_until }): (&(&str, &R::Settings), LiveState<R::State>)| {
        let results = state.map_or_else(BTreeMap::new, |state| R::latest(settings, &state).into_iter().collect());
        Live { results, lost_until }
    };
    Ok(devices.iter().zip(states).map(present).collect())
}

/// Reads the present state of each of `devices`, for results that are not among those of the latest row.
///
/// # Errors
/// The progress or the states cannot be read.
pub async fn live_states<S: State>(
    progress: &impl ProgressStore,
    states: &impl States<State = S>,
    stream: &str,
    devices: &[&str],
) -> Result<Vec<LiveState<S>>, RemoteError> {
    let mut slots: BTreeMap<Slot, Vec<usize>> = BTreeMap::new();
    for (index, device_id) in devices.iter().enumerate() {
        slots.entry(Slot::of(device_id)).or_default().push(index);
    }
    // As for a batch, the progress is read first: a fence that has moved since is not below it.
    let known = progress.read(S::NAME, stream).await?;
    let ids = |of: &Vec<usize>| of.iter().map(|&index| devices[index]).collect();
    let wanted: Vec<_> = slots.iter().map(|(slot, of)| SlotDevices { slot: *slot, devices: ids(of) }).collect();
    let loaded = states.load(stream, &wanted).await?;
    let mut live = vec![LiveState { state: None, lost_until: None }; devices.len()];
    for ((slot, of), loaded) in slots.into_iter().zip(loaded) {
        let lost_until = lost_until(slot, &loaded.fences, &known);
        for (index, state) in of.into_iter().zip(loaded.states) {
            live[index] = flagged(state, lost_until);
        }
    }
    Ok(live)
}

fn flagged<S: State>(loaded: Loaded<S>, lost_until: Option<i64>) -> LiveState<S> {
    let Some(mut kept) = loaded.kept else { return LiveState { state: None, lost_until } };
    if let Some(until_ms) = lost_until.filter(|_| lost_until > kept.lost_until) {
        kept.state.lose(until_ms);
    }
    LiveState { state: Some(kept.state), lost_until: lost_until.max(kept.lost_until) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::event_time::ClockSource;
    use crate::device::profile::WindowSpec;
    use crate::device::reading::Value;
    use crate::keyed::ReadingId;
    use crate::keyed::fence::{Fence, Fences};
    use crate::keyed::progress::Progress;
    use crate::keyed::progress::memory::MemoryProgress;
    use crate::keyed::states::memory::MemoryStates;
    use crate::keyed::states::{Commit, SlotCommit, Version};
    use crate::keyed::{Incoming, Kept};
    use crate::stream::batch::Position;
    use crate::window::{DeviceState, MetricWindows, MovingAverage};

    struct Last(WindowSpec);

    impl MetricWindows for Last {
        fn window(&self, _: &str) -> Option<&WindowSpec> {
            Some(&self.0)
        }

        fn unit(&self, _: &str) -> &'static str {
            "1/min"
        }
    }

    type Rule = MovingAverage<Last>;

    #[tokio::test]
    async fn a_present_value_is_that_of_the_state_and_is_flagged_as_soon_as_its_fence_is_below() {
        let settings = Last(WindowSpec::last(3));
        let (progress, states) = (MemoryProgress::default(), MemoryStates::<DeviceState>::default());
        let mut kept = Kept::<DeviceState>::default();
        let reading = Incoming {
            metric: "heart_rate",
            id: ReadingId { order: 1, digest: 1 },
            at: 1_000,
            clock: ClockSource::Device,
            value: &Value::Number(61.0),
        };
        <Rule as super::Rule>::step(&settings, &mut kept.state, &reading, None);
        let position = |sub| Position { sub, ..Position::ZERO };
        let fence = Fence { position: position(5), lost_until: None };
        let slot = Slot::of("bed-17");
        let (fences, new) = (Fences::new(), Version::default());
        let commit = SlotCommit {
            slot,
            fences: &fences,
            fence: Some(("shard", fence)),
            forgotten: Vec::new(),
            states: vec![Commit { device_id: "bed-17", replaces: &new, kept: Some(&kept) }],
        };
        states.commit("readings", &[commit]).await.unwrap();

        let read = async || {
            let devices = [("new", &settings), ("bed-17", &settings)];
            live::<Rule>(&progress, &states, "readings", &devices).await.unwrap()
        };
        let present = read().await;
        assert_eq!(present[0], Live::default(), "nothing is kept of a device that has sent nothing");
        let result = &present[1].results["heart_rate"];
        assert_eq!((result.value, result.average.count, result.partial, &*result.unit), (61.0, 1, false, "1/min"));

        // More was acknowledged than the slot has: Redis lost its last writes, and no batch has come since.
        let after = Progress::default().after("shard", position(6), 2_000, [slot].into_iter().collect());
        assert!(progress.change(DeviceState::NAME, "readings", &Progress::default(), &after).await.unwrap());
        let present = read().await;
        let result = &present[1].results["heart_rate"];
        assert_eq!((result.partial, result.lost_until, present[1].lost_until), (true, Some(2_000), Some(2_000)));
    }
}
