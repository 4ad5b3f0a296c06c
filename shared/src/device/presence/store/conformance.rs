//! The conformance suite for stores of connections.

use super::super::{Change, Lifecycle, Presence, observe, settle};
use super::{LANES, Presences, Stored, Written};
use crate::platform::lane::lane;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(30);
const NOW_MS: i64 = 1_795_218_892_020;

fn event(client_id: &str, change: Change, version: u64) -> Lifecycle {
    Lifecycle {
        client_id: client_id.to_owned(),
        change,
        at_ms: NOW_MS,
        version,
        session: format!("session-{version}"),
        reason: if change == Change::Disconnected { "CONNECTION_LOST".to_owned() } else { String::new() },
    }
}

/// What is known about a client whose first event is a disconnect.
fn ended(client_id: &str, now_ms: i64) -> Presence {
    observe(None, &event(client_id, Change::Disconnected, 0), now_ms, GRACE).expect("the first event is new")
}

async fn due(store: &impl Presences, client_id: &str, now_ms: i64) -> Vec<Stored> {
    let due = store.due(lane(client_id, LANES), now_ms, 100).await.expect("due");
    due.into_iter().filter(|stored| stored.presence.newest.client_id == client_id).collect()
}

/// Runs all checks against `store`, with clients whose names begin with `prefix` and for which nothing is stored.
///
/// # Panics
/// The store fails a check.
pub async fn suite(store: &impl Presences, prefix: &str) {
    let client = format!("{prefix}-ü #1");
    assert_eq!(store.get(&client).await.expect("get"), None);

    let connected = observe(None, &event(&client, Change::Connected, 0), NOW_MS, GRACE).expect("new");
    assert_eq!(store.put(&connected, Some(0)).await.expect("put"), Written::Conflict, "nothing is stored yet");
    assert_eq!(store.put(&connected, None).await.expect("put"), Written::Done);
    assert_eq!(store.put(&connected, None).await.expect("put"), Written::Conflict, "a presence is already stored");
    let stored = store.get(&client).await.expect("get").expect("it is stored");
    assert_eq!(stored.presence, connected, "the presence is read as it was written");
    assert_eq!(due(store, &client, i64::MAX).await, [], "a connected client is never due");

    let event = event(&client, Change::Disconnected, 0);
    let pending = observe(Some(&stored.presence), &event, NOW_MS, GRACE).expect("newer");
    assert_eq!(store.put(&pending, Some(stored.revision)).await.expect("put"), Written::Done);
    assert_eq!(
        store.put(&connected, Some(stored.revision)).await.expect("put"),
        Written::Conflict,
        "an invocation that read an older revision must read again"
    );
    let settle_at_ms = pending.settle_at_ms.expect("a disconnect waits");
    assert_eq!(due(store, &client, settle_at_ms - 1).await, []);
    let found = due(store, &client, settle_at_ms).await;
    assert_eq!(found.iter().map(|stored| &stored.presence).collect::<Vec<_>>(), [&pending]);

    let settled = settle(&pending, settle_at_ms).expect("due");
    assert_eq!(store.put(&settled, Some(found[0].revision)).await.expect("put"), Written::Done);
    assert_eq!(due(store, &client, i64::MAX).await, [], "a settled disconnect is not due again");
    assert_eq!(store.get(&client).await.expect("get").map(|stored| stored.presence), Some(settled));

    order(store, prefix).await;
}

/// Checks that the earliest come first, and no more than the limit.
async fn order(store: &impl Presences, prefix: &str) {
    let mut names = (0..).map(|n| format!("{prefix}-order-{n}"));
    let first = names.next().expect("endless");
    let others = names.filter(|name| lane(name, LANES) == lane(&first, LANES)).take(2);
    let clients: Vec<String> = std::iter::once(first.clone()).chain(others).collect();
    for (client, minutes) in clients.iter().zip([3, 1, 2]) {
        let presence = ended(client, NOW_MS - 10_000_000 + minutes * 60_000);
        assert_eq!(store.put(&presence, None).await.expect("put"), Written::Done);
    }
    let due = store.due(lane(&first, LANES), NOW_MS - 9_000_000, 2).await.expect("due");
    let due: Vec<&str> = due.iter().map(|stored| stored.presence.newest.client_id.as_str()).collect();
    assert_eq!(due, [&clients[1], &clients[2]]);
}
