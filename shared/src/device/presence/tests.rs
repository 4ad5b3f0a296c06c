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

/// The end of `connect`'s connection.
fn end(connect: &Lifecycle, at_ms: i64) -> Lifecycle {
    event(Change::Disconnected, connect.version, at_ms, &connect.session)
}

/// What is known after `events` came, one a second from `NOW_MS` on.
fn seen(events: &[&Lifecycle]) -> Presence {
    let mut known = None;
    for (second, event) in events.iter().enumerate() {
        known = observe(known.as_ref(), event, NOW_MS + second as i64 * 1_000, GRACE).or(known);
    }
    known.unwrap()
}

#[test]
fn a_disconnect_counts_only_when_its_grace_is_over() {
    let first = connect(4, NOW_MS - MINUTE_MS);
    let ended = end(&first, NOW_MS);
    let known = seen(&[&first, &ended]);
    assert!(known.connected && known.since_ms == first.at_ms);
    assert_eq!(known.settle_at_ms, Some(NOW_MS + 1_000 + 30_000));
    assert_eq!(settle(&known, NOW_MS + 30_999), None);
    let settled = settle(&known, NOW_MS + 31_000).unwrap();
    assert_eq!((settled.connected, settled.since_ms, settled.settle_at_ms), (false, NOW_MS, None));
    assert_eq!(settled.newest.reason, "CONNECTION_LOST");
    assert_eq!(settle(&settled, i64::MAX), None, "it is settled once");
}

#[test]
fn a_reconnect_within_the_grace_leaves_nothing_to_settle() {
    let (first, second) = (connect(4, NOW_MS - MINUTE_MS), connect(5, NOW_MS + 2_000));
    let known = seen(&[&first, &end(&first, NOW_MS), &second]);
    assert_eq!((known.connected, known.settle_at_ms), (true, None));
    assert_eq!(known.newest.session, second.session);
    // Also where the two came in the other order.
    assert_eq!(seen(&[&first, &second, &end(&first, NOW_MS)]), known);
}

#[test]
fn a_repeated_disconnect_does_not_put_off_the_second_look() {
    let first = connect(0, NOW_MS - MINUTE_MS);
    let ended = end(&first, NOW_MS);
    let known = seen(&[&first, &ended]);
    assert_eq!(observe(Some(&known), &ended, NOW_MS + 20_000, GRACE), None);
}

#[test]
fn a_connection_after_an_hour_is_newer_though_its_number_is_lower_or_the_same() {
    let long_ago = connect(7, NOW_MS - 90 * MINUTE_MS);
    let ended = end(&long_ago, NOW_MS - 62 * MINUTE_MS);
    for version in [0, 7] {
        let back = connect(version, NOW_MS);
        assert!(seen(&[&long_ago, &ended, &back]).connected);
        assert!(seen(&[&back, &ended, &long_ago]).connected);
    }
}

#[test]
fn the_end_of_a_connection_that_another_took_over_is_none_of_the_device() {
    let (first, second) = (connect(1, NOW_MS), connect(2, NOW_MS + 1_000));
    // Told as later than the connect that caused it, since times are good to two minutes.
    let taken_over = end(&first, NOW_MS + 90_000);
    assert_eq!(seen(&[&first, &second, &taken_over]), seen(&[&taken_over, &second, &first]));
    assert!(seen(&[&second, &taken_over]).connected);
}

#[test]
fn an_end_whose_beginning_is_unknown_is_looked_at_again_too() {
    let known = seen(&[&end(&connect(3, NOW_MS - MINUTE_MS), NOW_MS)]);
    assert!(known.connected && known.settle_at_ms.is_some());
    assert!(!settle(&known, NOW_MS + 30_000).unwrap().connected);
}

#[test]
fn an_event_is_read_with_what_it_needs_and_without_what_it_does_not() {
    let json = br#"{"clientId":"bed-17","timestamp":1795218892020,"eventType":"disconnected","sessionIdentifier":"a4",
        "principalIdentifier":"12","clientInitiatedDisconnect":false,"disconnectReason":"MQTT_KEEP_ALIVE_TIMEOUT",
        "ipAddress":"192.0.2.1","versionNumber":3,"new":{"field":[1]}}"#;
    let event = Lifecycle::parse(json, NOW_MS).unwrap();
    assert_eq!((event.change, event.at_ms, event.version), (Change::Disconnected, NOW_MS, 3));
    assert_eq!(event.reason, "MQTT_KEEP_ALIVE_TIMEOUT");
}

#[test]
fn an_event_that_cannot_be_used_says_which_field_it_is_for() {
    let whole = r#"{"clientId":"bed-17","timestamp":1795218892020,"eventType":"connected","sessionIdentifier":"a4","versionNumber":3}"#;
    let told = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        Lifecycle::parse(whole.replace(from, to).as_bytes(), NOW_MS).unwrap_err().to_string()
    };
    for (from, to, says) in [
        (r#","versionNumber":3"#, "", "missing field `versionNumber`"),
        // As SQL of 2015 passes numbers of nested objects on.
        (r#""versionNumber":3"#, r#""versionNumber":"3""#, "versionNumber: invalid type: string"),
        (r#""versionNumber":3"#, r#""versionNumber":-1"#, "versionNumber: invalid value"),
        (r#""bed-17""#, r#""""#, "clientId: it has 0 bytes"),
        (r#""connected""#, r#""subscribed""#, "eventType: it is neither"),
        ("1795218892020", "0", "timestamp: it is not after the epoch"),
        ("1795218892020", "4070908800000", "timestamp is 2275689907980 ms ahead"),
        (r#"{"clientId""#, r#"[{"clientId""#, "no lifecycle event"),
        ("3}", "3}}", "trailing characters"),
    ] {
        let error = told(from, to);
        assert!(error.contains(says), "{error} does not say {says}");
    }
}

#[test]
fn devices_are_spread_over_all_lanes_and_keep_theirs() {
    let mut devices = [0; 16];
    for n in 0..16_000 {
        devices[usize::from(lane(&format!("bed-{n}"), 16))] += 1;
    }
    assert!(devices.iter().all(|count| (800..1_200).contains(count)), "{devices:?}");
    // What is stored under a lane is looked for there by the next version too.
    assert_eq!([lane("bed-17", 16), lane("bed-17", 64), lane("", 64)], [14, 62, 29]);
}

/// One connection of a history.
#[derive(Clone, Debug)]
struct Connection {
    /// Since the end of the one before. With fewer than five seconds, it takes over: it begins so much *before* that end.
    gap_ms: i64,
    length_ms: i64,
    /// How far the number moves on where it does not begin again.
    step: u64,
    /// Whether its end has the same number as its beginning.
    shares_number: bool,
    /// What the two times are told wrong by.
    errors_ms: (i64, i64),
    /// Whether it goes on with the session before it, where that has not expired.
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

/// The events of a history as AWS IoT makes them, in the order of what they tell.
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
    fn any_order_and_repetition_of_a_history_ends_in_its_last_event(
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
