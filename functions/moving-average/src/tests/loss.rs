//! What is told of a state that was lost, and what is not taken for a loss.

use super::*;

#[tokio::test]
async fn a_loss_is_told_for_each_metric_also_where_another_one_came_first() {
    let context = context();
    let spo2 = |n| record(n, "a", json("a", n).replace("heart_rate", "spo2"));
    done(&context, &batch(vec![spo2(1), spo2(2)])).await;
    done(&context, &readings("a", 3..5)).await;
    context.states.port.lose_everything();
    done(&context, &readings("a", 5..6)).await;
    done(&context, &batch(vec![spo2(6)])).await;
    let rows = context.results.port.latest("a").await.unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row.item.metric(), row.average.count, row.partial, row.revision)).collect();
    assert_eq!(told, [("heart_rate", 1, true, 3), ("spo2", 1, true, 3)]);
}

#[tokio::test]
async fn how_far_a_loss_reaches_is_known_also_when_the_commit_behind_it_did_not_come() {
    let context = context();
    done(&context, &readings("a", [1, 2, 50])).await;
    context.states.port.lose_everything();
    let late = |sequence, n| batch(vec![record(sequence, "a", json("a", n))]);
    without_commit(&context, &late(60, 10)).await;
    for (sequence, n) in [(60, 10), (61, 11), (62, 12)] {
        done(&context, &late(sequence, n)).await;
    }
    let row = latest(&context, "a").await;
    let until = Some(50_000 + 1_795_218_840_000);
    assert_eq!((row.average.mean, row.partial, row.lost_until), (11.0, true, until), "50 is missing");
}

#[tokio::test]
async fn after_a_loss_a_late_reading_flags_the_history_of_its_interval() {
    let context = context();
    done(&context, &readings("a", [10, 20, 70])).await;
    context.states.port.lose_everything();
    done(&context, &batch(vec![record(90, "a", json("a", 30))])).await;
    let rows = context.results.port.history("a", "heart_rate", 0, i64::MAX).await.unwrap();
    assert_eq!((rows.len(), rows[0].average.count, rows[0].partial), (1, 1, true), "10 and 20 are missing");
}

#[tokio::test]
async fn a_loss_is_told_also_by_a_late_reading_that_leaves_the_latest_average_alone() {
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
async fn without_commit(context: &Test, batch: &Batch) {
    *context.states.write.lock().unwrap() = Some(Fault::Before(Remedy::Retry));
    assert!(invoke(context, batch).await.is_some());
    *context.states.write.lock().unwrap() = None;
}

#[tokio::test]
async fn a_loss_is_told_by_the_row_of_a_record_that_comes_again_and_once_counted_more() {
    let context = context();
    // The last one repeats the second, which is known only to who has counted it.
    let all: Vec<_> = [(1, 1), (2, 2), (3, 3), (4, 2)].map(|(sequence, n)| record(sequence, "a", json("a", n))).into();
    without_commit(&context, &batch(all.clone())).await;
    done(&context, &batch(all[..1].to_vec())).await;
    context.states.port.lose_everything();
    done(&context, &batch(all[1..].to_vec())).await;
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial), (2.5, true), "1 is missing");
    assert!(row.revision > 3, "that of the row before");
}

#[tokio::test]
async fn a_row_that_tells_of_a_loss_gives_way_to_one_that_knows_how_far_it_reaches() {
    let context = context();
    done(&context, &readings("a", [1, 61])).await;
    let spo2 = record(62, "a", json("a", 62).replace("heart_rate", "spo2"));
    let late = record(63, "a", json("a", 10));
    without_commit(&context, &batch(vec![spo2.clone(), late.clone()])).await;
    context.states.port.lose_everything();
    for again in [spo2, late] {
        done(&context, &batch(vec![again])).await;
    }
    let row = latest(&context, "a").await;
    assert_eq!((row.average.mean, row.partial, row.lost_until), (10.0, true, Some(61_000 + 1_795_218_840_000)));
    assert!(row.revision > 3, "that of the row before");
}

/// A state that is loaded as it was, and then as it is.
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
async fn a_zombie_takes_what_others_did_meanwhile_for_no_loss() {
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
    // It was given all of what the others took in two batches.
    let response = handle(&late, &readings("a", 3..9), DEADLINE_MS).await;
    assert_ne!(response, Answer::DONE);
    assert_eq!(late.results.rows(), rows);
}

#[tokio::test]
async fn what_came_astray_and_comes_again_behind_more_of_the_other_shard_is_no_loss() {
    let context = context();
    let spo2 = |sequence, n| record(sequence, "a", json("a", n).replace("heart_rate", "spo2"));
    done(&context, &readings("a", [10])).await;
    // After a reshard: behind the other shard's record, whose position its row takes, and one that is further.
    let astray =
        Batch { shard: "shardId-000000000007".to_owned(), ..batch(vec![record(5, "a", json("a", 2)), spo2(20, 3)]) };
    without_commit(&context, &astray).await;
    done(&context, &batch(vec![spo2(12, 4)])).await;
    done(&context, &astray).await;
    let rows = context.results.port.latest("a").await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.item.metric(), row.average.count, row.partial)).collect();
    assert_eq!(told, [("heart_rate", 2, false), ("spo2", 2, false)]);
}
