//! From lifecycle events to a status, whatever their order of arrival.

use super::event::{Change, Lifecycle};
use std::time::Duration;

/// Events of one client whose times are further apart than this, in milliseconds, have the order of their times; nearer
/// ones that of their version numbers.
///
/// Times are good to two minutes, so that four minutes apart their order is certain. "If a client is not connected for
/// approximately one hour, the version number is reset to 0": so no reset lies between events that are less than some 56
/// minutes apart, and there the numbers hold. The middle leaves both the most room, the "approximately" included.
const TIMES_DECIDE_MS: u64 = 30 * 60 * 1_000;

/// What is known of a client's connection. It follows from the newest of the events seen, and from the second look at it
/// if that was a disconnect; so the order in which they came, and how often, changes nothing in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The newest event.
    pub newest: Lifecycle,
    /// Whether the client counts as connected. A disconnect makes it `false` only when its grace is over.
    pub connected: bool,
    /// Since when it is connected or not, in milliseconds since the epoch: when the present session began, or ended.
    pub since_ms: i64,
    /// When to look again at a disconnect that does not count yet, in milliseconds since the epoch.
    pub settle_at_ms: Option<i64>,
    /// The latest time of any event seen, in milliseconds since the epoch.
    pub last_seen_ms: i64,
}

/// Whether `event` is newer than `known`, both of one client. Within one connection its end is; the same event again is
/// not.
fn is_newer(event: &Lifecycle, known: &Lifecycle) -> bool {
    if event.at_ms.abs_diff(known.at_ms) > TIMES_DECIDE_MS {
        return event.at_ms > known.at_ms;
    }
    // The rest tells only events apart that no client of AWS IoT has both of: any fixed order will do.
    let key = |it: &Lifecycle| (it.version, it.change, it.at_ms);
    (key(event), &event.session) > (key(known), &known.session)
}

/// What is known once `event` is seen too; `None` where that changes nothing. A disconnect is to be looked at again when
/// `grace` is over: "wait and verify that a device is still offline before taking action".
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
        // It counts as connected until the second look.
        Change::Disconnected if was_connected => Presence {
            since_ms: known.map_or(event.at_ms, |known| known.since_ms),
            settle_at_ms: Some(now_ms.saturating_add(grace.as_millis() as i64)),
            ..changed
        },
        // A connection began and ended while its predecessor's end counts already.
        Change::Disconnected => Presence { connected: false, ..changed },
    })
}

/// The second look: a disconnect that is still the newest event when its grace is over counts from now on. `None` where
/// there is nothing to settle yet.
pub fn settle(known: &Presence, now_ms: i64) -> Option<Presence> {
    known.settle_at_ms.filter(|at_ms| *at_ms <= now_ms).map(|_| Presence {
        connected: false,
        since_ms: known.newest.at_ms,
        settle_at_ms: None,
        ..known.clone()
    })
}
