//! The conformance suite of every lake.

use super::{Lake, Listed, Put, Stored, Survey};
use bytes::Bytes;
use std::collections::BTreeSet;

fn object(body: &str, metadata: &[(&str, &str)]) -> Stored {
    Stored {
        body: Bytes::copy_from_slice(body.as_bytes()),
        metadata: metadata.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// Runs the suite on `lake`, under the prefix `conformance/`, which must be empty.
///
/// # Panics
///
/// If the lake does not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(lake: impl Lake + Survey) {
    let first = object("first", &[("first", "1.0"), ("sha256", "00")]);
    let second = object("second", &[]);
    let key = "conformance/stream=a/dt=2026-11-21/hh=03/s/0.0-end.ndjson.gz";

    // An object that does not exist is not an error.
    assert_eq!(lake.metadata(key).await.unwrap(), None);
    assert_eq!(lake.get(key).await.unwrap(), None);
    assert_eq!(lake.list("conformance/").await.unwrap(), Vec::<String>::new());

    // The first put creates the object, with its metadata.
    assert_eq!(lake.put_if_absent(key, &first).await.unwrap(), Put::Created);
    assert_eq!(lake.get(key).await.unwrap(), Some(first.clone()));
    assert_eq!(lake.metadata(key).await.unwrap(), Some(first.metadata.clone()));

    // "If-None-Match: Uploads the object only if the object key name does not already exist in the bucket specified."
    assert_eq!(lake.put_if_absent(key, &second).await.unwrap(), Put::Exists);
    assert_eq!(lake.get(key).await.unwrap(), Some(first));

    // Of many puts at the same time, exactly one creates the object.
    let key = "conformance/stream=a/dt=2026-11-21/hh=03/s/race";
    let bodies: Vec<_> = (0..8).map(|index| object(&format!("{index}").repeat(1_000), &[])).collect();
    let puts = futures::future::join_all(bodies.iter().map(|object| lake.put_if_absent(key, object))).await;
    let created: Vec<_> =
        puts.into_iter().map(Result::unwrap).enumerate().filter(|(_, put)| *put == Put::Created).collect();
    assert_eq!(created.len(), 1, "exactly one put creates the object");
    assert_eq!(lake.get(key).await.unwrap().as_ref(), Some(&bodies[created[0].0]));

    // An empty object without metadata is an object.
    let empty = Stored::default();
    assert_eq!(lake.put_if_absent("conformance/empty", &empty).await.unwrap(), Put::Created);
    assert_eq!(lake.put_if_absent("conformance/empty", &second).await.unwrap(), Put::Exists);
    assert_eq!(lake.get("conformance/empty").await.unwrap(), Some(empty));

    // A listing has all keys of its prefix and no others, in order, however many pages they fill.
    let keys: Vec<_> = (0..1_100).map(|index| format!("conformance/many/{index:04}")).collect();
    for chunk in keys.chunks(50) {
        let puts = chunk.iter().map(|key| lake.put_if_absent(key, &second));
        for put in futures::future::join_all(puts).await {
            put.unwrap();
        }
    }
    assert_eq!(lake.list("conformance/many/").await.unwrap(), keys);
    assert_eq!(lake.list("conformance/many/01").await.unwrap(), keys[100..200]);
    assert_eq!(lake.list("conformance/many/01").await.unwrap().len(), 100);
    assert_eq!(lake.list("conformance/stream=a/dt=2026-11-21/hh=03/s/").await.unwrap().len(), 2);

    // A survey has the keys of a listing, unless there are more than were asked for.
    let surveyed = lake.survey("conformance/many/", keys.len()).await.unwrap().unwrap();
    assert_eq!(surveyed.iter().map(|listed| &listed.key).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    assert_eq!(lake.survey("conformance/many/", keys.len() - 1).await.unwrap(), None);
    // Objects with the same bytes have the same tag, and others have others.
    let tags = |listed: &[Listed]| listed.iter().map(|listed| listed.tag.clone()).collect::<BTreeSet<_>>();
    assert_eq!(tags(&surveyed).len(), 1);
    let others = lake.survey("conformance/stream=a/", 2).await.unwrap().unwrap();
    assert_eq!(tags(&[&others[..], &surveyed[..1]].concat()).len(), 3);
}
