//! Tests order: within a shard, within a partition key, and from parent shards to children.

use super::*;
use std::collections::BTreeSet;

fn slow_success(_: &Call) -> Answer {
    Ok("{}".to_owned())
}

/// "Lambda processes records in each shard in order." A shard has one batch at a time; different shards are concurrent.
#[test]
fn a_shard_has_one_invocation_at_a_time_and_shards_do_not_wait_for_each_other() {
    simulated(async |sim| {
        let stream = MemoryStream::new(2);
        (0..40).for_each(|n: u32| _ = stream.put(&format!("key-{n}"), n.to_string().as_bytes(), START_MS));
        let scene = Scene::start(sim, &stream, |settings| settings.batch_size = 5, slow_success);
        scene.settled().await;
        let calls = scene.calls();
        for shard in stream.open_shards() {
            let at: Vec<_> = calls.iter().filter(|call| call.shard == shard).map(|call| call.at_ms).collect();
            // Each invocation takes 10 ms.
            assert!(at.len() > 1 && at.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{at:?}");
        }
        assert!(calls.iter().any(|a| calls.iter().any(|b| a.shard != b.shard && a.at_ms == b.at_ms)));
    });
}

/// "Lambda can process up to 10 batches in each shard simultaneously. If you increase the number of concurrent batches
/// per shard, Lambda still ensures in-order processing at the" partition-key level.
#[test]
fn concurrent_batches_of_a_shard_never_share_a_partition_key() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        for n in 0..90_u32 {
            stream.put(&format!("key-{}", n % 10), n.to_string().as_bytes(), START_MS);
        }
        let configure = |settings: &mut Settings| (settings.parallelization, settings.batch_size) = (3, 4);
        let scene = Scene::start(sim, &stream, configure, slow_success);
        scene.settled().await;
        let calls = scene.calls();
        let keys = |call: &Call| {
            let records = call.event["Records"].as_array().unwrap();
            records.iter().map(|record| record["kinesis"]["partitionKey"].to_string()).collect::<BTreeSet<_>>()
        };
        let mut most = 1;
        for call in &calls {
            let same_time: Vec<_> = calls.iter().filter(|other| other.at_ms == call.at_ms).collect();
            most = most.max(same_time.len());
            for other in same_time.into_iter().filter(|other| other.sequences != call.sequences) {
                assert!(keys(call).is_disjoint(&keys(other)));
            }
        }
        assert_eq!(most, 3);
        for key in 0..10 {
            let of_key: Vec<u32> = calls.iter().flat_map(|call| &call.data).map(|data| data.parse().unwrap()).collect();
            let of_key: Vec<_> = of_key.into_iter().filter(|n| n % 10 == key).collect();
            assert!(of_key.is_sorted() && of_key.len() == 9, "{of_key:?}");
        }
    });
}

/// Kinesis: "If you don't process the parent shards first, your consumer might read records for a given partition key
/// out of order". Lambda reads a child only after its parents.
#[test]
fn children_wait_until_every_parent_is_processed() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=2);
        let parent = stream.open_shards()[0].clone();
        stream.split(&parent);
        put_numbers(&stream, 3..=4);
        let children = stream.open_shards();
        stream.merge(&children[0], &children[1]);
        put_numbers(&stream, 5..=6);
        let mut failures = 4;
        let answer = move |_: &Call| {
            failures -= 1;
            if failures > 0 { fails() } else { Ok("{}".to_owned()) }
        };
        let scene = Scene::start(sim, &stream, |_| (), answer);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2", "1 2", "1 2", "1 2", "3 4", "5 6"]);
        let status = scene.handle.status();
        assert_eq!(status.shards.values().filter(|shard| shard.ended).count(), 3);
    });
}

#[test]
fn with_latest_too_a_shard_that_is_created_later_is_read_from_its_beginning() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        let starting = StartingPosition::Latest;
        let scene = Scene::start(sim, &stream, |settings| settings.starting_position = starting, slow_success);
        scene.settled().await;
        put_numbers(&stream, 1..=1);
        stream.split(&stream.open_shards()[0]);
        put_numbers(&stream, 2..=2);
        stream.reshard_without_lineage(3);
        put_numbers(&stream, 3..=3);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1", "2", "3"]);
    });
}

#[test]
fn a_mapping_is_not_idle_while_a_child_waits_for_its_parent() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=1);
        stream.split(&stream.open_shards()[0]);
        let scene = Scene::start(sim, &stream, |_| (), |_| fails());
        sim.sleep(Duration::from_secs(30)).await;
        let status = scene.handle.status();
        assert!(!status.idle);
        assert_eq!(status.lag_records, 1);
        scene.stop().await;
    });
}
