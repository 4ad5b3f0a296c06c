use super::*;
use std::time::Duration;

const BY_MS: i64 = 1_795_218_892_020;

fn silence(device_id: &str, by_ms: i64, now_ms: i64) -> Incident {
    Incident::silence(device_id, by_ms, Duration::from_secs(30), Some("home-3"), now_ms)
}

#[test]
fn every_detection_of_one_silence_has_the_same_id() {
    let first = silence("bed-17", BY_MS, BY_MS + 10_000);
    assert_eq!(silence("bed-17", BY_MS, BY_MS + 70_000).raised().key(), first.raised().key());
    let others =
        [silence("bed-17", BY_MS + 1, BY_MS), silence("bed-1", BY_MS, BY_MS), silence("bed-17#1", BY_MS, BY_MS)];
    assert!(others.iter().all(|other| other.id != first.id));
    assert_ne!(first.raised().key(), first.cleared(Cleared::Returned, BY_MS).0.key());
}

#[test]
fn an_alert_is_json() {
    let incident = silence("bed-17", BY_MS, BY_MS + 40_000);
    insta::assert_snapshot!(serde_json::to_string(&incident.raised()).unwrap(), @r#"{"id":"0f90546300daa761ed81b48b934c1c9e","state":"raised","kind":"device-silent","severity":"warning","deviceId":"bed-17","facility":"home-3","since":1795218862020,"at":1795218932020,"detail":"bed-17 has not been heard for 70 s."}"#);
    let (alert, over) = incident.cleared(Cleared::Returned, BY_MS + 7_200_000);
    insta::assert_snapshot!(serde_json::to_string(&alert).unwrap(), @r#"{"id":"0f90546300daa761ed81b48b934c1c9e","state":"cleared","kind":"device-silent","severity":"warning","deviceId":"bed-17","facility":"home-3","since":1795218862020,"at":1795226092020,"detail":"bed-17 is heard again, after 2 hours."}"#);
    assert_eq!(over.cleared_ms, Some(BY_MS + 7_200_000));
    let (alert, _) = incident.cleared(Cleared::NotExpected, BY_MS);
    assert_eq!(alert.detail, "bed-17 is not expected to be heard any more.");
    let read: Alert = serde_json::from_str(&serde_json::to_string(&alert).unwrap()).unwrap();
    assert_eq!(read, alert);
}
