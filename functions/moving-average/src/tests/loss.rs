//! Tests of what counts as a lost state, and how results show it.

use super::*;

#[tokio::test]
async fn a_loss_is_detected_for_each_metric_even_if_another_metric_came_first() {
    let context = context();
    let spo2 = |n| record(n, "a", json("a", n).replace("heart_rate", "spo2"));
    done(&context, &batch(vec![spo2(1), spo2(2)])).await;
    done(&context, &readings("a", 3..5)).await;
    context.states.port.lose_everything();
    done(&context, &readings("a", 5..6)).await;
    done(&context, &batch(vec![spo2(6)])).await;
    let rows = context.results.port.latest("a").await.unwrap();
    let latest: Vec<_> =
        rows.iter().map(|row| (row.item.metric(), row.average.count, row.partial, row.revision)).collect();
    assert_eq!(latest, [("heart_rate", 1, true, 3), ("spo2", 1, true, 3)]);
}

#[tokio::test]
async fn the_extent_of_a_loss_is_known_even_if_the_next_commit_failed() {
    let context = context();
    done(&context, &readings("a", [1, 2, 50])).await;
    context.states.port.lose_everything();
    let late = |sequence, n| batch(vec![record(sequence, "a", json("a", n))]);
    write_without_commit(&context, &late(60, 10)).await;
    for (sequence, n) in [(60, 10), (61, 11), (62, 12)] {
        done(&context, &late(sequence, n)).await;
    }
    let row = latest(&context, "a").await;
    let until = Some(50_000 + 1_795_218_840_000);
    assert_eq!((row.average.mean, row.partial, row.lost_until), (11.0, true, until), "50 is missing");
}

#[tokio::test]
async fn after_a_loss_a_late_reading_marks_the_history_of_its_interval_as_partial() {
    let context = context();
    done(&context, &readings("a", [10, 20, 70])).await;
    context.states.port.lose_everything();
    done(&context, &batch(vec![record(90, "a", json("a", 30))])).await;
    let rows = context.results.port.history("a", "heart_rate", 0, i64::MAX).await.unwrap();
    assert_eq!((rows.len(), rows[0].average.count, rows[0].partial), (1, 1, true), "10 and 20 are missing");
}

#[tokio::test]
async fn a_late_reading_that_does_not_change_the_latest_average_still_shows_a_loss() {
    let context = context();
    done(&context, &readings("a", [10, 20, 30])).await;
    let old = context.states.port.snapshot();
    done(&context, &readings("a", 40..41)).await;
    context.states.port.restore(old);
    done(&context, &batch(vec![record(50, "a", json("a", 5))])).await;
    done(&context, &readings("a", 60..61)).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial), (110.0 / 3.0, true), "40 is missing");
}

/// Writes the rows of a batch and commits no state.
async fn write_without_commit(context: &Test, batch: &Batch) {
    *context.states.write.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
    assert!(invoke(context, batch).await.is_some());
    *context.states.write.lock().unwrap() = None;
}

#[tokio::test]
async fn the_row_of_a_redelivered_record_shows_a_loss_if_it_counted_more_before() {
    let context = context();
    // The last reading repeats the second one. Only a state that has counted the second one knows this.
    let all: Vec<_> = [(1, 1), (2, 2), (3, 3), (4, 2)].map(|(sequence, n)| record(sequence, "a", json("a", n))).into();
    write_without_commit(&context, &batch(all.clone())).await;
    done(&context, &batch(all[..1].to_vec())).await;
    context.states.port.lose_everything();
    done(&context, &batch(all[1..].to_vec())).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial), (2.5, true), "1 is missing");
    assert!(row.revision > 3, "it continues from the row before");
}

#[tokio::test]
async fn a_row_with_a_loss_is_replaced_by_one_that_knows_the_extent_of_the_loss() {
    let context = context();
    done(&context, &readings("a", [1, 61])).await;
    let spo2 = record(62, "a", json("a", 62).replace("heart_rate", "spo2"));
    let late = record(63, "a", json("a", 10));
    write_without_commit(&context, &batch(vec![spo2.clone(), late.clone()])).await;
    context.states.port.lose_everything();
    for again in [spo2, late] {
        done(&context, &batch(vec![again])).await;
    }
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial, row.lost_until), (10.0, true, Some(61_000 + 1_795_218_840_000)));
    assert!(row.revision > 3, "it continues from the row before");
}

/// Loads the old states the first time, and the current states after that.
struct Thawed<'a> {
    old: Mutex<Option<&'a MemoryStates<DeviceState>>>,
    new: &'a MemoryStates<DeviceState>,
}

impl States for Thawed<'_> {
    type State = DeviceState;

    async fn load(&self, devices: &[&str]) -> Result<Vec<Loaded<DeviceState>>, RemoteError> {
        let old = self.old.lock().unwrap().take();
        old.unwrap_or(self.new).load(devices).await
    }

    async fn commit(&self, commits: &[Commit<'_, DeviceState>]) -> Result<Vec<Committed>, RemoteError> {
        self.new.commit(commits).await
    }
}

#[tokio::test]
async fn a_zombie_does_not_take_the_work_of_other_invocations_for_a_loss() {
    let context = context();
    done(&context, &readings("a", 1..3)).await;
    let old = MemoryStates::default();
    old.restore(context.states.port.snapshot());
    done(&context, &readings("a", 3..6)).await;
    done(&context, &readings("a", 6..9)).await;
    let rows = context.results.port.rows();
    let late = with_states(Thawed { old: Mutex::new(Some(&old)), new: &context.states.port });
    for row in rows.clone() {
        late.results.write(&[Write { row, over: None, revision: 0 }]).await.unwrap();
    }
    // Its batch has all the readings that the others processed in two batches.
    let response = handle(&late, &readings("a", 3..9), DEADLINE_MS).await;
    assert_ne!(response, Answer::DONE);
    assert_eq!(late.results.rows(), rows);
}

#[tokio::test]
async fn a_misrouted_record_that_is_redelivered_after_more_of_the_other_shard_is_not_a_loss() {
    let context = context();
    let spo2 = |sequence, n| record(sequence, "a", json("a", n).replace("heart_rate", "spo2"));
    done(&context, &readings("a", [10])).await;
    // After a reshard: one record is before the position of the other shard's record, which its row takes over, and one
    // is after it.
    let misrouted =
        Batch { shard: "shardId-000000000007".to_owned(), ..batch(vec![record(5, "a", json("a", 2)), spo2(20, 3)]) };
    write_without_commit(&context, &misrouted).await;
    done(&context, &batch(vec![spo2(12, 4)])).await;
    done(&context, &misrouted).await;
    let rows = context.results.port.latest("a").await.unwrap();
    let latest: Vec<_> = rows.iter().map(|row| (row.item.metric(), row.average.count, row.partial)).collect();
    assert_eq!(latest, [("heart_rate", 2, false), ("spo2", 2, false)]);
}
