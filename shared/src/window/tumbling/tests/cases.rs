//! Single cases, with their numbers.

use super::*;

fn minutes(allowed_lateness_seconds: i64) -> Windows {
    let minute = Size::Fixed { length_ms: 60_000, step_ms: 60_000 };
    Windows { list: vec![minute.into()], allowed_lateness_ms: allowed_lateness_seconds * 1_000 }
}

fn entry(id: u64, seconds: i64, value: Value) -> Entry {
    Entry { at: seconds * 1_000, id: numbered(id), value }
}

fn insert(timeline: &mut Timeline, windows: &Windows, entry: Entry) -> Inserted {
    let spec = MetricSpec { kind: timeline.kind, unit: "1/min", windows };
    timeline.insert(spec, entry).unwrap()
}

fn numbers(result: &WindowResult) -> NumbersSummary {
    match result.summary() {
        Some(Summary::Numbers(numbers)) => numbers,
        other => panic!("{other:?}"),
    }
}

fn door(open: bool) -> Value {
    Value::Boolean(open)
}

#[test]
fn a_window_closes_with_the_first_reading_at_its_end_and_is_never_written_after_the_lateness() {
    let (windows, mut timeline) = (minutes(30), Timeline::new(Kind::Number, None));
    let counts: Vec<Vec<u64>> = [(1, 10), (2, 59), (3, 60), (4, 40), (5, 90), (6, 59), (7, 91)]
        .map(|(id, seconds)| {
            let inserted = insert(&mut timeline, &windows, entry(id, seconds, Value::Number(1.0)));
            inserted.due.iter().map(WindowResult::count).collect()
        })
        .to_vec();
    let none = vec![0_u64; 0];
    assert_eq!(counts[..3], [none.clone(), none.clone(), vec![2]]);
    assert_eq!(counts[3], [3], "in time");
    assert_eq!(counts[4..], [none.clone(), none.clone(), none], "the clock is 30 s past the end");
}

#[test]
fn a_reading_that_comes_too_late_is_counted_in_the_results_that_lack_it() {
    let (windows, mut timeline) = (minutes(5), Timeline::new(Kind::Number, None));
    insert(&mut timeline, &windows, entry(1, 30, Value::Number(1.0)));
    let late = insert(&mut timeline, &windows, entry(2, 20, Value::Number(9.0)));
    assert_eq!((late.counts, late.due.len()), (Counts::Once { late: true }, 0), "its window is open");
    let due = insert(&mut timeline, &windows, entry(3, 61, Value::Number(1.0))).due;
    assert_eq!((due[0].count(), due[0].left_out, due[0].partial), (1, 1, true));
    let late = insert(&mut timeline, &windows, entry(4, 50, Value::Number(9.0)));
    assert_eq!((late.due[0].count(), late.due[0].left_out), (1, 2), "its window is closed and can still change");
}

#[test]
fn the_last_value_holds_into_the_next_window_until_its_first_reading() {
    let (windows, mut timeline) = (minutes(0), Timeline::new(Kind::Boolean, None));
    let mut due = Vec::new();
    for (id, seconds, open) in [(1, 30, true), (2, 80, false), (3, 300, true), (4, 400, true)] {
        due.extend(insert(&mut timeline, &windows, entry(id, seconds, door(open))).due);
    }
    let summaries: Vec<_> = due
        .iter()
        .map(|result| match result.summary() {
            Some(Summary::Booleans(of)) => (result.interval.from_ms, of.true_ms, of.covered_ms, of.changes),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(0, 30_000, 30_000, 0), (60_000, 20_000, 60_000, 1), (300_000, 60_000, 60_000, 1)];
    assert_eq!(summaries, expected, "and the minutes without readings have no result");
}

#[test]
fn a_reading_that_moves_out_of_a_written_window_takes_its_result_back() {
    let (windows, mut timeline) = (minutes(120), Timeline::new(Kind::Number, None));
    insert(&mut timeline, &windows, entry(1, 65, Value::Number(5.0)));
    insert(&mut timeline, &windows, entry(2, 130, Value::Number(7.0)));
    let moved = insert(&mut timeline, &windows, entry(1, 55, Value::Number(5.0)));
    assert_eq!(moved.counts, Counts::Duplicate);
    let counts: Vec<_> = moved.due.iter().map(|result| (result.interval.from_ms, result.count())).collect();
    assert_eq!(counts, [(0, 1), (60_000, 0)]);
}

#[test]
fn pending_readings_are_bounded_and_what_comes_from_before_them_is_too_late() {
    let (windows, mut timeline) = (minutes(3_600), Timeline::new(Kind::Number, None));
    for n in 0..3_000 {
        insert(&mut timeline, &windows, Entry { at: 60_000 + n, id: numbered(n as u64), value: Value::Number(1.0) });
    }
    assert_eq!(timeline.pending.iter().len(), MAX_PENDING);
    let live = timeline.live(spec(Kind::Number, &windows));
    assert_eq!((live[0].count(), live[0].partial), (3_000, false), "all of them count");
    let late = insert(&mut timeline, &windows, Entry { at: 60_999, id: numbered(9_999), value: Value::Number(1.0) });
    assert_eq!(late.counts, Counts::Once { late: true });
    let late = insert(&mut timeline, &windows, Entry { at: 61_000, id: numbered(9_998), value: Value::Number(1.0) });
    assert_eq!(late.counts, Counts::Once { late: false });
}

#[test]
fn pending_texts_are_bounded_by_their_bytes() {
    let (windows, mut timeline) = (minutes(3_600), Timeline::new(Kind::Text, None));
    for n in 0..1_000 {
        let text = Value::Text(format!("{n:0256}"));
        insert(&mut timeline, &windows, Entry { at: n, id: numbered(n as u64), value: text });
    }
    assert_eq!(timeline.pending.iter().len(), MAX_PENDING_BYTES / 256);
}

#[test]
fn a_burst_at_the_end_of_a_window_that_exceeds_the_limit_still_closes_it() {
    let (windows, mut timeline) = (minutes(10), Timeline::new(Kind::Number, None));
    for id in 0..2_500 {
        insert(&mut timeline, &windows, Entry { at: 59_999, id: numbered(id), value: Value::Number(1.0) });
    }
    let due = insert(&mut timeline, &windows, entry(9_999, 70, Value::Number(1.0))).due;
    assert_eq!((due[0].count(), due[0].left_out), (2_001, 499), "the clock is at the last millisecond of the window");
}

#[test]
fn a_window_that_the_profile_asks_for_later_lacks_what_was_folded_and_says_so() {
    let (windows, mut timeline) = (minutes(0), Timeline::new(Kind::Number, None));
    for seconds in [10, 20, 30] {
        insert(&mut timeline, &windows, entry(seconds as u64, seconds, Value::Number(1.0)));
    }
    let two_minutes = Size::Fixed { length_ms: 120_000, step_ms: 120_000 };
    let both = Windows { list: vec![windows.list[0].clone(), two_minutes.into()], ..windows };
    let mut due = Vec::new();
    for seconds in [130, 200, 250] {
        due.extend(insert(&mut timeline, &both, entry(seconds as u64, seconds, Value::Number(1.0))).due);
    }
    let results: Vec<_> = due
        .iter()
        .map(|result| (&*result.window, result.interval.from_ms, result.count(), result.lost_until))
        .collect();
    let expected = [
        ("60s", 0, 3, None),
        ("120s", 0, 1, Some(29_999)),
        ("60s", 120_000, 1, None),
        ("60s", 180_000, 1, None),
        ("120s", 120_000, 2, None),
    ];
    assert_eq!(results, expected);
    assert_eq!(numbers(&due[1]).covered_ms, 90_000, "what was folded before is not carried into its own window");
}

#[test]
fn a_metric_whose_kind_the_profile_changes_begins_again() {
    let (windows, mut timeline) = (minutes(0), Timeline::new(Kind::Number, None));
    insert(&mut timeline, &windows, entry(1, 10, Value::Number(1.0)));
    let text = entry(2, 20, Value::Text("on".to_owned()));
    assert_eq!(timeline.insert(spec(Kind::Number, &windows), text.clone()), None, "not of the metric's kind");
    assert!(timeline.insert(spec(Kind::Text, &windows), text).is_some());
    assert_eq!(timeline.live(spec(Kind::Text, &windows))[0].count(), 1);
}

#[test]
fn a_session_that_never_pauses_is_cut_after_a_day() {
    let session = Size::Session { gap_ms: 3_600_000 };
    let windows = Windows { list: vec![session.into()], allowed_lateness_ms: 0 };
    let mut timeline = Timeline::new(Kind::Number, None);
    let mut due = Vec::new();
    for n in 0..100 {
        due.extend(insert(&mut timeline, &windows, entry(n, n as i64 * 1_800, Value::Number(1.0))).due);
    }
    let lengths: Vec<_> = due.iter().map(|of| (of.interval.to_ms - of.interval.from_ms, of.count())).collect();
    assert_eq!(lengths, [(47 * 1_800_000, 48), (47 * 1_800_000, 48)]);
}

#[test]
fn results_are_partial_from_a_loss_on_until_a_value_after_it_is_carried_in() {
    let (windows, mut timeline) = (minutes(0), Timeline::new(Kind::Number, None));
    let mut due = Vec::new();
    for (id, seconds) in [(1, 10), (2, 70), (3, 130), (4, 170), (5, 190), (6, 250)] {
        if id == 3 {
            timeline.lose(130_000);
        }
        due.extend(insert(&mut timeline, &windows, entry(id, seconds, Value::Number(1.0))).due);
    }
    let partial: Vec<_> = due.iter().map(|result| (result.partial, result.lost_until)).collect();
    assert_eq!(partial[0], (false, None));
    assert_eq!(partial[1..3], [(true, Some(130_000)), (true, Some(130_000))], "60 s to 180 s");
    assert_eq!(partial[3], (false, None), "the value at 170 s is carried into it");
}

#[test]
fn windows_that_follow_each_other_merge_into_the_longer_one() {
    let size = |seconds: i64| Size::Fixed { length_ms: seconds * 1_000, step_ms: seconds * 1_000 }.into();
    let windows = Windows { list: vec![size(60), size(300)], allowed_lateness_ms: 0 };
    let mut timeline = Timeline::new(Kind::Number, None);
    let mut due = Vec::new();
    for n in 0..101_i32 {
        let value = Value::Number(f64::from(n * 37 % 101) - 20.5);
        due.extend(insert(&mut timeline, &windows, entry(n as u64, i64::from(n) * 3, value)).due);
    }
    let (mut minutes, five): (Vec<_>, Vec<_>) = due.into_iter().partition(|result| result.window == "60s");
    assert_eq!((minutes.len(), five.len()), (5, 1));
    let mut merged = minutes.remove(3);
    for minute in &minutes {
        merged.merge(minute).unwrap();
    }
    let (left, right) = (numbers(&merged), numbers(&five[0]));
    assert_eq!(merged.interval, five[0].interval);
    assert_eq!(
        (left.count, left.min, left.max, left.first, left.last),
        (100, right.min, right.max, right.first, right.last)
    );
    assert_eq!((left.p50, left.p95, left.p99), (right.p50, right.p95, right.p99));
    assert_eq!(left.covered_ms, right.covered_ms);
    for (left, right) in [
        (left.sum, right.sum),
        (left.mean, right.mean),
        (left.stddev, right.stddev),
        (left.time_weighted_mean, right.time_weighted_mean),
    ] {
        assert!((left - right).abs() < 1e-9, "{left} {right}");
    }
    let other = WindowResult { unit: "°C".to_owned(), ..merged.clone() };
    assert_eq!(merged.merge(&other), Err(UnlikeWindows));
}
