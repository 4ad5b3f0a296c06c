use super::*;
use crate::platform::lane::lane;
use proptest::prelude::*;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;
const NOW_MS: i64 = 1_795_218_892_020;
const GRACE: Duration = Duration::from_secs(30);

fn event(change: Change, version: u64, at_ms: i64, session: &str) -> Lifecycle {
    let reason = if change == Change::Disconnected { "CONNECTION_LOST" } else { "" };
    Lifecycle {
        client_id: "bed-17".to_owned(),
        change,
        at_ms,
        version,
        session: session.to_owned(),
        reason: reason.to_owned(),
    }
}

fn connect(version: u64, at_ms: i64) -> Lifecycle {
    event(Change::Connected, version, at_ms, &format!("s{version}-{at_ms}"))
}

/// The end of the connection that began with `connect`.
fn end(connect: &Lifecycle, at_ms: i64) -> Lifecycle {
    event(Change::Disconnected, connect.version, at_ms, &connect.session)
}

/// What is known after `events` have arrived, one a second from `NOW_MS` on.
fn seen(events: &[&Lifecycle]) -> Presence {
    let mut known = None;
    for (second, event) in events.iter().enumerate() {
        known = observe(known.as_ref(), event, NOW_MS + second as i64 * 1_000, GRACE).or(known);
    }
    known.unwrap()
}

#[test]
fn a_disconnect_counts_only_after_its_grace_period() {
    let first = connect(4, NOW_MS - MINUTE_MS);
    let ended = end(&first, NOW_MS);
    let known = seen(&[&first, &ended]);
    assert!(known.connected && known.since_ms == first.at_ms);
    assert_eq!(known.settle_at_ms, Some(NOW_MS + 1_000 + 30_000));
    assert_eq!(settle(&known, NOW_MS + 30_999), None);
    let settled = settle(&known, NOW_MS + 31_000).unwrap();
    assert_eq!((settled.connected, settled.since_ms, settled.settle_at_ms), (false, NOW_MS, None));
    assert_eq!(settled.newest.reason, "CONNECTION_LOST");
    assert_eq!(settle(&settled, i64::MAX), None, "a disconnect is settled only once");
}

#[test]
fn after_a_reconnect_within_the_grace_period_there_is_nothing_to_settle() {
    let (first, second) = (connect(4, NOW_MS - MINUTE_MS), connect(5, NOW_MS + 2_000));
    let known = seen(&[&first, &end(&first, NOW_MS), &second]);
    assert_eq!((known.connected, known.settle_at_ms), (true, None));
    assert_eq!(known.newest.session, second.session);
    // The same if the two arrive in the other order.
    assert_eq!(seen(&[&first, &second, &end(&first, NOW_MS)]), known);
}

#[test]
fn a_repeated_disconnect_does_not_extend_the_grace_period() {
    let first = connect(0, NOW_MS - MINUTE_MS);
    let ended = end(&first, NOW_MS);
    let known = seen(&[&first, &ended]);
    assert_eq!(observe(Some(&known), &ended, NOW_MS + 20_000, GRACE), None);
}

#[test]
fn a_connection_after_more_than_an_hour_is_newer_even_if_its_number_is_lower_or_the_same() {
    let long_ago = connect(7, NOW_MS - 90 * MINUTE_MS);
    let ended = end(&long_ago, NOW_MS - 62 * MINUTE_MS);
    for version in [0, 7] {
        let back = connect(version, NOW_MS);
        assert!(seen(&[&long_ago, &ended, &back]).connected);
        assert!(seen(&[&back, &ended, &long_ago]).connected);
    }
}

#[test]
fn the_end_of_a_connection_that_another_took_over_does_not_disconnect_the_device() {
    let (first, second) = (connect(1, NOW_MS), connect(2, NOW_MS + 1_000));
    // Its time is after that of the connect that caused it, since times are accurate only to two minutes.
    let taken_over = end(&first, NOW_MS + 90_000);
    assert_eq!(seen(&[&first, &second, &taken_over]), seen(&[&taken_over, &second, &first]));
    assert!(seen(&[&second, &taken_over]).connected);
}

#[test]
fn a_disconnect_without_a_known_connect_has_a_grace_period_too() {
    let known = seen(&[&end(&connect(3, NOW_MS - MINUTE_MS), NOW_MS)]);
    assert!(known.connected && known.settle_at_ms.is_some());
    assert!(!settle(&known, NOW_MS + 30_000).unwrap().connected);
}

#[test]
fn fields_of_an_event_that_are_not_needed_are_ignored() {
    let json = br#"{"clientId":"bed-17","timestamp":1795218892020,"eventType":"disconnected","sessionIdentifier":"a4",
        "principalIdentifier":"12","clientInitiatedDisconnect":false,"disconnectReason":"MQTT_KEEP_ALIVE_TIMEOUT",
        "ipAddress":"192.0.2.1","versionNumber":3,"new":{"field":[1]}}"#;
    let event = Lifecycle::parse(json, NOW_MS).unwrap();
    assert_eq!((event.change, event.at_ms, event.version), (Change::Disconnected, NOW_MS, 3));
    assert_eq!(event.reason, "MQTT_KEEP_ALIVE_TIMEOUT");
}

#[test]
fn the_error_of_an_invalid_event_names_the_field() {
    let whole = r#"{"clientId":"bed-17","timestamp":1795218892020,"eventType":"connected","sessionIdentifier":"a4","versionNumber":3}"#;
    let error = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        Lifecycle::parse(whole.replace(from, to).as_bytes(), NOW_MS).unwrap_err().to_string()
    };
    for (from, to, says) in [
        (r#","versionNumber":3"#, "", "missing field `versionNumber`"),
        // Rules with the SQL version of 2015 forward numbers of nested objects like this.
        (r#""versionNumber":3"#, r#""versionNumber":"3""#, "versionNumber: invalid type: string"),
        (r#""versionNumber":3"#, r#""versionNumber":-1"#, "versionNumber: invalid value"),
        (r#""bed-17""#, r#""""#, "clientId: has 0 bytes"),
        (r#""connected""#, r#""subscribed""#, "eventType: must be connected or disconnected"),
        ("1795218892020", "0", "timestamp: must be after the epoch"),
        ("1795218892020", "4070908800000", "the timestamp is 2275689907980 ms ahead"),
        (r#"{"clientId""#, r#"[{"clientId""#, "not a lifecycle event"),
        ("3}", "3}}", "trailing characters"),
    ] {
        let error = error(from, to);
        assert!(error.contains(says), "{error} does not say {says}");
    }
}

#[test]
fn devices_are_spread_over_all_lanes_and_stay_in_their_lane() {
    let mut devices = [0; 16];
    for n in 0..16_000 {
        devices[usize::from(lane(&format!("bed-{n}"), 16))] += 1;
    }
    assert!(devices.iter().all(|count| (800..1_200).contains(count)), "{devices:?}");
    // The next version of the code must look for stored devices in the same lanes.
    assert_eq!([lane("bed-17", 16), lane("bed-17", 64), lane("", 64)], [14, 62, 29]);
}

/// One connection of a history.
#[derive(Clone, Debug)]
struct Connection {
    /// The time since the end of the connection before. If it is less than five seconds, this connection takes over: it
    /// begins so much *before* that end.
    gap_ms: i64,
    length_ms: i64,
    /// How much the number grows, if it does not start again.
    step: u64,
    /// Whether its end has the same number as its beginning.
    shares_number: bool,
    /// The errors of the two times.
    errors_ms: (i64, i64),
    /// Whether it continues the session before it, if that has not expired.
    resumes: bool,
}

fn connections() -> impl Strategy<Value = Vec<Connection>> {
    // Between 55 and 65 minutes is "approximately one hour".
    let gap_ms = prop_oneof![0..10_000_i64, 0..55 * MINUTE_MS, 65 * MINUTE_MS..300 * MINUTE_MS];
    let length_ms = prop_oneof![1_000..20_000_i64, 0..40 * MINUTE_MS, 0..600 * MINUTE_MS];
    let error_ms = || -2 * MINUTE_MS..=2 * MINUTE_MS;
    let one = (gap_ms, length_ms, 1..4_u64, any::<bool>(), (error_ms(), error_ms()), any::<bool>()).prop_map(
        |(gap_ms, length_ms, step, shares_number, errors_ms, resumes)| Connection {
            gap_ms,
            length_ms,
            step,
            shares_number,
            errors_ms,
            resumes,
        },
    );
    proptest::collection::vec(one, 1..7)
}

/// The events of a history as AWS IoT publishes them, in the order in which they happened.
fn events(connections: &[Connection], is_open: bool) -> Vec<Lifecycle> {
    let mut events: Vec<Lifecycle> = Vec::new();
    let (mut end_ms, mut number, mut session) = (NOW_MS - 4_000 * MINUTE_MS, 0, String::new());
    for (index, it) in connections.iter().enumerate() {
        let takes_over = it.gap_ms < 5_000 && index > 0;
        let begin_ms = if takes_over { end_ms - it.gap_ms } else { end_ms + it.gap_ms };
        let is_reset = index == 0 || it.gap_ms >= 60 * MINUTE_MS;
        number = if is_reset { 0 } else { number + it.step };
        if is_reset || !it.resumes {
            session = format!("session-{index}");
        }
        events.push(event(Change::Connected, number, begin_ms + it.errors_ms.0, &session));
        // Longer than a takeover's overlap, so that connections end in the order in which they began.
        end_ms = begin_ms + 6_000 + it.length_ms;
        number += u64::from(!it.shares_number);
        events.push(event(Change::Disconnected, number, end_ms + it.errors_ms.1, &session));
    }
    if is_open {
        events.pop();
    }
    events
}

proptest! {
    #[test]
    fn in_whatever_order_and_however_often_events_arrive_the_last_one_counts(
        (history, arrivals, sweeps) in (connections(), any::<bool>())
            .prop_map(|(connections, is_open)| events(&connections, is_open))
            .prop_flat_map(|history| {
                let once: Vec<usize> = (0..history.len()).collect();
                let again = proptest::collection::vec(0..history.len(), 0..6);
                let arrivals = again.prop_flat_map(move |again| Just([once.clone(), again].concat()).prop_shuffle());
                (Just(history), arrivals, proptest::collection::vec(any::<bool>(), 20))
            })
    ) {
        let mut known: Option<Presence> = None;
        let mut now_ms = NOW_MS;
        for (arrival, sweep) in arrivals.iter().zip(&sweeps) {
            now_ms += 20_000;
            known = observe(known.as_ref(), &history[*arrival], now_ms, GRACE).or(known);
            if *sweep {
                known = known.as_ref().and_then(|known| settle(known, now_ms)).or(known);
            }
        }
        let known = known.unwrap();
        let known = settle(&known, i64::MAX).unwrap_or(known);
        let last = history.last().unwrap();
        prop_assert_eq!(&known.newest, last);
        prop_assert_eq!(known.connected, last.change == Change::Connected);
        prop_assert_eq!((known.since_ms, known.settle_at_ms), (last.at_ms, None));
        prop_assert_eq!(Some(known.last_seen_ms), history.iter().map(|event| event.at_ms).max());
    }
}
