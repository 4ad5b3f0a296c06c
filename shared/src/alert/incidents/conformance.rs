//! The conformance suite for stores of incidents.

use super::{Cursor, Incident, Incidents, LANES, Queue, ReadIncidents, Written};
use crate::alert::{Acknowledgement, Begin, Cleared, Kind, Severity};
use crate::platform::lane::lane;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_892_020;

fn silence(device_id: &str, by_ms: i64) -> Incident {
    Incident::silence(device_id, by_ms, Duration::from_secs(30), Some("home-3"), by_ms + 5_000)
}

async fn put(store: &impl Incidents, incident: &Incident) -> Written {
    store.put(incident).await.expect("put")
}

/// All open incidents in the lane of `device_id` of devices whose names begin with `prefix`, read page by page.
async fn open(store: &impl Incidents, device_id: &str, prefix: &str) -> Vec<Incident> {
    open_in(store, Queue::Silent, device_id, prefix).await
}

async fn open_in(store: &impl Incidents, queue: Queue, device_id: &str, prefix: &str) -> Vec<Incident> {
    let (mut all, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = store.open(queue, lane(device_id, LANES), after.as_ref(), 2).await.expect("open");
        assert!(page.incidents.len() <= 2, "a page has at most as many as requested");
        all.extend(page.incidents.into_iter().filter(|it| it.device_id.starts_with(prefix)));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Runs the suite against `store`, on devices whose names begin with `prefix` and that have no incident.
///
/// # Panics
/// If the store breaks the contract.
pub async fn suite(store: &(impl Incidents + ReadIncidents), prefix: &str) {
    let device = format!("{prefix}-ü #1");
    assert_eq!(store.open_of(&[&device]).await.expect("open_of"), [None]);
    let first = silence(&device, NOW_MS);
    let (_, over) = first.cleared(Cleared::Returned, NOW_MS + 60_000);
    assert_eq!(put(store, &over).await, Written::Conflict, "what was never raised cannot be cleared");

    assert_eq!(put(store, &first).await, Written::Done);
    assert_eq!(put(store, &first).await, Written::Done, "repeating a write succeeds");
    assert_eq!(
        put(store, &silence(&device, NOW_MS + 1)).await,
        Written::Conflict,
        "the device has an open incident already"
    );
    let found = store.open_of(&["unknown", &device]).await.expect("open_of");
    assert_eq!(found, [None, Some(first.clone())], "incidents come in the order of the ids");
    assert_eq!(open(store, &device, prefix).await, std::slice::from_ref(&first));

    let (_, other) = silence(&device, NOW_MS + 1).cleared(Cleared::Returned, NOW_MS + 2);
    assert_eq!(put(store, &other).await, Written::Conflict, "the device has another open incident");
    assert_eq!(put(store, &over).await, Written::Done);
    assert_eq!(put(store, &over).await, Written::Done, "repeating a write succeeds");
    assert_eq!(put(store, &first).await, Written::Conflict, "an incident that is over stays over");
    assert_eq!(store.open_of(&[&device]).await.expect("open_of"), [None]);
    assert_eq!(open(store, &device, prefix).await, []);

    let nowhere = Incident { facility: None, ..silence(&device, NOW_MS + 90_000) };
    assert_eq!(put(store, &nowhere).await, Written::Done, "a new incident replaces one that is over");
    assert_eq!(open(store, &device, prefix).await, [nowhere]);

    check_rules(store, prefix).await;
    check_pages(store, prefix).await;
    check_acknowledgement(store, prefix).await;
    check_facilities(store, prefix).await;
}

async fn check_rules(store: &impl Incidents, prefix: &str) {
    let device = format!("{prefix}-rules");
    let found = |rule: &str, order: i64| {
        let since_ms = NOW_MS + order;
        let begin = Begin {
            rule: rule.to_owned(),
            kind: Kind::Threshold,
            severity: Severity::Critical,
            metric: "body_temperature".to_owned(),
            since_ms,
            value: Some(39.25),
            limit: (rule == "fever").then_some(38.5),
            detail: "39.25 °C".to_owned(),
        };
        Incident::found(&begin, &device, Some("home-3"), &format!("{order:04}"), since_ms + 1_000)
    };
    assert_eq!(store.last(&device, "fever").await.expect("last"), None);
    let (fever, cold) = (found("fever", 10), found("cold", 3));
    assert_eq!(put(store, &silence(&device, NOW_MS)).await, Written::Done);
    assert_eq!(put(store, &fever).await, Written::Done, "each rule has incidents of its own");
    assert_eq!(put(store, &cold).await, Written::Done);
    assert_eq!(put(store, &found("fever", 11)).await, Written::Conflict, "one of a rule at a time");
    assert_eq!(store.last(&device, "fever").await.expect("last"), Some(fever.clone()));
    assert_eq!(open_in(store, Queue::Rules, &device, &device).await, [cold.clone(), fever.clone()]);
    assert_eq!(open(store, &device, &device).await.len(), 1, "silences have a queue of their own");

    let (_, over) = fever.ended("37 °C".to_owned(), "0020", NOW_MS + 60_000);
    assert_eq!(put(store, &over).await, Written::Done);
    assert_eq!(store.last(&device, "fever").await.expect("last"), Some(over));
    assert_eq!(put(store, &found("fever", 15)).await, Written::Conflict, "an older one does not come back");
    assert_eq!(open_in(store, Queue::Rules, &device, &device).await, [cold]);
    assert_eq!(put(store, &found("fever", 21)).await, Written::Done);
}

async fn check_pages(store: &impl Incidents, prefix: &str) {
    let prefix = format!("{prefix}-pages");
    let names = (0..).map(|n| format!("{prefix}-{n}"));
    let devices: Vec<String> = names.filter(|name| lane(name, LANES) == 7).take(5).collect();
    // Some were raised at the same time.
    for (device, minute) in devices.iter().zip([4, 1, 2, 2, 3]) {
        assert_eq!(put(store, &silence(device, NOW_MS - 10_000_000 + minute * 60_000)).await, Written::Done);
    }
    let found = open(store, &devices[0], &prefix).await;
    let mut found: Vec<&str> = found.iter().map(|it| it.device_id.as_str()).collect();
    assert_eq!((found[0], found[3], found[4]), (devices[1].as_str(), devices[4].as_str(), devices[0].as_str()));
    found.sort_unstable();
    let mut devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    devices.sort_unstable();
    assert_eq!(found, devices, "each is on exactly one page");
}

async fn check_acknowledgement(store: &(impl Incidents + ReadIncidents), prefix: &str) {
    let device = format!("{prefix}-acknowledged");
    let by = |who: &str, at_ms: i64| Acknowledgement { by: who.to_owned(), at_ms };
    let acknowledge = async |incident: &Incident, by: &Acknowledgement| {
        let stored = store.acknowledge(&device, incident.rule.as_deref(), &incident.id, by).await.expect("acknowledge");
        stored.map(|stored| (stored.cleared_ms, stored.acknowledged))
    };
    let first = silence(&device, NOW_MS);
    let alice = by("alice", NOW_MS + 6_000);
    assert_eq!(acknowledge(&first, &alice).await, None, "nothing is stored yet, and nothing is stored by this");
    assert_eq!(store.of_device(&device).await.expect("of_device"), []);

    assert_eq!(put(store, &first).await, Written::Done);
    assert_eq!(acknowledge(&first, &alice).await, Some((None, Some(alice.clone()))));
    assert_eq!(
        acknowledge(&first, &by("bob", NOW_MS + 7_000)).await,
        Some((None, Some(alice.clone()))),
        "the first counts"
    );
    let known = Incident { acknowledged: Some(alice.clone()), ..first.clone() };
    assert_eq!(store.of_device(&device).await.expect("of_device"), std::slice::from_ref(&known));
    assert_eq!(store.open_of(&[&device]).await.expect("open_of"), [Some(known)]);

    // A detector knows nothing of it, or has read the incident before.
    assert_eq!(put(store, &first).await, Written::Done);
    let (_, over) = first.cleared(Cleared::Returned, NOW_MS + 60_000);
    assert_eq!(put(store, &over).await, Written::Done);
    let kept = Some((over.cleared_ms, Some(alice.clone())));
    assert_eq!(acknowledge(&first, &by("bob", NOW_MS + 61_000)).await, kept, "what detectors write leaves it");
    assert_eq!(
        store.open_of(&[&device]).await.expect("open_of"),
        [None],
        "an incident that is over does not open again"
    );

    let second = silence(&device, NOW_MS + 90_000);
    assert_eq!(put(store, &second).await, Written::Done);
    assert_eq!(
        store.of_device(&device).await.expect("of_device"),
        std::slice::from_ref(&second),
        "it is another incident"
    );
    assert_eq!(acknowledge(&first, &alice).await, None, "and the one before is gone");
    let (_, over) = second.cleared(Cleared::Returned, NOW_MS + 99_000);
    assert_eq!(put(store, &over).await, Written::Done);
    let unnoticed = Some((over.cleared_ms, None));
    assert_eq!(acknowledge(&second, &alice).await, unnoticed, "what is over needs no notice");
}

async fn check_facilities(store: &(impl Incidents + ReadIncidents), prefix: &str) {
    let facility = format!("{prefix}-home");
    let silence = |n: i64, raised_ms: i64| Incident {
        facility: Some(facility.clone()),
        raised_ms,
        ..silence(&format!("{prefix}-in-{n}"), NOW_MS)
    };
    let raised = [10, 20, 20, 20, 30];
    for (n, raised_ms) in (0..).zip(raised) {
        assert_eq!(put(store, &silence(n, raised_ms)).await, Written::Done);
    }
    let (_, over) = silence(4, 30).cleared(Cleared::Returned, NOW_MS + 60_000);
    assert_eq!(put(store, &over).await, Written::Done);
    let read = async |range, limit| {
        let found = store.of_facility(&facility, range, limit).await.expect("of_facility");
        (found.incidents.iter().map(|it| it.raised_ms).collect::<Vec<_>>(), found.has_more)
    };
    assert_eq!(read(0..=i64::MAX, 9).await, (vec![30, 20, 20, 20, 10], false), "those that are over too");
    assert_eq!(read(0..=i64::MAX, 1).await, (vec![30], true));
    assert_eq!(read(0..=i64::MAX, 2).await, (vec![30, 20, 20, 20], true), "all of the same millisecond");
    assert_eq!(read(20..=29, 3).await, (vec![20, 20, 20], false), "both ends belong to the times");
    assert_eq!(read(40..=50, 3).await, (vec![], false));
    let elsewhere = store.of_facility(&format!("{prefix}-none"), 0..=i64::MAX, 3).await.expect("of_facility");
    assert_eq!(elsewhere.incidents, []);
    let mut open: Vec<i64> = store.open_in(&facility).await.expect("open_in").iter().map(|it| it.raised_ms).collect();
    open.sort_unstable();
    assert_eq!(open, [10, 20, 20, 20]);
}
