//! The conformance suite of every store of cases.

use super::{Cases, LANES, Stored, change};
use crate::alert::case::{Case, Outcome, Recipients};
use crate::alert::{Contact, Incident, Via};
use jiff::tz::TimeZone;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_892_020;
/// How long an invocation may take.
const LEASE: i64 = 90_000;

/// Runs all checks against an empty store.
///
/// # Panics
/// If a check fails.
pub async fn suite(cases: &impl Cases) {
    let contacts = [Contact::new("nurse", Via::Topic, None)];
    let recipients = Recipients { contacts: &contacts, zone: &TimeZone::UTC, settle_ms: 60_000 };
    let incident = Incident::silence("bed-17", NOW_MS, Duration::from_secs(30), Some("home-3"), NOW_MS);
    let key = "device#bed-17#";
    let lane = self::lane(key);

    assert_eq!(cases.load(key).await.expect("load"), None);
    change(cases, key, |case| case.raise(&incident.raised(), &recipients, NOW_MS)).await.expect("change");
    let Stored { case, version } = cases.load(key).await.expect("load").expect("a case");
    let mut expected = Case::default();
    expected.raise(&incident.raised(), &recipients, NOW_MS);
    assert_eq!(case, expected);

    // A write on another version, or as the first one, changes nothing.
    for other in [None, Some(version + 1)] {
        assert!(!cases.store(key, &Case::default(), other).await.expect("store"));
    }
    assert!(cases.store(key, &case, Some(version)).await.expect("store"));
    assert!(!cases.store(key, &Case::default(), Some(version)).await.expect("store"), "the version has changed");

    // It is due at its time, in its lane, until nothing is.
    let due = async |now_ms| cases.due(lane, now_ms, 10).await.expect("due");
    assert!(due(NOW_MS - 1).await.is_empty());
    assert_eq!(due(NOW_MS).await, [key]);
    assert!(cases.due((lane + 1) % LANES, NOW_MS, 10).await.expect("due").is_empty());
    let claimed = change(cases, key, |case| case.claim(NOW_MS, NOW_MS + LEASE, false)).await.expect("change");
    assert!(due(NOW_MS).await.is_empty());
    assert_eq!(due(NOW_MS + LEASE).await, [key]);
    change(cases, key, |case| case.finish(&claimed[0].id, Outcome::Sent, NOW_MS)).await.expect("change");
    assert!(due(i64::MAX).await.is_empty());

    // The longest due comes first.
    let keys: Vec<String> =
        (0..).map(|n| format!("device#d{n}#")).filter(|key| self::lane(key) == lane).take(3).collect();
    for (index, key) in keys.iter().enumerate() {
        let at_ms = NOW_MS - index as i64;
        let incident = Incident::silence("d", at_ms, Duration::from_secs(30), None, at_ms);
        change(cases, key, |case| case.raise(&incident.raised(), &recipients, at_ms)).await.expect("change");
    }
    assert_eq!(cases.due(lane, NOW_MS, 2).await.expect("due"), [keys[2].as_str(), keys[1].as_str()]);
}

fn lane(key: &str) -> u8 {
    crate::platform::lane::lane(key, LANES)
}
