//! Tests of devices that advance in several groups.

use super::*;

/// Records which states are loaded, and fails each load that includes the device `broken`.
#[derive(Default)]
struct Grouped {
    port: MemoryStates<DeviceState>,
    broken: Mutex<Option<&'static str>>,
    loads: Mutex<Vec<Vec<String>>>,
    /// Whether the last byte of a device's name is its slot.
    has_slots: bool,
}

impl States for Grouped {
    type State = DeviceState;

    fn slot(&self, device: &str) -> u8 {
        if self.has_slots { device.bytes().next_back().unwrap_or_default() } else { 0 }
    }

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<DeviceState>>, RemoteError> {
        self.loads.lock().unwrap().push(devices.iter().map(|device| (*device).to_owned()).collect());
        let broken = *self.broken.lock().unwrap();
        if broken.is_some_and(|broken| devices.contains(&broken)) {
            return Err(RemoteError::new("load", Remedy::Retry, "down"));
        }
        self.port.load(devices).await
    }

    async fn commit(&self, commits: &[Commit<'_, DeviceState>]) -> Result<Vec<Committed>, RemoteError> {
        self.port.commit(commits).await
    }
}

fn in_groups_of(group: usize) -> Context<TestPorts<Grouped, MemoryResults>> {
    Context { group, ..with_states(Grouped::default()) }
}

/// The reading `n` of each of `devices`, in this order.
fn of_each(devices: &[&str], n: u32) -> Batch {
    let sequences = n * 100..;
    batch(devices.iter().zip(sequences).map(|(device, sequence)| record(sequence, device, json(device, n))).collect())
}

#[tokio::test]
async fn the_size_of_a_group_does_not_change_rows_or_states() {
    let devices = ["a", "b", "c", "d", "e"];
    let all = in_groups_of(devices.len());
    for n in 1..6 {
        assert_eq!(handle(&all, &of_each(&devices, n), DEADLINE_MS).await, Answer::DONE);
    }
    for group in 1..devices.len() {
        let grouped = in_groups_of(group);
        for n in 1..6 {
            assert_eq!(handle(&grouped, &of_each(&devices, n), DEADLINE_MS).await, Answer::DONE);
        }
        assert_eq!(grouped.results.rows(), all.results.rows(), "groups of {group}");
        assert_eq!(grouped.states.port.snapshot(), all.states.port.snapshot(), "groups of {group}");
    }
}

#[tokio::test]
async fn when_a_group_fails_the_whole_batch_is_retried_and_counts_once() {
    let devices = ["a", "b", "c", "d", "e"];
    for broken in devices {
        let (untouched, context) = (in_groups_of(2), in_groups_of(2));
        *context.states.broken.lock().unwrap() = Some(broken);
        let response = handle(&context, &of_each(&devices, 1), DEADLINE_MS).await;
        assert_eq!(retry_from(response).as_deref(), Some("100"), "{broken}");
        *context.states.broken.lock().unwrap() = None;
        for context in [&untouched, &context] {
            for n in 1..3 {
                let response = handle(context, &of_each(&devices, n), DEADLINE_MS).await;
                assert_eq!(response, Answer::DONE, "{broken}");
            }
        }
        assert_eq!(context.results.rows(), untouched.results.rows(), "{broken}");
        assert_eq!(context.states.port.snapshot(), untouched.states.port.snapshot(), "{broken}");
    }
}

#[tokio::test]
async fn a_conflict_in_one_group_does_not_stop_the_others() {
    for lost in ["a", "b", "c"] {
        let (ours, theirs) = (MemoryStates::default(), in_groups_of(1));
        // Another invocation has advanced one of the devices since its state was loaded.
        assert_eq!(handle(&theirs, &of_each(&[lost], 1), DEADLINE_MS).await, Answer::DONE);
        let overlaid = Overlaid { old: &ours, new: &theirs.states.port };
        let context = Context { group: 1, ..with_states(overlaid) };
        let response = handle(&context, &of_each(&["a", "b", "c"], 2), DEADLINE_MS).await;
        assert_eq!(retry_from(response).as_deref(), Some("200"));
        assert_eq!(theirs.states.port.snapshot().len(), 3, "the other two are committed beside {lost}");
    }
}

#[tokio::test]
async fn devices_of_one_slot_are_loaded_together() {
    let mut context = in_groups_of(2);
    context.states.has_slots = true;
    let batch = of_each(&["a2", "b1", "c2", "d1", "e2"], 1);
    assert_eq!(handle(&context, &batch, DEADLINE_MS).await, Answer::DONE);
    let mut loads = context.states.loads.into_inner().unwrap();
    loads.sort();
    assert_eq!(loads, [vec!["a2", "c2"], vec!["b1", "d1"], vec!["e2"]]);
}
