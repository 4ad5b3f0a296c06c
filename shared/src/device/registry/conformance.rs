//! The conformance suite for stores of master data.

use super::{
    Device, Directory, Facility, Key, Kind, MasterData, MasterDataWriter, Stored, device_document, facility_document,
};
use crate::alert::{Contact, Via};
use std::collections::BTreeSet;

/// The time of the first read.
const NOW_MS: i64 = 1_795_218_892_020;

fn device(n: usize) -> Device {
    Device { roams: vec!["Bach-1".to_owned()], ..Device::new(format!("bed-{n}"), "vital", Some("Händel-3")) }
}

/// Runs all checks against an empty store, which is read through `reader` and written through `writer`. Both may be the
/// same, or `reader` may read through caches.
///
/// # Panics
/// The store fails a check.
pub async fn suite(reader: &impl MasterData, writer: &impl MasterDataWriter) {
    nothing_is_found_in_an_empty_store(reader, writer).await;

    // Far more documents than one call reads or writes.
    let mut documents: Vec<_> = (0..230).map(|n| device_document(&device(n)).expect("a good device")).collect();
    // A key occurs twice: the last document counts.
    documents.insert(0, (Key::new(Kind::Device, "bed-7"), "{}".to_owned()));
    documents.push((Key::new(Kind::Profile, "vital"), "{\"é\":\"\\u0000\"}".to_owned()));
    writer.put(&documents).await.expect("put");

    let mut keys: Vec<_> = documents[1..].iter().map(|(key, _)| key.clone()).collect();
    keys.push(Key::new(Kind::Device, "bed-999"));
    // The same id with another kind is another key.
    keys.push(Key::new(Kind::Profile, "bed-1"));
    let read = reader.read(&keys, NOW_MS).await.expect("read");
    assert_eq!(read.len(), keys.len(), "the answer contains every key");
    for (key, document) in &documents[1..] {
        assert_eq!(read[key].document.as_ref(), Some(document), "{key}");
    }
    let absent = Stored { document: None, read_ms: NOW_MS };
    assert_eq!(read[&Key::new(Kind::Device, "bed-999")], absent);
    assert_eq!(read[&Key::new(Kind::Profile, "bed-1")], absent);
    assert!(read.values().all(|stored| stored.read_ms == NOW_MS));

    // A write replaces the document.
    let moved = Device { facility: None, roams: Vec::new(), ..device(3) };
    let moved = device_document(&moved).expect("a good device");
    writer.put(std::slice::from_ref(&moved)).await.expect("put over");
    let much_later_ms = NOW_MS + 3_600_000;
    let read = reader.read(std::slice::from_ref(&moved.0), much_later_ms).await.expect("read again");
    assert_eq!(read[&moved.0], Stored { document: Some(moved.1), read_ms: much_later_ms });

    all_pages_together_contain_each_document_once(writer).await;
}

async fn nothing_is_found_in_an_empty_store(reader: &impl MasterData, writer: &impl MasterDataWriter) {
    assert!(reader.read(&[], NOW_MS).await.expect("read nothing").is_empty());
    writer.put(&[]).await.expect("put nothing");
    let page = writer.list(Kind::Device, None, 10).await.expect("list");
    assert_eq!((page.documents, page.next), (Vec::new(), None));
}

async fn all_pages_together_contain_each_document_once(writer: &impl MasterDataWriter) {
    for (kind, count) in [(Kind::Device, 230), (Kind::Profile, 1)] {
        let (mut seen, mut after, mut pages) = (BTreeSet::new(), None, 0);
        loop {
            let page = writer.list(kind, after, 50).await.expect("list");
            assert!(page.documents.len() <= 50);
            for (key, document) in page.documents {
                assert_eq!(key.kind, kind);
                assert!(!document.is_empty());
                assert!(seen.insert(key), "a document is listed twice");
            }
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), count);
        assert!(pages >= count / 50);
    }
}

/// Runs all checks of a directory against an empty store, which is written through `writer`.
///
/// # Panics
/// The store fails a check.
pub async fn directory_suite(directory: &(impl Directory + MasterData), writer: &impl MasterDataWriter) {
    assert_eq!(directory.facilities(None, 10).await.expect("facilities"), [""; 0]);
    let of = |id: &str, facility| device_document(&Device::new(id, "vital", facility)).expect("a good device");
    let homes = [Some("home-2"), None, Some("home-10"), Some("Händel-3")];
    let mut documents: Vec<_> = (0..60).map(|n| of(&format!("bed-{n:02}"), homes[n % 4])).collect();
    documents.push((Key::new(Kind::Profile, "vital"), "{}".to_owned()));
    writer.put(&documents).await.expect("put");

    let facilities = async |after, limit| directory.facilities(after, limit).await.expect("facilities");
    assert_eq!(facilities(None, 10).await, ["Händel-3", "home-10", "home-2"]);
    assert_eq!(facilities(None, 2).await, ["Händel-3", "home-10"]);
    assert_eq!(facilities(Some("home-10"), 2).await, ["home-2"], "those after a name");

    let devices = async |facility: &str, after: Option<&str>, limit| {
        let found = directory.devices_of(facility, after, limit).await.expect("devices_of");
        found.into_iter().map(|device| device.device_id).collect::<Vec<_>>()
    };
    let expected: Vec<String> = (0..15).map(|n| format!("bed-{:02}", 4 * n + 2)).collect();
    assert_eq!(devices("home-10", None, 99).await, expected, "in the order of their ids, and no others");
    assert_eq!(devices("home-10", Some("bed-06"), 2).await, expected[2..4]);
    assert_eq!(devices("home-1", None, 99).await, [""; 0]);

    // The contacts of a facility stay when a device is registered there, and a facility needs no device to be listed.
    let with_contacts = |name: &str| {
        let contacts = vec![Contact::new("nurse", Via::Topic, None)];
        facility_document(&Facility { contacts, ..Facility::new(name) }).expect("a good facility")
    };
    let (home, other) = (with_contacts("home-10"), with_contacts("home-11"));
    writer.put(&[home.clone(), other.clone()]).await.expect("put facilities");
    writer.put(&[of("bed-02", Some("home-10"))]).await.expect("put a device");
    let read = directory.read(&[home.0.clone(), other.0.clone()], NOW_MS).await.expect("read");
    assert_eq!((read[&home.0].document.as_ref(), read[&other.0].document.as_ref()), (Some(&home.1), Some(&other.1)));
    assert_eq!(facilities(Some("home-10"), 2).await, ["home-11", "home-2"]);

    // A device that moves is listed where it stands now.
    writer.put(&[of("bed-00", Some("home-10")), of("bed-02", None)]).await.expect("put again");
    assert_eq!(devices("home-10", None, 2).await, ["bed-00", "bed-06"]);
    assert_eq!(devices("home-2", None, 1).await, ["bed-04"]);
}
