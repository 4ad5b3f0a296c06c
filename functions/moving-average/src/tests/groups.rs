//! Tests of slots that advance in several groups.

use super::*;
use std::collections::BTreeSet;

fn in_groups_of(group: usize) -> Test {
    let mut test = context();
    test.context.limits.group = group;
    test
}

/// The reading `n` of each of `devices`, in this order.
fn of_each(devices: &[&str], n: u32) -> Batch {
    let sequences = n * 100..;
    batch(devices.iter().zip(sequences).map(|(device, sequence)| record(sequence, device, json(device, n))).collect())
}

const DEVICES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[tokio::test]
async fn the_size_of_a_group_does_not_change_rows_states_or_progress() {
    let all = in_groups_of(1_000);
    for n in 1..6 {
        done(&all, &of_each(&DEVICES, n)).await;
    }
    assert_eq!(DEVICES.iter().map(|device| Slot::of(device)).collect::<BTreeSet<_>>().len(), DEVICES.len());
    for group in 1..=DEVICES.len() {
        let grouped = in_groups_of(group);
        for n in 1..6 {
            done(&grouped, &of_each(&DEVICES, n)).await;
        }
        assert_eq!(grouped.stores.results.rows(), all.stores.results.rows(), "groups of {group}");
        assert_eq!(grouped.stores.states.snapshot(), all.stores.states.snapshot(), "groups of {group}");
        assert_eq!(progress(&grouped).await, progress(&all).await, "groups of {group}");
    }
}

#[tokio::test]
async fn when_a_group_fails_the_whole_batch_is_retried_and_counts_once() {
    for broken in 0..DEVICES.len() {
        for port in [1, 2, 3] {
            let (untouched, context) = (in_groups_of(1), in_groups_of(1));
            // The calls of the groups before it succeed.
            context.switches()[port].fails_after(broken, Fault::Before(Remedy::Retry));
            assert_eq!(invoke(&context, &of_each(&DEVICES, 1)).await.as_deref(), Some("100"), "{broken}");
            context.switches()[port].recovers();
            for context in [&untouched, &context] {
                for n in 1..3 {
                    done(context, &of_each(&DEVICES, n)).await;
                }
            }
            assert_eq!(rows(&context), rows(&untouched), "{broken}");
            assert_eq!(context.stores.states.snapshot(), untouched.stores.states.snapshot(), "{broken}");
        }
    }
}

#[tokio::test]
async fn a_conflict_in_one_slot_does_not_disturb_the_others() {
    for faster in DEVICES {
        let context = in_groups_of(1_000);
        done(&context, &of_each(&DEVICES, 1)).await;
        // Another invocation, which has the next records as well, is faster with one device. Then it ends.
        let records = [of_each(&DEVICES, 2), of_each(&DEVICES, 3)].into_iter().flat_map(|batch| batch.records);
        let of_one = batch(records.filter(|record| &*record.partition_key == faster).collect());
        let (other, results) = (context.other(), context.stores.results.clone());
        context.states.write.before(async move {
            other.results.write.fails(Fault::Before(Remedy::Retry));
            crash(&other, &of_one).await;
        });
        context.states.write.before(async move {
            let counted = results.rows().into_iter().map(|row| (row.device_id == faster, row.counted));
            let expected = DEVICES.map(|device| (device == faster, if device == faster { 1 } else { 2 }));
            assert_eq!(counted.collect::<Vec<_>>(), expected, "the others' rows do not wait");
        });
        done(&context, &of_each(&DEVICES, 2)).await;
        for device in DEVICES {
            let expected = if device == faster { (3, 2.0, false) } else { (2, 1.5, false) };
            assert_eq!(outline(&context, device), expected, "{device} beside {faster}");
        }
        done(&context, &of_each(&DEVICES, 3)).await;
        assert_eq!(DEVICES.map(|device| latest(&context, device).counted), [3; 5]);
    }
}
