//! Buckets with unexpected objects: whatever an object holds, it is sent or skipped, and the other objects are sent all
//! the same.

use super::*;
use proptest::prelude::*;

/// The key and the body of an object of the right form with arbitrary values.
fn object() -> impl Strategy<Value = (String, Vec<u8>)> {
    let text = || prop_oneof![Just(String::new()), "[a-z0-9-]{1,30}", "\\PC{1,20}", "x{250,260}"];
    let data = || proptest::collection::vec(any::<u8>(), 0..40);
    let rule_error = (text(), text(), any::<i64>(), data()).prop_map(|(id, device, ms, data)| {
        let body = json!({
            "topic": format!("dt/myaku/home-1/{device}/vital"),
            "clientId": device,
            "base64OriginalPayload": STANDARD.encode(data),
            "failures": [{ "failedAction": "KinesisAction", "failedResource": "ingest" }],
        });
        (format!("rule-errors/{ms}-{id}.json"), body.to_string().into_bytes())
    });
    let letter = (0..7_usize, text(), any::<i64>(), data()).prop_map(|(number, partition_key, arrived_ms, data)| {
        let letter = letter(number, Reason::Undecodable);
        // The key of a letter has the hour of arrival.
        let key = letter.key();
        (key, DeadLetter { partition_key, arrived_ms, data, ..letter }.to_json())
    });
    let batch = (text(), any::<u32>(), data()).prop_map(|(partition_key, sequence, data)| {
        let event: serde_json::Value =
            serde_json::from_str(include_str!("../../../../events/kinesis-archiver.json")).unwrap();
        let mut record = event["Records"][0].clone();
        record["kinesis"]["partitionKey"] = json!(partition_key);
        record["kinesis"]["sequenceNumber"] = json!(sequence.to_string());
        record["kinesis"]["data"] = json!(STANDARD.encode(data));
        let body = json!({
            "requestContext": { "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:transform" },
            "payload": json!({ "Records": [record] }).to_string(),
        });
        (format!("aws/lambda/m/shardId-0/2026/11/21/2026-11-21T03.00.00-{sequence}"), body.to_string().into_bytes())
    });
    prop_oneof![rule_error, letter, batch]
}

/// Such an object, as it is or with some bytes of its body replaced.
fn damaged() -> impl Strategy<Value = (String, Vec<u8>)> {
    let damage = (any::<proptest::sample::Index>(), proptest::collection::vec(any::<u8>(), 0..4));
    (object(), proptest::option::of(damage)).prop_map(|((key, mut body), damage)| {
        if let Some((at, with)) = damage {
            let at = at.index(body.len());
            body.splice(at..=at, with);
        }
        (key, body)
    })
}

proptest! {
    #[test]
    fn no_object_stops_a_replay(objects in proptest::collection::vec(damaged(), 1..6)) {
        let bucket = bucket([letter(7, Reason::UnknownDevice)]);
        for (key, body) in objects {
            bucket.overwrite(&key, Stored { body: body.into(), ..Stored::default() });
        }
        let ever = i64::MIN + 1..i64::MAX;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let streams = Streams::default();
        let reports = runtime.block_on(async {
            let letters = Letters { bucket: bucket.clone(), reasons: Vec::new(), arrived_ms: ever.clone() };
            let errors = RuleErrors { bucket: bucket.clone(), received_ms: ever.clone() };
            let batches = Batches { bucket: bucket.clone(), function: None, given_up_ms: ever };
            [
                run(&letters, &streams, Some("all"), &mut unnoted()).await,
                run(&errors, &streams, Some("all"), &mut unnoted()).await,
                run(&batches, &streams, Some("all"), &mut unnoted()).await,
            ]
        });
        let reports: Vec<Report> = reports.into_iter().collect::<Result<_>>().unwrap();
        prop_assert!(reports[0].records.values().sum::<u64>() > 0, "{reports:?}");
        for (_, entry) in streams.get("all").0.records() {
            prop_assert!((1..=KEY_CHARS_MAX).contains(&entry.partition_key.chars().count()));
        }
    }
}
