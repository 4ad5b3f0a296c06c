//! What every store of master data does, whatever it is made of.

use super::{Device, Key, Kind, MasterData, MasterDataWriter, Stored, device_document};
use std::collections::BTreeSet;

/// A time to read at.
const NOW_MS: i64 = 1_795_218_892_020;

fn device(n: usize) -> Device {
    Device { device_id: format!("bed-{n}"), profile: "vital".to_owned(), facility: Some("Händel/3".replace('/', "-")) }
}

/// Runs all checks against an empty store that is read through `reader` and written through `writer`: the same one, or
/// `reader` with caches in front of it.
///
/// # Panics
/// Where the store breaks one.
pub async fn suite(reader: &impl MasterData, writer: &impl MasterDataWriter) {
    nothing_is_found_in_an_empty_store(reader, writer).await;

    // Far more than one call takes, in both directions.
    let mut documents: Vec<_> = (0..230).map(|n| device_document(&device(n)).expect("a good device")).collect();
    // A key twice: the last one counts.
    documents.insert(0, (Key::new(Kind::Device, "bed-7"), "{}".to_owned()));
    documents.push((Key::new(Kind::Profile, "vital"), "{\"é\":\"\\u0000\"}".to_owned()));
    writer.put(&documents).await.expect("put");

    let mut keys: Vec<_> = documents[1..].iter().map(|(key, _)| key.clone()).collect();
    keys.push(Key::new(Kind::Device, "bed-999"));
    // Another kind with the same id is another document.
    keys.push(Key::new(Kind::Profile, "bed-1"));
    let read = reader.read(&keys, NOW_MS).await.expect("read");
    assert_eq!(read.len(), keys.len(), "an answer has every key");
    for (key, document) in &documents[1..] {
        assert_eq!(read[key].document.as_ref(), Some(document), "{key}");
    }
    let absent = Stored { document: None, read_ms: NOW_MS };
    assert_eq!(read[&Key::new(Kind::Device, "bed-999")], absent);
    assert_eq!(read[&Key::new(Kind::Profile, "bed-1")], absent);
    assert!(read.values().all(|stored| stored.read_ms == NOW_MS));

    // What is written over is gone.
    let moved = Device { facility: None, ..device(3) };
    let moved = device_document(&moved).expect("a good device");
    writer.put(std::slice::from_ref(&moved)).await.expect("put over");
    let much_later_ms = NOW_MS + 3_600_000;
    let read = reader.read(std::slice::from_ref(&moved.0), much_later_ms).await.expect("read again");
    assert_eq!(read[&moved.0], Stored { document: Some(moved.1), read_ms: much_later_ms });

    pages_together_hold_each_document_once(writer).await;
}

async fn nothing_is_found_in_an_empty_store(reader: &impl MasterData, writer: &impl MasterDataWriter) {
    assert!(reader.read(&[], NOW_MS).await.expect("read nothing").is_empty());
    writer.put(&[]).await.expect("put nothing");
    let page = writer.list(Kind::Device, None, 10).await.expect("list");
    assert_eq!((page.documents, page.next), (Vec::new(), None));
}

async fn pages_together_hold_each_document_once(writer: &impl MasterDataWriter) {
    for (kind, count) in [(Kind::Device, 230), (Kind::Profile, 1)] {
        let (mut seen, mut after, mut pages) = (BTreeSet::new(), None, 0);
        loop {
            let page = writer.list(kind, after, 50).await.expect("list");
            assert!(page.documents.len() <= 50);
            for (key, document) in page.documents {
                assert_eq!(key.kind, kind);
                assert!(!document.is_empty());
                assert!(seen.insert(key), "a document came twice");
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
