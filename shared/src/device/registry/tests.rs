use super::*;
use crate::device::profile::ProfileDocument;
use crate::platform::clock::ManualClock;
use crate::platform::errors::Remedy;

const START_MS: i64 = 1_795_218_892_020;

impl Now for &ManualClock {
    fn now_ms(&self) -> i64 {
        (**self).now_ms()
    }
}

fn registry<'a>(
    store: &'a MemoryMasterData,
    clock: &'a ManualClock,
) -> Registry<&'a MemoryMasterData, &'a ManualClock> {
    clock.set(START_MS);
    Registry::new(store, clock, Duration::from_secs(30))
}

fn device(id: &str, profile: &str) -> Device {
    Device { device_id: id.to_owned(), profile: profile.to_owned(), facility: None }
}

fn profile(id: &str) -> ProfileDocument {
    let json = format!(
        r#"{{"id":"{id}","metrics":{{"t":{{"unit":"°C"}}}},
            "versions":[{{"name":"1","format":"json","fields":[{{"metric":"t","from":"t"}}]}}]}}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// A store with the device `bed-1` and its profile.
fn store() -> MemoryMasterData {
    let store = MemoryMasterData::new();
    store.put_device(&device("bed-1", "vital"));
    store.put_profile(&profile("vital"));
    store
}

#[tokio::test]
async fn the_memory_store_does_what_every_store_does() {
    let store = MemoryMasterData::new();
    conformance::suite(&store, &store).await;
}

#[tokio::test]
async fn a_batch_of_devices_costs_two_reads_and_the_next_one_none() {
    let (store, clock) = (store(), ManualClock::default());
    let registry = registry(&store, &clock);
    store.put_device(&device("bed-2", "vital"));
    for _ in 0..2 {
        let resolved = registry.resolve(&["bed-1", "bed-2", "bed-1"]).await.unwrap();
        assert_eq!(resolved.len(), 2);
        assert!(matches!(&resolved["bed-2"], Resolved::Known(device, _) if device.device_id == "bed-2"));
    }
    assert_eq!(store.reads().iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn what_cannot_be_used_is_told_apart() {
    let (store, clock) = (store(), ManualClock::default());
    store.put_device(&device("bed-3", "nowhere"));
    store.put_device(&device("bed-4", "broken"));
    store.put_document(Key::new(Kind::Profile, "broken"), r#"{"id":"broken","versions":[]}"#);
    store.put_document(Key::new(Kind::Device, "bed-5"), r#"{"deviceId":"bed-5","profil":"vital"}"#);
    store.put_document(Key::new(Kind::Device, "bed-6"), r#"{"deviceId":"bed-1","profile":"vital"}"#);
    let registry = registry(&store, &clock);
    let ids = ["bed-1", "bed-2", "bed-3", "bed-4", "bed-5", "bed-6"];
    let resolved = registry.resolve(&ids).await.unwrap();
    assert!(matches!(&resolved["bed-1"], Resolved::Known(..)));
    assert!(matches!(&resolved["bed-2"], Resolved::UnknownDevice));
    assert!(matches!(&resolved["bed-3"], Resolved::UnknownProfile(name) if name == "nowhere"));
    assert!(matches!(&resolved["bed-4"], Resolved::InvalidProfile(told) if told.contains("broken: versions")));
    assert!(matches!(&resolved["bed-5"], Resolved::InvalidDevice(told) if told.contains("profil")));
    assert!(matches!(&resolved["bed-6"], Resolved::InvalidDevice(told) if told.contains("stored under \"bed-6\"")));
}

#[tokio::test]
async fn a_change_is_live_when_the_time_limit_is_over() {
    let (store, clock) = (store(), ManualClock::default());
    let registry = registry(&store, &clock);
    registry.resolve(&["bed-1"]).await.unwrap();
    store.put_device(&device("bed-1", "nowhere"));
    clock.set(START_MS + 29_999);
    assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::Known(..)));
    clock.set(START_MS + 30_000);
    assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::UnknownProfile(_)));
}

#[tokio::test]
async fn a_new_device_is_found_sooner_than_a_change() {
    let (store, clock) = (store(), ManualClock::default());
    let registry = registry(&store, &clock);
    assert!(matches!(registry.resolve(&["bed-9"]).await.unwrap()["bed-9"], Resolved::UnknownDevice));
    store.put_device(&device("bed-9", "vital"));
    clock.set(START_MS + 9_999);
    assert!(matches!(registry.resolve(&["bed-9"]).await.unwrap()["bed-9"], Resolved::UnknownDevice));
    clock.set(START_MS + 10_000);
    assert!(matches!(registry.resolve(&["bed-9"]).await.unwrap()["bed-9"], Resolved::Known(..)));
}

#[tokio::test]
async fn while_the_store_is_down_what_is_known_serves_for_a_minute_and_not_beyond() {
    let (store, clock) = (store(), ManualClock::default());
    let registry = registry(&store, &clock);
    registry.resolve(&["bed-1"]).await.unwrap();
    store.fail(Remedy::SlowDown);
    let reads = store.reads().len();
    clock.set(START_MS + 59_000);
    for _ in 0..3 {
        assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::Known(..)));
    }
    // It was asked once, and then left alone for a while.
    assert_eq!(store.reads().len(), reads + 1);
    clock.set(START_MS + 60_000);
    assert_eq!(registry.resolve(&["bed-1"]).await.unwrap_err().remedy, Remedy::SlowDown);
    store.recover();
    assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::Known(..)));
}

#[tokio::test]
async fn while_the_store_is_down_nothing_is_called_unknown() {
    let (store, clock) = (store(), ManualClock::default());
    let registry = registry(&store, &clock);
    registry.resolve(&["bed-1", "bed-9"]).await.unwrap();
    store.fail(Remedy::Retry);
    clock.set(START_MS + 10_000);
    assert!(registry.resolve(&["bed-1"]).await.is_ok());
    assert!(registry.resolve(&["bed-1", "bed-9"]).await.is_err());
    assert!(registry.resolve(&["bed-1", "bed-10"]).await.is_err());
}

#[tokio::test]
async fn an_answer_that_was_old_when_it_came_is_not_believed_for_longer() {
    /// A store behind a cache of its own.
    struct Old<'a>(&'a MemoryMasterData);
    impl MasterData for Old<'_> {
        async fn read(&self, keys: &[Key], now_ms: i64) -> Result<HashMap<Key, Stored>, RemoteError> {
            self.0.read(keys, now_ms - 20_000).await
        }
    }
    let (store, clock) = (store(), ManualClock::at(START_MS));
    let registry = Registry::new(Old(&store), &clock, Duration::from_secs(30));
    registry.resolve(&["bed-1"]).await.unwrap();
    store.remove(&Key::new(Kind::Device, "bed-1"));
    clock.set(START_MS + 10_000);
    assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::UnknownDevice));
}

#[test]
fn what_functions_would_not_take_is_not_written() {
    for (bad, field) in [
        (device("", "vital"), "deviceId"),
        (device("bed/1", "vital"), "deviceId"),
        (device("bed\n1", "vital"), "deviceId"),
        (device(&"x".repeat(10_000), "vital"), "deviceId"),
        (device("bed-1", ""), "profile"),
        (Device { facility: Some("a+b".to_owned()), ..device("bed-1", "vital") }, "facility"),
    ] {
        let problems = device_document(&bad).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), [field], "{bad:?}");
    }
    let mut bad = profile("vital");
    bad.versions.clear();
    assert!(!profile_document(&bad).unwrap_err().is_empty());
    assert_eq!(profile_document(&profile("")).unwrap_err()[0].field, "id");
}

#[test]
fn a_key_reads_as_it_is_written() {
    let key = Key::new(Kind::Device, "a#b");
    assert_eq!(key.to_string(), "device#a#b");
    assert_eq!(Key::parse("device#a#b"), Some(key));
    assert_eq!(Key::parse("dev#a"), None);
    assert_eq!(Key::parse("device"), None);
}
