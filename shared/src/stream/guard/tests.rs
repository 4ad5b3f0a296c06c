use super::notes::memory::MemoryNotes;
use super::*;
use crate::lake::dead_letter::{MemoryDeadLetters, Reason};
use crate::platform::clock::ManualClock;
use crate::platform::errors::Remedy;
use crate::stream::batch::StreamRecord;
use crate::stream::kpl;
use proptest::prelude::*;

const ARRIVED_MS: i64 = 1_795_218_892_020;
const LATE_MS: i64 = ARRIVED_MS + SUSPECT_AFTER.as_millis() as i64;
const TIMEOUT_MS: i64 = 60_000;

type TestGuard = Guard<MemoryNotes, MemoryDeadLetters, ManualClock>;

fn guard() -> TestGuard {
    Guard::new("transform", MemoryNotes::default(), MemoryDeadLetters::new(), ManualClock::at(LATE_MS))
}

fn batch(records: u32) -> Batch {
    let record = |number: u32| StreamRecord {
        sequence: (100 + number).to_string().parse().unwrap(),
        partition_key: "k".into(),
        arrived_ms: ARRIVED_MS,
        data: kpl::encode([("a", &b"1"[..]), ("b", b"2")]).into(),
    };
    Batch { stream: "ingest".to_owned(), shard: "shard".to_owned(), records: (0..records).map(record).collect() }
}

/// How an invocation of the handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// A store is down.
    Retry,
    /// The process ends before the answer.
    Crash,
    /// A store never answers.
    Hang,
}

/// One delivery of `batch`, by its number. `None` if the invocation did not end.
async fn deliver(guard: &TestGuard, batch: &Batch, number: usize, end: End) -> Option<Answer> {
    let id = format!("invocation-{number}");
    let invocation = Invocation { id: &id, deadline_ms: guard.clock.now_ms() + TIMEOUT_MS };
    let handler = |_| async move {
        match end {
            End::Done => Answer::DONE,
            End::Retry => Answer::retry_from_record(batch, 0, &out_of_time("wait for a store")),
            End::Crash | End::Hang => std::future::pending().await,
        }
    };
    let work = Box::pin(guard.handle(batch, invocation, handler));
    match end {
        // Whatever runs in the process is gone.
        End::Crash => futures::FutureExt::now_or_never(work),
        _ => Some(work.await),
    }
}

#[test]
fn a_record_that_comes_alone_and_late_is_a_suspect() {
    let is_suspect = |records, now_ms| Suspect::of("transform", &batch(records), now_ms).is_some();
    assert_eq!([0, 1, 2].map(|records| is_suspect(records, LATE_MS)), [false, true, false]);
    assert_eq!([-1, 0].map(|ms| is_suspect(1, LATE_MS + ms)), [false, true]);
}

#[tokio::test]
async fn a_batch_that_is_not_a_suspect_costs_no_call_and_has_all_of_its_time() {
    let guard = Guard { clock: ManualClock::at(LATE_MS - 1), ..guard() };
    for records in [1, 2] {
        let invocation = Invocation { id: "a", deadline_ms: 77 };
        let handler = |deadline_ms| async move {
            assert_eq!(deadline_ms, 77);
            Answer::DONE
        };
        assert_eq!(guard.handle(&batch(records), invocation, handler).await, Answer::DONE);
    }
    assert_eq!(guard.notes.calls(), 0);
}

#[tokio::test]
async fn a_record_that_ends_five_invocations_in_a_row_is_set_aside_whole_and_unread() {
    let (guard, batch) = (guard(), batch(1));
    for number in 0..CRASHES_MAX {
        assert_eq!(deliver(&guard, &batch, number, End::Crash).await, None);
    }
    assert_eq!(deliver(&guard, &batch, CRASHES_MAX, End::Crash).await, Some(Answer::DONE), "it is not handled again");
    let [letter] = guard.aside.letters().try_into().unwrap();
    assert_eq!((letter.reason, letter.is_whole, &letter.data[..]), (Reason::Crashed, true, &batch.records[0].data[..]));
    assert_eq!(letter.detail, "5 invocations of transform in a row did not end when they handled it");
    assert_eq!(deliver(&guard, &batch, 9, End::Done).await, Some(Answer::DONE));
    assert_eq!(guard.aside.puts(), 1, "the notes are struck off, so that a replay of the batch is handled");
}

#[tokio::test]
async fn a_record_that_cannot_be_set_aside_is_tried_again_and_not_handled() {
    let (guard, batch) = (guard(), batch(1));
    for number in 0..CRASHES_MAX {
        deliver(&guard, &batch, number, End::Crash).await;
    }
    guard.aside.refuse("", Remedy::Retry);
    for number in 10..20 {
        let answer = deliver(&guard, &batch, number, End::Crash).await.unwrap();
        assert_eq!(answer.retry_from(), Some(batch.records[0].sequence));
    }
    guard.aside.recover();
    assert_eq!(deliver(&guard, &batch, 20, End::Crash).await, Some(Answer::DONE));
    assert_eq!(guard.aside.letters().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_an_outage() {
    let (guard, batch) = (guard(), batch(1));
    for number in 0..3 * CRASHES_MAX {
        let began = tokio::time::Instant::now();
        let answer = deliver(&guard, &batch, number, End::Hang).await.unwrap();
        assert_eq!(answer.retry_from(), Some(batch.records[0].sequence));
        let left = Duration::from_millis(TIMEOUT_MS as u64).saturating_sub(began.elapsed());
        assert!(left > CALL_TIME, "there is time to strike the record off: {left:?}");
    }
    assert_eq!(guard.aside.puts(), 0);
}

#[tokio::test]
async fn without_notes_a_batch_is_handled_and_nothing_is_set_aside() {
    let (guard, batch) = (guard(), batch(1));
    guard.notes.set_down(true);
    for number in 0..3 * CRASHES_MAX {
        deliver(&guard, &batch, number, End::Crash).await;
    }
    assert_eq!(deliver(&guard, &batch, 99, End::Done).await, Some(Answer::DONE));
    assert_eq!(guard.aside.puts(), 0);
}

#[tokio::test]
async fn what_was_answered_and_cannot_be_struck_off_does_not_count() {
    let (guard, batch) = (guard(), batch(1));
    guard.notes.keep(true);
    for number in 0..3 * CRASHES_MAX {
        assert_ne!(deliver(&guard, &batch, number, End::Retry).await, Some(Answer::DONE));
    }
    assert_eq!(guard.aside.puts(), 0);
    guard.notes.keep(false);
    assert_eq!(deliver(&guard, &batch, 99, End::Done).await, Some(Answer::DONE));
    for number in 100..100 + CRASHES_MAX {
        deliver(&guard, &batch, number, End::Crash).await;
    }
    deliver(&guard, &batch, 200, End::Crash).await;
    assert_eq!(guard.aside.puts(), 1, "crashes count again");
}

#[tokio::test]
async fn even_the_shortest_time_out_leaves_the_handler_some_time() {
    let (guard, batch) = (guard(), batch(1));
    let deadline_ms = LATE_MS + 2_000;
    let handler = |earlier_ms| async move {
        assert_eq!(earlier_ms, LATE_MS + 1_500);
        Answer::DONE
    };
    guard.handle(&batch, Invocation { id: "a", deadline_ms }, handler).await;
}

proptest! {
    #[test]
    fn a_record_is_set_aside_exactly_after_five_crashes_in_a_row_whatever_else_happens(
        ends in proptest::collection::vec(prop_oneof![3 => Just(End::Crash), 1 => Just(End::Retry)], 0..60),
        outages in proptest::collection::vec(proptest::bool::weighted(0.1), 60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (guard, batch) = (guard(), batch(1));
            let (mut in_a_row, mut is_known_answered) = (0, false);
            for (number, (end, is_down)) in ends.into_iter().zip(outages).enumerate() {
                guard.notes.set_down(is_down);
                let answer = deliver(&guard, &batch, number, end).await;
                if !is_down && in_a_row >= CRASHES_MAX && !is_known_answered {
                    prop_assert_eq!(answer, Some(Answer::DONE));
                    prop_assert_eq!(guard.aside.puts(), 1);
                    return Ok(());
                }
                prop_assert_ne!(answer, Some(Answer::DONE));
                prop_assert_eq!(guard.aside.puts(), 0);
                // While the notes are down, only the process knows that it had an answer.
                (in_a_row, is_known_answered) = match (end, is_down) {
                    (End::Crash, false) => (in_a_row + 1, false),
                    (End::Crash, true) => (in_a_row, false),
                    (_, false) => (0, false),
                    (_, true) => (in_a_row, true),
                };
                if end == End::Crash {
                    guard.answered().clear();
                }
            }
            Ok(())
        })?;
    }
}
