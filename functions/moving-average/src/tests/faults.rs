//! Tests with stores that fail, and with invocations that end in the middle.

use super::*;

#[tokio::test]
async fn with_any_fault_of_any_port_the_batch_is_retried_and_then_everything_counts_once() {
    let faults = [Fault::Before(Remedy::Retry), Fault::Before(Remedy::GiveUp), Fault::After, Fault::Hangs];
    for new in [context, slow_context] {
        for fault in faults {
            for port in 0..6 {
                let (context, untouched) = (new(), new());
                let mut next = punctual("a", 40..70);
                next.records.push(record(70, "a", "not a reading"));
                for context in [&context, &untouched] {
                    done(context, &punctual("a", 1..3)).await;
                }
                done(&untouched, &next).await;

                match context.switches().get(port) {
                    Some(switch) => switch.fails(fault),
                    None if fault == Fault::Hangs => context.letters.hang(),
                    None => context.letters.refuse("", Remedy::SlowDown),
                }
                // A tenth of a second is left to wait for a port that never answers.
                let response = handle(&context.context, &next, NOW_MS + 1_100).await;
                assert_eq!(retry_from(response).as_deref(), Some("40"), "{fault:?} at {port}");
                context.switches().into_iter().for_each(Switch::recovers);
                context.letters.recover();
                done(&context, &next).await;
                assert_eq!(outline(&context, "a"), (3, 68.0, false), "{fault:?} at {port}");
                assert_eq!(latest(&context, "a").counted, 32, "{fault:?} at {port}");
                assert_eq!(rows(&context), rows(&untouched), "{fault:?} at {port}");
                // What is kept until it is acknowledged is not kept any more after the next batch.
                for context in [&context, &untouched] {
                    done(context, &punctual("a", 71..73)).await;
                }
                assert_eq!(rows(&context), rows(&untouched), "{fault:?} at {port}");
                assert_eq!(context.stores.states.snapshot(), untouched.stores.states.snapshot());
                assert_eq!(progress(&context).await, progress(&untouched).await);
                assert_eq!(context.letters.letters().len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn readings_of_a_batch_that_was_given_up_before_its_rows_were_written_make_them_due_when_they_are_put_again() {
    for new in [context, slow_context] {
        let (context, untouched) = (new(), new());
        for context in [&context, &untouched] {
            done(context, &punctual("a", [10, 20])).await;
        }
        let closing = punctual("a", [70, 71]);
        done(&untouched, &closing).await;
        context.results.write.fails(Fault::Before(Remedy::Retry));
        crash(&context, &closing).await;
        context.results.write.recovers();
        // Lambda gives the batch up, and goes on with one in which the device is not.
        done(&context, &punctual("b", [72])).await;
        assert_eq!(context.stores.results.history("a", "heart_rate", 0, i64::MAX).await.unwrap(), []);

        let again = closing.records.into_iter().zip(80..);
        let again = again.map(|(was, n)| StreamRecord { arrived_ms: at_ms(73), ..record(n, "a", was.data.to_vec()) });
        done(&context, &batch(again.collect())).await;
        assert_eq!(outline(&context, "a"), outline(&untouched, "a"));
        let history = context.stores.results.history("a", "heart_rate", 0, i64::MAX).await.unwrap();
        assert_eq!((history.len(), history[0].metrics["heart_rate"].average.mean), (1, 15.0));
    }
}

#[tokio::test]
async fn after_a_crash_anywhere_the_same_rows_are_written_wherever_the_batch_is_cut() {
    let untouched = context();
    done(&untouched, &readings("a", 1..80)).await;
    for crashes_at in 0..5 {
        for fault in [Fault::Before(Remedy::Retry), Fault::After] {
            for cut in 41..80 {
                let context = context();
                done(&context, &readings("a", 1..41)).await;
                context.switches()[crashes_at].fails(fault);
                crash(&context, &readings("a", 41..70)).await;
                context.switches()[crashes_at].recovers();
                done(&context, &readings("a", 41..cut)).await;
                done(&context, &readings("a", cut..80)).await;
                assert_eq!(rows(&context), rows(&untouched), "{fault:?} at {crashes_at}, cut at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_was_due_when_the_invocation_ended_is_written_when_its_batch_is_delivered_again() {
    for crashes_at in [3, 4] {
        let context = slow_context();
        done(&context, &punctual("a", 1..3)).await;
        context.switches()[crashes_at].fails(Fault::Before(Remedy::Retry));
        crash(&context, &punctual("a", 40..50)).await;
        context.switches()[crashes_at].recovers();
        // The row was due at 49. It is written whatever the first batch is that reaches less far, as far, or further.
        done(&context, &punctual("a", 40..45)).await;
        let row = latest(&context, "a");
        assert_eq!((row.counted, row.position), (12, position(49)), "the state is already further");
        done(&context, &punctual("a", 45..55)).await;
        assert_eq!(latest(&context, "a").counted, 17, "the record of the row is not acknowledged yet");
        done(&context, &punctual("a", 55..60)).await;
        assert_eq!(latest(&context, "a").counted, 17, "now it is, and the next row waits");
    }
}

#[tokio::test]
async fn history_that_was_due_when_the_invocation_ended_is_written_when_its_batch_is_delivered_again() {
    let context = context();
    done(&context, &readings("a", [10, 20])).await;
    context.results.write.fails(Fault::Before(Remedy::Retry));
    crash(&context, &readings("a", [70, 80, 130])).await;
    context.results.write.recovers();
    done(&context, &readings("a", [70])).await;
    let mean = |minute: i64| {
        let row = context.stores.results.row("a", Item::history(BEGIN_MS + minute * 60_000))?;
        Some(row.metrics["heart_rate"].average.mean)
    };
    assert_eq!((mean(0), mean(1), mean(2)), (Some(15.0), Some(170.0 / 3.0), None));
}

#[tokio::test]
async fn a_shard_that_the_stream_does_not_list_is_tried_again() {
    let context = context();
    let batch = Batch { shard: "shardId-000000000009".to_owned(), ..readings("a", 1..3) };
    assert_eq!(invoke(&context, &batch).await.as_deref(), Some("1"));
    assert!(context.stores.states.snapshot().is_empty());
}
