//! Tests what a batch contains, and when it is delivered.

use super::*;

fn succeeds(_: &Call) -> Answer {
    Ok("{}".to_owned())
}

/// "`BatchSize`: the number of records to send to the function in each batch, up to 10,000."
#[test]
fn a_batch_has_at_most_the_batch_size() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=5);
        let scene = Scene::start(sim, &stream, |settings| settings.batch_size = 2, succeeds);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2", "3 4", "5"]);
    });
}

/// "If the batch that Lambda reads from the event source has only one record in it, Lambda sends only one record to
/// the function."
#[test]
fn without_a_batching_window_a_batch_does_not_wait_for_more_records() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        let scene = Scene::start(sim, &stream, |_| (), succeeds);
        put_numbers(&stream, 1..=1);
        scene.settled().await;
        put_numbers(&stream, 2..=2);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1", "2"]);
    });
}

/// "Before invoking the function, Lambda continues to read records from the event source until it has gathered a full
/// batch, the batching window expires, or the batch reaches the payload limit of 6 MB."
#[test]
fn a_batching_window_gathers_until_it_expires_or_the_batch_is_full() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        let configure = |settings: &mut Settings| {
            settings.window = Duration::from_secs(10);
            settings.batch_size = 3;
        };
        put_numbers(&stream, 1..=1);
        let scene = Scene::start(sim, &stream, configure, succeeds);
        sim.sleep(Duration::from_secs(4)).await;
        put_numbers(&stream, 2..=2);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2"]);
        assert_eq!(scene.calls()[0].at_ms - START_MS, 10_000);
        put_numbers(&stream, 3..=5);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2", "3 4 5"]);
        assert!(scene.calls()[1].at_ms - START_MS < 15_000, "a full batch is delivered at once");
    });
}

/// The payload limit counts the event as it is sent, with the data as base64.
#[test]
fn a_batch_ends_before_its_event_exceeds_six_megabytes() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        (0..6).for_each(|_| _ = stream.put("key", &vec![b'x'; 1_000_000], START_MS));
        let scene = Scene::start(sim, &stream, |_| (), succeeds);
        scene.settled().await;
        // A million bytes are 1.33 million in base64: four of them fit.
        assert_eq!(scene.calls().iter().map(|call| call.data.len()).collect::<Vec<_>>(), [4, 2]);
    });
}

#[test]
fn a_record_over_the_payload_limit_goes_to_the_destination_and_does_not_block_the_others() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        stream.put("key", &vec![b'x'; 5_000_000], START_MS);
        put_numbers(&stream, 1..=1);
        let scene = Scene::start(sim, &stream, |_| (), succeeds);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1"]);
        assert_eq!(scene.discarded()[0].1, "PayloadTooLarge");
        assert_eq!(scene.handle.status().discarded, 1);
    });
}

/// "Latest – Process new records that are added to the stream."
#[test]
fn latest_begins_with_the_records_that_arrive_later() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=2);
        let scene =
            Scene::start(sim, &stream, |settings| settings.starting_position = StartingPosition::Latest, succeeds);
        scene.settled().await;
        put_numbers(&stream, 3..=3);
        scene.settled().await;
        assert_eq!(scene.batches(), ["3"]);
    });
}

/// "At timestamp – Process records starting from a specific time."
#[test]
fn at_timestamp_begins_with_the_records_that_arrived_at_or_after_it() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        (1..=3).for_each(|n: i64| _ = stream.put("key", n.to_string().as_bytes(), START_MS + n));
        let from = StartingPosition::AtTimestamp(START_MS + 2);
        let scene = Scene::start(sim, &stream, |settings| settings.starting_position = from, succeeds);
        scene.settled().await;
        assert_eq!(scene.batches(), ["2 3"]);
    });
}

/// "Set to false to stop processing records. Lambda keeps track of the last record processed and resumes processing
/// from that point when it's reenabled."
#[test]
fn a_disabled_mapping_processes_nothing_and_later_continues_where_it_was() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=2);
        let scene = Scene::start(sim, &stream, |_| (), succeeds);
        scene.settled().await;
        scene.handle.set_enabled(false);
        put_numbers(&stream, 3..=4);
        sim.sleep(Duration::from_mins(10)).await;
        assert_eq!(scene.batches(), ["1 2"]);
        scene.handle.set_enabled(true);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2", "3 4"]);
    });
}

/// "If none of your filters are satisfied, Lambda discards the record."
#[test]
fn a_record_that_the_filter_drops_is_not_delivered_and_counts_as_processed() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        for data in [r#"{"kind":"vital"}"#, r#"{"kind":"door"}"#, "not JSON"] {
            stream.put("key", data.as_bytes(), START_MS);
        }
        let filter = Filter::new(&[r#"{"data":{"kind":["vital"]}}"#]).unwrap();
        let scene = Scene::start(sim, &stream, |settings| settings.filter = Some(filter), succeeds);
        scene.settled().await;
        assert_eq!(scene.batches(), [r#"{"kind":"vital"}"#]);
        let status = scene.handle.status();
        assert_eq!((status.processed, status.filtered, status.lag_records), (1, 2, 0));
    });
}

#[test]
fn stopping_waits_for_the_invocation_in_flight_and_another_mapping_resumes_after_it() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=4);
        let scene = Scene::start(sim, &stream, |settings| settings.batch_size = 2, succeeds);
        sim.sleep(Duration::from_millis(5)).await;
        let handle = scene.handle.clone();
        assert_eq!(handle.status().lag_records, 4);
        scene.stop().await;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(succeeds));
        let fake = Fake { clock: sim.clone(), calls: Arc::clone(&calls), answer, duration: Duration::ZERO };
        let mapping = Mapping::new(settings(), stream, fake, None::<MemoryDestination>, sim.clone(), 1).unwrap();
        let mapping = mapping.resuming(handle.progress());
        let handle = mapping.handle();
        sim.spawn(mapping.run());
        assert!(handle.caught_up(START_MS).await);
        assert_eq!(calls.lock().unwrap().iter().map(|call| call.data.join(" ")).collect::<Vec<_>>(), ["3 4"]);
    });
}

#[test]
fn an_error_names_the_setting_that_lambda_would_refuse() {
    let refused = |configure: fn(&mut Settings)| {
        let mut settings = settings();
        configure(&mut settings);
        settings.check().unwrap_err().to_string()
    };
    assert_eq!(refused(|settings| settings.batch_size = 10_001), "BatchSize is 10001: it must be from 1 to 10000");
    assert_eq!(
        refused(|settings| settings.max_age = Some(Duration::from_secs(59))),
        "MaximumRecordAgeInSeconds is 59: it must be -1 or from 60 to 604800"
    );
    assert!(refused(|settings| settings.parallelization = 11).starts_with("ParallelizationFactor is 11"));
    assert!(refused(|settings| settings.window = Duration::from_secs(301)).starts_with("MaximumBatchingWindow"));
    assert!(refused(|settings| settings.tumbling_window = Some(Duration::from_secs(901))).starts_with("Tumbling"));
}
