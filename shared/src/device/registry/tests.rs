use super::*;
use crate::device::profile::ProfileDocument;
use crate::platform::clock::ManualClock;
use crate::platform::errors::Remedy;

const START_MS: i64 = 1_795_218_892_020;

fn registry<'a>(
    store: &'a MemoryMasterData,
    clock: &'a ManualClock,
) -> Registry<&'a MemoryMasterData, &'a ManualClock> {
    clock.set(START_MS);
    Registry::new(store, clock, Duration::from_secs(30))
}

fn device(id: &str, profile: &str) -> Device {
    Device::new(id, profile, None)
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
async fn the_store_in_memory_passes_the_conformance_suite() {
    let store = MemoryMasterData::new();
    conformance::suite(&store, &store).await;
    let store = MemoryMasterData::new();
    conformance::directory_suite(&store, &store).await;
}

#[tokio::test]
async fn the_first_batch_of_devices_costs_two_reads_and_the_next_none() {
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
async fn unknown_and_invalid_devices_and_profiles_are_distinguished() {
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
    assert!(matches!(&resolved["bed-4"], Resolved::InvalidProfile(words) if words.contains("broken: versions")));
    assert!(matches!(&resolved["bed-5"], Resolved::InvalidDevice(words) if words.contains("profil")));
    assert!(matches!(&resolved["bed-6"], Resolved::InvalidDevice(words) if words.contains("stored under \"bed-6\"")));
}

#[tokio::test]
async fn a_change_takes_effect_when_the_cached_entry_expires() {
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
async fn a_new_device_takes_effect_sooner_than_a_change() {
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
async fn while_the_store_is_down_cached_entries_are_used_for_a_minute_and_no_longer() {
    let (store, clock) = (store(), ManualClock::default());
    let registry = registry(&store, &clock);
    registry.resolve(&["bed-1"]).await.unwrap();
    store.fail(Remedy::SlowDown);
    let reads = store.reads().len();
    clock.set(START_MS + 59_000);
    for _ in 0..3 {
        assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::Known(..)));
    }
    // The store was called once, and then not for a while.
    assert_eq!(store.reads().len(), reads + 1);
    clock.set(START_MS + 60_000);
    assert_eq!(registry.resolve(&["bed-1"]).await.unwrap_err().remedy, Remedy::SlowDown);
    store.recover();
    assert!(matches!(registry.resolve(&["bed-1"]).await.unwrap()["bed-1"], Resolved::Known(..)));
}

#[tokio::test]
async fn while_the_store_is_down_a_missing_device_is_an_error_and_not_unknown() {
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
async fn an_answer_from_another_cache_expires_by_the_time_of_its_reading() {
    /// A store with its own cache.
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
fn a_document_that_functions_would_reject_is_not_written() {
    for (bad, field) in [
        (device("", "vital"), "deviceId"),
        (device("bed/1", "vital"), "deviceId"),
        (device("bed\n1", "vital"), "deviceId"),
        (device(&"x".repeat(10_000), "vital"), "deviceId"),
        (device("bed-1", ""), "profile"),
        (Device::new("bed-1", "vital", Some("a+b")), "facility"),
        (Device { roams: vec!["home-1".to_owned(), "a/b".to_owned()], ..device("bed-1", "vital") }, "roams"),
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
fn a_facility_that_no_list_can_name_is_not_registered_and_one_of_earlier_is_still_read() {
    for name in ["Haus am See", "home,1", "*", "[home-1]", "\"home-1\""] {
        for (device, field) in [
            (Device::new("bed-1", "vital", Some(name)), "facility"),
            (Device { roams: vec!["home-2".to_owned(), name.to_owned()], ..device("bed-1", "vital") }, "roams"),
        ] {
            let is_anywhere = field == "roams" && name == ANYWHERE;
            assert_eq!(device_document(&device).is_ok(), is_anywhere, "{field} {name}");
            assert_eq!(parse_device(&serde_json::to_string(&device).unwrap()), Ok(device), "{field} {name}");
        }
    }
}

#[test]
fn a_key_is_parsed_as_it_is_written() {
    let key = Key::new(Kind::Device, "a#b");
    assert_eq!(key.to_string(), "device#a#b");
    assert_eq!(Key::parse("device#a#b"), Some(key));
    assert_eq!(Key::parse("dev#a"), None);
    assert_eq!(Key::parse("device"), None);
}
