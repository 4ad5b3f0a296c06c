//! Tests of slots that move to other shards.

use super::*;

/// The shards after the first split: `a` and `c` are in the first of them, `b` is in the second.
const LOW: &str = "shardId-000000000001";
const HIGH: &str = "shardId-000000000002";

fn of(shard: &str, records: Vec<StreamRecord>) -> Batch {
    Batch { shard: shard.to_owned(), ..batch(records) }
}

/// The parts of `progress` that each shard has.
async fn parts(context: &Test) -> Vec<(String, String)> {
    let acknowledged = progress(context).await.acknowledged;
    acknowledged.into_iter().map(|(shard, entry)| (shard, entry.slots.to_string())).collect()
}

#[tokio::test]
async fn a_child_takes_over_its_slots_and_goes_on() {
    let context = context();
    done(&context, &of(SHARD, vec![reading("a", 1), reading("b", 2), reading("a", 3)])).await;
    context.stores.stream.split(SHARD);
    done(&context, &of(LOW, vec![reading("a", 4)])).await;
    assert_eq!(outline(&context, "a"), (3, 8.0 / 3.0, false));
    assert_eq!(latest(&context, "a").shard, LOW);
    let part = |shard: &str, slots: &str| (shard.to_owned(), slots.to_owned());
    assert_eq!(parts(&context).await, [part(SHARD, "80-ff"), part(LOW, "00-7f")]);
    done(&context, &of(HIGH, vec![reading("b", 5)])).await;
    assert_eq!(outline(&context, "b"), (2, 3.5, false));
    assert_eq!(parts(&context).await, [part(LOW, "00-7f"), part(HIGH, "80-ff")]);
}

#[tokio::test]
async fn a_loss_before_a_split_is_found_by_both_children() {
    for is_lost_first in [true, false] {
        let context = context();
        done(&context, &of(SHARD, vec![reading("a", 1), reading("b", 2), reading("a", 3)])).await;
        if is_lost_first {
            context.stores.states.lose_everything();
        }
        context.stores.stream.split(SHARD);
        if !is_lost_first {
            // The other child is already further.
            done(&context, &of(HIGH, vec![reading("d", 3)])).await;
            context.stores.states.lose_everything();
        }
        done(&context, &of(LOW, vec![reading("a", 4)])).await;
        done(&context, &of(HIGH, vec![reading("b", 5)])).await;
        for device in ["a", "b"] {
            let MetricResult { average, partial, lost_until, .. } = result(&context, device);
            assert_eq!((average.count, partial, lost_until), (1, true, Some(at_ms(3))), "{device}");
        }
    }
}

#[tokio::test]
async fn states_from_before_the_child_are_found_to_be_old() {
    let context = context();
    done(&context, &readings("a", 1..4)).await;
    let old = context.stores.states.snapshot();
    context.stores.stream.split(SHARD);
    done(&context, &of(LOW, vec![reading("a", 4)])).await;
    context.stores.states.restore(old);
    done(&context, &of(LOW, vec![reading("a", 5)])).await;
    assert_eq!(outline(&context, "a"), (3, 10.0 / 3.0, true), "4 is missing");
}

#[tokio::test]
async fn a_merged_shard_goes_on_with_the_slots_of_both() {
    for is_lost in [false, true] {
        let context = Test::on(Stores::new(2));
        done(&context, &of(SHARD, vec![reading("a", 1)])).await;
        done(&context, &of(LOW, vec![reading("b", 2)])).await;
        context.stores.stream.merge(SHARD, LOW);
        if is_lost {
            context.stores.states.lose_everything();
        }
        done(&context, &of(HIGH, vec![reading("a", 3), reading("b", 4)])).await;
        let until = |device| result(&context, device).lost_until;
        if is_lost {
            assert_eq!((outline(&context, "a"), until("a")), ((1, 3.0, true), Some(at_ms(1))));
            assert_eq!((outline(&context, "b"), until("b")), ((1, 4.0, true), Some(at_ms(2))));
        } else {
            assert_eq!((outline(&context, "a"), outline(&context, "b")), ((2, 2.0, false), (2, 3.0, false)));
        }
        assert_eq!(parts(&context).await, [(HIGH.to_owned(), "00-ff".to_owned())]);
    }
}

/// Splits the shard. Both children go on.
async fn split(context: &Test) {
    context.stores.stream.split(SHARD);
    done(context, &of(LOW, vec![reading("a", 5)])).await;
    done(context, &of(HIGH, vec![reading("b", 6)])).await;
}

#[tokio::test]
async fn a_zombie_of_the_parent_neither_adds_nor_takes_back() {
    for point in zombies::POINTS {
        let (context, untouched) = (context(), context());
        let last = || of(SHARD, vec![reading("a", 3), reading("b", 4)]);
        for context in [&context, &untouched] {
            done(context, &of(SHARD, vec![reading("a", 1), reading("b", 2)])).await;
        }
        let (zombie, other, of_other) = (context.other(), context.other(), last());
        zombies::freeze(&zombie, point, async move {
            done(&other, &of_other).await;
            split(&other).await;
        });
        done(&zombie, &last()).await;
        done(&untouched, &last()).await;
        split(&untouched).await;
        for context in [&context, &untouched] {
            done(context, &of(LOW, vec![reading("a", 7)])).await;
            done(context, &of(HIGH, vec![reading("b", 8)])).await;
        }
        assert_eq!(rows(&context), rows(&untouched), "{point:?}");
        assert_eq!(progress(&context).await, progress(&untouched).await, "{point:?}");
        assert_eq!(context.stores.states.snapshot(), untouched.stores.states.snapshot(), "{point:?}");
    }
}

#[tokio::test]
async fn a_zombie_of_the_parent_leaves_the_child_what_it_has_not_written_yet() {
    for point in zombies::POINTS {
        let context = context();
        done(&context, &readings("a", [10, 20])).await;
        let (zombie, other) = (context.other(), context.other());
        zombies::freeze(&zombie, point, async move {
            done(&other, &readings("a", [30])).await;
            other.stores.stream.split(SHARD);
            other.results.write.fails(Fault::Before(Remedy::Retry));
            crash(&other, &of(LOW, vec![reading("a", 70)])).await;
        });
        done(&zombie, &readings("a", [30])).await;
        done(&context, &of(LOW, vec![reading("a", 70)])).await;
        let history = context.stores.results.row("a", Item::history(BEGIN_MS));
        let mean = history.map(|row| row.metrics["heart_rate"].average.mean);
        assert_eq!(mean, Some(20.0), "{point:?}");
        assert_eq!(latest(&context, "a").counted, 4, "{point:?}");
    }
}

#[tokio::test]
async fn a_record_that_was_not_put_per_slot_becomes_a_dead_letter() {
    let context = context();
    context.stores.stream.split(SHARD);
    done(&context, &of(HIGH, vec![reading("b", 1)])).await;
    done(&context, &of(LOW, vec![reading("a", 2), reading("b", 3), reading("c", 4)])).await;
    assert_eq!(outline(&context, "b"), (1, 1.0, false), "another shard may be at work on it");
    assert_eq!((outline(&context, "a"), outline(&context, "c")), ((1, 2.0, false), (1, 4.0, false)));
    let letters = context.letters.letters();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.position, letter.reason), (position(3), Reason::NotAMessage));
    assert!(letter.detail.contains("slot 92"), "{}", letter.detail);
}
