//! Derives the status of a connection from its lifecycle events, in whatever order they arrive.

use super::event::{Change, Lifecycle};
use std::time::Duration;

/// If the times of two events of a client are further apart than this, in milliseconds, their times decide their order.
/// Otherwise their version numbers decide it.
///
/// Times are accurate to two minutes, so the order of times that are four minutes apart is certain. "If a client is not
/// connected for approximately one hour, the version number is reset to 0": so between events that are less than about
/// 56 minutes apart there is no reset, and the numbers are in order. A value in the middle leaves the most room for
/// both, including the "approximately".
const TIMES_DECIDE_MS: u64 = 30 * 60 * 1_000;

/// What is known about a client's connection. It depends only on the newest event, and on whether a disconnect has been
/// settled. So in the end it does not matter in which order events arrive, or how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The newest event.
    pub newest: Lifecycle,
    /// Whether the client counts as connected. After a disconnect it still does until the grace period is over.
    pub connected: bool,
    /// Since when it is connected or disconnected, in milliseconds since the epoch.
    pub since_ms: i64,
    /// When the grace period of a disconnect is over, in milliseconds since the epoch. Then the disconnect is to be
    /// settled.
    pub settle_at_ms: Option<i64>,
    /// The latest time of any event, in milliseconds since the epoch.
    pub last_seen_ms: i64,
}

/// Whether `event` is newer than `known`, an event of the same client. The end of a connection is newer than its
/// beginning. The same event again is not newer.
fn is_newer(event: &Lifecycle, known: &Lifecycle) -> bool {
    if event.at_ms.abs_diff(known.at_ms) > TIMES_DECIDE_MS {
        return event.at_ms > known.at_ms;
    }
    // Events with the same version and change do not occur together in AWS IoT, so any fixed order of them will do.
    let key = |it: &Lifecycle| (it.version, it.change, it.at_ms);
    (key(event), &event.session) > (key(known), &known.session)
}

/// Adds `event` to what is known, and returns the new state; `None` if nothing changes. A disconnect counts only after
/// `grace`: "wait and verify that a device is still offline before taking action".
pub fn observe(known: Option<&Presence>, event: &Lifecycle, now_ms: i64, grace: Duration) -> Option<Presence> {
    let last_seen_ms = known.map_or(event.at_ms, |known| known.last_seen_ms.max(event.at_ms));
    if let Some(known) = known.filter(|known| !is_newer(event, &known.newest)) {
        return (last_seen_ms > known.last_seen_ms).then(|| Presence { last_seen_ms, ..known.clone() });
    }
    let was_connected = known.is_none_or(|known| known.connected);
    let changed =
        Presence { newest: event.clone(), connected: true, since_ms: event.at_ms, settle_at_ms: None, last_seen_ms };
    Some(match event.change {
        Change::Connected => changed,
        // It counts as connected until the disconnect is settled.
        Change::Disconnected if was_connected => Presence {
            since_ms: known.map_or(event.at_ms, |known| known.since_ms),
            settle_at_ms: Some(now_ms.saturating_add(grace.as_millis() as i64)),
            ..changed
        },
        // A later connection ended too, and the client already counts as disconnected.
        Change::Disconnected => Presence { connected: false, ..changed },
    })
}

/// Settles a disconnect: if it is still the newest event when its grace period is over, the client now counts as
/// disconnected. `None` if there is nothing to settle yet.
pub fn settle(known: &Presence, now_ms: i64) -> Option<Presence> {
    known.settle_at_ms.filter(|at_ms| *at_ms <= now_ms).map(|_| Presence {
        connected: false,
        since_ms: known.newest.at_ms,
        settle_at_ms: None,
        ..known.clone()
    })
}
