//! Tests of states that were lost: how it is found, and how results show it.

use super::*;

/// What [`outline`] gives, and up to when readings may be missing, as a second.
fn loss(context: &Test, device: &str) -> (u32, f64, bool, Option<i64>) {
    let (count, mean, partial) = outline(context, device);
    (count, mean, partial, result(context, device).lost_until.map(|until_ms| (until_ms - BEGIN_MS) / 1_000))
}

#[tokio::test]
async fn results_after_a_loss_are_partial_until_the_window_has_filled_again() {
    let context = context();
    done(&context, &readings("a", 1..7)).await;
    context.stores.states.lose_everything();
    let mut partial = Vec::new();
    for n in 7..11 {
        done(&context, &readings("a", [n])).await;
        partial.push(loss(&context, "a"));
    }
    assert_eq!(
        partial,
        [(1, 7.0, true, Some(6)), (2, 7.5, true, Some(6)), (3, 8.0, false, None), (3, 9.0, false, None)]
    );
    assert_eq!(latest(&context, "a").counted, 4, "it counts from the loss on");
}

/// Only the state has the readings of an interval that is open. A fence finds that it was lost, and up to when, and not what
/// was in it.
#[tokio::test]
async fn an_interval_that_was_open_at_a_loss_has_a_row_only_if_its_device_sends_in_it_again() {
    let context = context();
    let [other, _] = neighbours_of("a");
    done(&context, &batch(vec![reading("a", 10), reading(&other, 11)])).await;
    context.stores.states.lose_everything();
    let again = [reading(&other, 30)];
    let full = (61..64).flat_map(|n| [reading("a", 2 * n - 60), reading(&other, 2 * n - 59)]);
    let closing = [reading("a", 130), reading(&other, 131)];
    done(&context, &batch(again.into_iter().chain(full).chain(closing).collect())).await;
    let history = async |device: &str| -> Vec<(i64, bool)> {
        let rows = context.stores.results.history(device, "heart_rate", 0, i64::MAX).await.unwrap();
        let rows = rows.into_iter().map(|row| (row.item, row.metrics["heart_rate"].partial));
        rows.map(|(item, partial)| match item {
            Item::History { from_ms, .. } => ((from_ms - BEGIN_MS) / 1_000, partial),
            Item::Latest => panic!("a latest row among the history"),
        })
        .collect()
    };
    assert_eq!(history("a").await, [(60, false)], "the first interval has no row");
    assert_eq!(history(&other).await, [(0, true), (60, false)]);
    assert_eq!(progress(&context).await.lost_until.get(&Slot::of("a")), Some(&at_ms(11)), "the loss is known");
}

#[tokio::test]
async fn a_loss_concerns_the_devices_of_its_slot_new_ones_as_well_and_no_others() {
    let context = context();
    let [neighbour, new] = neighbours_of("a");
    assert_ne!(Slot::of("a"), Slot::of("b"));
    done(&context, &batch(vec![reading("a", 1), reading("b", 2)])).await;
    let old = context.stores.states.snapshot();
    done(&context, &batch(vec![reading("a", 3), reading("b", 4), reading(&neighbour, 5)])).await;
    context.stores.states.restore_slot(Slot::of("a"), &old);
    let devices = ["a", "b", &neighbour, &new, "c"];
    done(&context, &batch(devices.into_iter().zip(6..).map(|(device, n)| reading(device, n)).collect())).await;
    assert_eq!(loss(&context, "a"), (2, 3.5, true, Some(5)), "3 is missing");
    assert_eq!(loss(&context, "b"), (3, 13.0 / 3.0, false, None));
    assert_eq!(loss(&context, &neighbour), (1, 8.0, true, Some(5)), "5 is missing");
    assert_eq!(loss(&context, &new), (1, 9.0, true, Some(5)), "a new device looks like one that is lost");
    assert_eq!(loss(&context, "c"), (1, 10.0, false, None), "a device of another slot can");
    assert_eq!(progress(&context).await.lost_until, [(Slot::of("a"), at_ms(5))].into());
}

#[tokio::test]
async fn a_state_that_lost_its_last_writes_goes_on_and_is_partial_until_its_window_is_past_them() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    let old = context.stores.states.snapshot();
    done(&context, &readings("a", 4..6)).await;
    context.stores.states.restore(old);
    done(&context, &readings("a", 6..7)).await;
    assert_eq!(loss(&context, "a"), (3, 11.0 / 3.0, true, Some(5)), "4 and 5 are missing");
    done(&context, &readings("a", 7..9)).await;
    assert_eq!(loss(&context, "a"), (3, 7.0, false, None));
}

#[tokio::test]
async fn a_second_loss_is_found_like_the_first() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    let first = context.stores.states.snapshot();
    done(&context, &readings("a", 4..6)).await;
    context.stores.states.restore(first.clone());
    done(&context, &readings("a", 6..7)).await;
    // The same snapshot once more: what was known of the first loss is lost with it, and does not hide the second.
    context.stores.states.restore(first);
    done(&context, &readings("a", 7..8)).await;
    assert_eq!(loss(&context, "a"), (3, 4.0, true, Some(6)), "4 to 6 are missing");
    context.stores.states.lose_everything();
    done(&context, &readings("a", 8..9)).await;
    assert_eq!(loss(&context, "a"), (1, 8.0, true, Some(7)));
    assert_eq!(progress(&context).await.lost_until[&Slot::of("a")], at_ms(7));
}

#[tokio::test]
async fn what_is_not_acknowledged_is_delivered_again_and_is_not_lost() {
    for lost_at in [2, 3, 4] {
        let context = context();
        done(&context, &readings("a", 1..4)).await;
        let old = context.stores.states.snapshot();
        context.switches()[lost_at].fails(Fault::Before(Remedy::Retry));
        crash(&context, &readings("a", 4..9)).await;
        context.switches()[lost_at].recovers();
        context.stores.states.restore(old);
        done(&context, &readings("a", 4..6)).await;
        done(&context, &readings("a", 6..9)).await;
        assert_eq!(loss(&context, "a"), (3, 7.0, false, None));
        assert_eq!((latest(&context, "a").counted, progress(&context).await.lost_until.len()), (8, 0));
    }
}

#[tokio::test]
async fn a_loss_is_found_when_the_acknowledged_batch_is_delivered_again() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    done(&context, &readings("a", 4..6)).await;
    context.stores.states.lose_everything();
    done(&context, &readings("a", 5..6)).await;
    assert_eq!(loss(&context, "a"), (3, 4.0, false, None), "the row of the same record stays: it has all readings");
    done(&context, &readings("a", 6..7)).await;
    assert_eq!(loss(&context, "a"), (2, 5.5, true, Some(5)), "4 is missing");
}

#[tokio::test]
async fn a_loss_is_known_wherever_the_invocation_ends_that_found_it() {
    // The declaration is the first change of the progress, and the commit comes after it.
    for crashes_at in [2, 3, 4] {
        for fault in [Fault::Before(Remedy::Retry), Fault::After] {
            for loses_again in [false, true] {
                let context = context();
                done(&context, &readings("a", [1, 2, 50])).await;
                context.stores.states.lose_everything();
                let late = |sequence, n| batch(vec![record(sequence, "a", json("a", n))]);
                context.switches()[crashes_at].fails(fault);
                crash(&context, &late(60, 10)).await;
                context.switches()[crashes_at].recovers();
                if loses_again {
                    context.stores.states.lose_everything();
                }
                for (sequence, n) in [(60, 10), (61, 11), (62, 12)] {
                    done(&context, &late(sequence, n)).await;
                }
                assert_eq!(loss(&context, "a"), (3, 11.0, true, Some(50)), "{fault:?} at {crashes_at}: 50 is missing");
            }
        }
    }
}

#[tokio::test]
async fn a_row_of_before_the_loss_is_replaced_at_once_when_the_device_sends() {
    let context = slow_context();
    done(&context, &punctual("a", 1..5)).await;
    context.stores.states.lose_everything();
    done(&context, &punctual("a", 5..6)).await;
    assert_eq!(loss(&context, "a"), (1, 5.0, true, Some(4)), "it does not wait for half a minute");
    done(&context, &punctual("a", 6..7)).await;
    assert_eq!(loss(&context, "a").0, 1, "the next one waits");
    // Also when the state is only an older one, and its own row was written a short while ago.
    let old = context.stores.states.snapshot();
    done(&context, &punctual("a", 7..8)).await;
    context.stores.states.restore(old);
    done(&context, &punctual("a", 8..9)).await;
    assert_eq!(loss(&context, "a"), (3, 19.0 / 3.0, true, Some(7)));
}

#[tokio::test]
async fn after_a_loss_an_interval_that_is_closed_again_is_partial() {
    let context = context();
    done(&context, &readings("a", [10, 20, 70])).await;
    let first = async || {
        let rows = context.stores.results.history("a", "heart_rate", 0, i64::MAX).await.unwrap();
        let result = &rows[0].metrics["heart_rate"];
        (result.average.count, result.average.mean, result.partial, result.lost_until)
    };
    context.stores.states.lose_everything();
    done(&context, &batch(vec![record(90, "a", json("a", 30))])).await;
    assert_eq!(first().await, (2, 15.0, false, None), "the state knows of no interval before");
    done(&context, &batch(vec![record(91, "a", json("a", 80))])).await;
    assert_eq!(first().await, (1, 30.0, true, Some(at_ms(70))), "10 and 20 are missing");
}

#[tokio::test]
async fn a_late_reading_that_does_not_change_the_latest_average_still_shows_a_loss() {
    let context = context();
    done(&context, &readings("a", [10, 20, 30])).await;
    let old = context.stores.states.snapshot();
    done(&context, &readings("a", 40..41)).await;
    context.stores.states.restore(old);
    done(&context, &batch(vec![record(50, "a", json("a", 5))])).await;
    assert_eq!(loss(&context, "a"), (3, 20.0, true, Some(40)), "40 is missing");
    done(&context, &readings("a", 60..61)).await;
    assert_eq!(loss(&context, "a"), (3, 110.0 / 3.0, true, Some(40)));
}

#[tokio::test]
async fn all_metrics_of_a_device_are_partial_after_a_loss() {
    let context = context();
    done(&context, &batch(vec![spo2("a", 1), reading("a", 2)])).await;
    let old = context.stores.states.snapshot();
    done(&context, &batch(vec![spo2("a", 3)])).await;
    context.stores.states.restore(old);
    done(&context, &readings("a", 4..5)).await;
    let partial = |context: &Test| -> Vec<_> {
        latest(context, "a").metrics.values().map(|result| (result.average.count, result.partial)).collect()
    };
    assert_eq!(partial(&context), [(2, true), (1, true)], "3 is missing from the second");
    done(&context, &readings("a", 5..7)).await;
    assert_eq!(partial(&context), [(3, false), (1, true)]);
}

#[tokio::test]
async fn a_corrupted_state_counts_as_lost_up_to_what_is_acknowledged_and_the_batch_is_done() {
    let context = context();
    let [neighbour, _] = neighbours_of("a");
    done(&context, &batch(vec![reading("a", 1), reading(&neighbour, 6)])).await;
    context.stores.states.put_raw("a", b"\xff\x00 not a state, and never was");
    done(&context, &batch(vec![reading("a", 7), reading(&neighbour, 8)])).await;
    assert_eq!(loss(&context, "a"), (1, 7.0, true, Some(6)));
    assert_eq!(loss(&context, &neighbour), (2, 7.0, false, None), "its slot has lost nothing else");
    done(&context, &readings("a", 9..11)).await;
    assert_eq!(loss(&context, "a"), (3, 26.0 / 3.0, false, None));
}

#[tokio::test]
async fn a_state_that_was_evicted_counts_as_lost_up_to_what_is_acknowledged() {
    let context = context();
    let [neighbour, _] = neighbours_of("a");
    done(&context, &batch(vec![reading("a", 1), reading(&neighbour, 6)])).await;
    context.stores.states.evict("a");
    done(&context, &batch(vec![reading("a", 7), reading(&neighbour, 8)])).await;
    assert_eq!(loss(&context, "a"), (1, 7.0, true, Some(6)), "its row shows that there was a state");
    assert_eq!(loss(&context, &neighbour), (2, 7.0, false, None), "its slot has lost nothing else");
    done(&context, &readings("new", 9..10)).await;
    assert_eq!(loss(&context, "new"), (1, 9.0, false, None), "a new device has no row");
}

#[tokio::test]
async fn a_server_that_took_over_without_the_last_writes_is_noticed_at_the_commit() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    let old = context.stores.states.snapshot();
    done(&context, &readings("a", 4..6)).await;
    // It loads from the server that is about to go, and commits to the one with less.
    let states = context.stores.states.clone();
    context.states.write.before(async move { states.restore(old) });
    done(&context, &batch(vec![reading("b", 6), reading("a", 7)])).await;
    assert_eq!(loss(&context, "a"), (3, 4.0, true, Some(5)), "4 and 5 are missing");
    assert!(result(&context, "b").partial);
}

#[tokio::test]
async fn while_the_old_server_is_still_read_nothing_is_committed_to_the_one_with_less() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    let fewer = context.stores.states.snapshot();
    done(&context, &readings("a", 4..6)).await;
    let (before, acknowledged) = (rows(&context), progress(&context).await);
    let whole = context.stores.states.snapshot();
    for _ in 0..5 {
        let (states, whole) = (context.stores.states.clone(), whole.clone());
        context.states.read.before(async move { states.restore(whole) });
        let (states, fewer) = (context.stores.states.clone(), fewer.clone());
        context.states.write.before(async move { states.restore(fewer) });
    }
    crash(&context, &readings("a", 6..8)).await;
    assert_eq!(context.stores.states.snapshot(), fewer);
    assert_eq!((rows(&context), progress(&context).await), (before, acknowledged));
    done(&context, &readings("a", 6..8)).await;
    assert_eq!(loss(&context, "a"), (3, 16.0 / 3.0, true, Some(5)), "4 and 5 are missing");
}
