//! Tests of an invocation that goes on when others have long been at work: it timed out, and was only frozen.

use super::*;

/// Where an invocation can be frozen: before the call of a port, or after it.
pub(super) const POINTS: [(usize, bool); 10] =
    [(0, true), (0, false), (1, true), (1, false), (2, true), (2, false), (3, true), (3, false), (4, true), (4, false)];

/// Freezes `zombie` once at a point of its next batch. It goes on after `meanwhile`.
pub(super) fn freeze(
    zombie: &Test,
    (port, is_before): (usize, bool),
    meanwhile: impl Future<Output = ()> + Send + 'static,
) {
    let switch = zombie.switches()[port];
    if is_before { switch.before(meanwhile) } else { switch.after(meanwhile) }
}

#[tokio::test]
async fn a_zombie_adds_nothing_loses_nothing_and_overwrites_nothing() {
    for is_slow in [false, true] {
        let new = if is_slow { slow_context } else { context };
        for point in POINTS {
            let (context, untouched) = (new(), new());
            for context in [&context, &untouched] {
                done(context, &punctual("a", 1..3)).await;
            }
            done(&untouched, &punctual("a", 40..60)).await;
            done(&untouched, &punctual("a", 60..80)).await;
            done(&untouched, &batch(vec![record(90, "a", json("a", 10)), reading("b", 91)])).await;

            let (zombie, other) = (context.other(), context.other());
            freeze(&zombie, point, async move {
                done(&other, &punctual("a", 40..60)).await;
                done(&other, &punctual("a", 60..80)).await;
                done(&other, &batch(vec![record(90, "a", json("a", 10)), reading("b", 91)])).await;
            });
            done(&zombie, &punctual("a", 40..60)).await;
            // A row that waits may be written earlier than necessary.
            if !is_slow {
                assert_eq!(rows(&context), rows(&untouched), "{point:?}");
            }
            assert_eq!(progress(&context).await, progress(&untouched).await, "{point:?}");
            // Whoever is next finds the same state.
            for context in [&context, &untouched] {
                done(context, &punctual("a", 92..95)).await;
            }
            assert_eq!(rows(&context), rows(&untouched), "{point:?}");
            let states = |context: &Test| context.stores.states.snapshot();
            assert_eq!(states(&context), states(&untouched), "{point:?}");
        }
    }
}

#[tokio::test]
async fn a_zombie_does_not_take_the_work_of_other_invocations_for_a_loss() {
    for point in POINTS {
        let context = context();
        done(&context, &readings("a", 1..3)).await;
        let (zombie, other) = (context.other(), context.other());
        freeze(&zombie, point, async move {
            done(&other, &readings("a", 3..6)).await;
            done(&other, &readings("a", 6..9)).await;
        });
        // Its batch has all the readings that the others processed in two batches.
        done(&zombie, &readings("a", 3..9)).await;
        assert_eq!(outline(&context, "a"), (3, 7.0, false), "{point:?}");
        assert_eq!((latest(&context, "a").counted, progress(&context).await.lost_until.len()), (8, 0), "{point:?}");
    }
}

#[tokio::test]
async fn a_batch_that_conflicts_again_and_again_is_delivered_again() {
    let context = context();
    for n in 1..6 {
        let other = context.other();
        context.states.write.before(async move { done(&other, &readings("a", [n])).await });
    }
    assert_eq!(invoke(&context, &readings("a", [1, 9])).await.as_deref(), Some("1"));
    assert_eq!(
        (latest(&context, "a").counted, progress(&context).await.acknowledged[SHARD].position),
        (5, position(5))
    );
    done(&context, &readings("a", [1, 9])).await;
    assert_eq!(latest(&context, "a").counted, 6);
}

#[tokio::test]
async fn a_zombie_that_has_the_progress_from_before_a_loss_does_not_hide_it() {
    // Another try of the zombie's batch has put the fence where it was, and knows of the loss. The zombie does not.
    let [neighbour, _] = neighbours_of("a");
    for is_acknowledged in [false, true] {
        let context = context();
        done(&context, &readings(&neighbour, [1])).await;
        let (zombie, other) = (context.other(), context.other());
        let retried = readings("a", [2]);
        freeze(&zombie, (1, true), async move {
            other.stores.states.lose_everything();
            if is_acknowledged {
                done(&other, &retried).await;
            } else {
                other.results.write.fails(Fault::Before(Remedy::Retry));
                crash(&other, &retried).await;
            }
        });
        done(&zombie, &batch(vec![reading("a", 2), reading(&neighbour, 3)])).await;
        let result = result(&context, &neighbour);
        assert_eq!((result.average.count, result.partial, result.lost_until), (1, true, Some(at_ms(1))));
    }
}
