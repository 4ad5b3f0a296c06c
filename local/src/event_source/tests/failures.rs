//! Tests what a mapping does when an invocation fails.

use super::*;

fn fails_on(bad: &'static str) -> impl FnMut(&Call) -> Answer {
    move |call| if call.data.iter().any(|data| data == bad) { fails() } else { Ok("{}".to_owned()) }
}

fn fails_first(mut times: u32) -> impl FnMut(&Call) -> Answer {
    move |_| {
        if times == 0 {
            return Ok("{}".to_owned());
        }
        times -= 1;
        fails()
    }
}

/// "If your function returns an error, Lambda retries the batch until processing succeeds or the data expires."
/// "It stops processing additional records in a shard if your function returns an error."
#[test]
fn by_default_the_same_batch_is_retried_until_it_succeeds_and_blocks_its_shard() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=3);
        let scene = Scene::start(sim, &stream, |settings| settings.batch_size = 2, fails_first(20));
        scene.settled().await;
        let mut expected = vec!["1 2"; 21];
        expected.push("3");
        assert_eq!(scene.batches(), expected);
    });
}

/// "`MaximumRetryAttempts`: The maximum number of times that Lambda retries when the function returns an error."
/// "If the error handling measures fail, Lambda discards the records and continues processing batches".
#[test]
fn a_batch_is_discarded_after_its_retries_with_the_whole_event() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=4);
        let configure = |settings: &mut Settings| {
            settings.batch_size = 2;
            settings.max_retries = Some(2);
        };
        let scene = Scene::start(sim, &stream, configure, fails_on("2"));
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2", "1 2", "1 2", "3 4"]);
        assert_eq!(scene.discarded(), [("1 2".to_owned(), "RetryAttemptsExhausted".to_owned())]);
        let object = scene.destination.0.lock().unwrap()[0].clone();
        assert_eq!(object["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(object["KinesisBatchInfo"]["batchSize"], 2);
    });
}

/// "This doesn't apply to service errors or throttles where the batch didn't reach the function."
#[test]
fn a_throttled_invocation_does_not_count_as_a_retry() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=1);
        let mut throttles = 5;
        let answer = move |_: &Call| {
            throttles -= 1;
            if throttles >= 0 { Err(InvokeError::Throttled) } else { Ok("{}".to_owned()) }
        };
        let scene = Scene::start(sim, &stream, |settings| settings.max_retries = Some(0), answer);
        scene.settled().await;
        assert_eq!(scene.discarded(), []);
        let status = scene.handle.status();
        assert_eq!((status.throttles, status.invocations, status.processed), (5, 1, 1));
    });
}

/// "Lambda retries until the records in the batch expire, exceed the maximum age, or reach the configured retry quota."
#[test]
fn records_that_are_too_old_are_discarded_and_the_younger_ones_of_their_batch_are_delivered() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        stream.put("key", b"old", START_MS - 50_000);
        stream.put("key", b"young", START_MS);
        let scene =
            Scene::start(sim, &stream, |settings| settings.max_age = Some(Duration::from_mins(1)), fails_on("old"));
        scene.settled().await;
        assert_eq!(scene.discarded(), [("old".to_owned(), "RecordAgeExceeded".to_owned())]);
        let batches = scene.batches();
        assert_eq!(batches.first().map(String::as_str), Some("old young"));
        assert_eq!(batches.last().map(String::as_str), Some("young"));
    });
}

/// "Splitting a batch does not count towards the retry quota." "Retrying with smaller batches isolates bad records".
#[test]
fn bisecting_isolates_the_bad_record_without_using_up_retries() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=8);
        let configure = |settings: &mut Settings| {
            settings.bisect = true;
            settings.max_retries = Some(1);
        };
        let scene = Scene::start(sim, &stream, configure, fails_on("6"));
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2 3 4 5 6 7 8", "1 2 3 4", "5 6 7 8", "5 6", "5", "6", "6", "7 8"]);
        assert_eq!(scene.discarded(), [("6".to_owned(), "RetryAttemptsExhausted".to_owned())]);
    });
}

/// "Lambda uses the record with the lowest sequence number as the checkpoint. Lambda then retries all records starting
/// from that checkpoint."
#[test]
fn a_partial_failure_is_retried_from_its_lowest_sequence_number() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=5);
        let mut first = true;
        let answer = move |call: &Call| {
            if std::mem::take(&mut first) { failed_items(call, &["5", "3"]) } else { Ok("{}".to_owned()) }
        };
        let scene = Scene::start(sim, &stream, |settings| settings.report_batch_item_failures = true, answer);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2 3 4 5", "3 4 5"]);
        assert_eq!(scene.handle.status().processed, 5);
    });
}

/// "Lambda treats a batch as a complete failure if you return […] an empty string `itemIdentifier`".
#[test]
fn an_empty_item_identifier_fails_the_whole_batch() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=2);
        let mut first = true;
        let answer = move |_: &Call| {
            let bad = r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#;
            Ok(if std::mem::take(&mut first) { bad } else { "{}" }.to_owned())
        };
        let scene = Scene::start(sim, &stream, |settings| settings.report_batch_item_failures = true, answer);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2", "1 2"]);
    });
}

/// "When a partial batch success response is received and both `BisectBatchOnFunctionError` and
/// `ReportBatchItemFailures` are turned on, the batch is bisected at the returned sequence number and Lambda retries
/// only the remaining records."
#[test]
fn with_bisecting_a_partial_failure_splits_the_batch_at_the_failed_record() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=8);
        let configure = |settings: &mut Settings| {
            (settings.bisect, settings.report_batch_item_failures) = (true, true);
            settings.max_retries = Some(0);
        };
        let answer = |call: &Call| {
            if call.data.iter().any(|data| data == "6") { failed_items(call, &["6"]) } else { Ok("{}".to_owned()) }
        };
        let scene = Scene::start(sim, &stream, configure, answer);
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2 3 4 5 6 7 8", "6 7 8", "6", "7 8"]);
        assert_eq!(scene.discarded(), [("6".to_owned(), "RetryAttemptsExhausted".to_owned())]);
    });
}

/// "If your invocation fails and `BisectBatchOnFunctionError` is turned on, the batch is bisected regardless of your
/// `ReportBatchItemFailures` setting."
#[test]
fn a_failed_invocation_is_bisected_in_the_middle_even_with_partial_batch_responses() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=4);
        let configure = |settings: &mut Settings| (settings.bisect, settings.report_batch_item_failures) = (true, true);
        let scene = Scene::start(sim, &stream, configure, fails_first(1));
        scene.settled().await;
        assert_eq!(scene.batches(), ["1 2 3 4", "1 2", "3 4"]);
    });
}

#[test]
fn waits_between_retries_grow_up_to_a_limit() {
    simulated(async |sim| {
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=1);
        let scene = Scene::start(sim, &stream, |_| (), fails_first(12));
        scene.settled().await;
        let at: Vec<_> = scene.calls().iter().map(|call| call.at_ms).collect();
        let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0] - 10).collect();
        let backoff = settings().backoff;
        for (index, wait) in waits.iter().enumerate() {
            let longest =
                (backoff.base.as_millis() as i64 * 2_i64.pow(index as u32)).min(backoff.cap.as_millis() as i64);
            assert!((longest / 2..=longest).contains(wait), "wait {index} is {wait} ms; the limit is {longest} ms");
        }
    });
}

#[test]
fn no_record_is_lost_when_calls_to_the_stream_fail() {
    simulated(async |sim| {
        #[derive(Clone)]
        struct Flaky(MemoryStream, Arc<Mutex<u32>>);
        impl Flaky {
            fn fault(&self, operation: &str) -> Result<(), RemoteError> {
                let mut calls = self.1.lock().unwrap();
                *calls += 1;
                if calls.is_multiple_of(3) { Ok(()) } else { Err(unavailable(operation)) }
            }
        }
        impl Source for Flaky {
            type Cursor = <MemoryStream as Source>::Cursor;
            async fn shards(&self) -> Result<Vec<Shard>, RemoteError> {
                self.fault("ListShards")?;
                self.0.shards().await
            }
            async fn open(&self, shard: &str, from: ReadFrom) -> Result<Self::Cursor, RemoteError> {
                self.fault("GetShardIterator")?;
                self.0.open(shard, from).await
            }
            async fn read(&self, cursor: &mut Self::Cursor, limit: usize) -> Result<Read, RemoteError> {
                self.fault("GetRecords")?;
                self.0.read(cursor, limit).await
            }
        }
        let stream = MemoryStream::new(1);
        put_numbers(&stream, 1..=3);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(|_: &Call| Ok("{}".to_owned())));
        let fake = Fake { clock: sim.clone(), calls: Arc::clone(&calls), answer, duration: Duration::ZERO };
        let stream = Flaky(stream, Arc::default());
        let mapping = Mapping::new(settings(), stream, fake, None::<MemoryDestination>, sim.clone(), 1).unwrap();
        let handle = mapping.handle();
        sim.spawn(mapping.run());
        assert!(handle.caught_up(START_MS).await);
        assert_eq!(handle.status().processed, 3);
    });
}
