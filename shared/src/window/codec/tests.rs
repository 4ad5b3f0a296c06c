//! What is kept of a device, as bytes and back.

use super::*;
use crate::alert::{Begin, Ends, Finding, Kind, Severity};
use crate::device::event_time::ClockSource;
use crate::keyed::bytes::put_option;
use crate::keyed::codec::{DIGEST, decode, encode, signed};
use crate::keyed::{Kept, LastRow, MetricInterval, Origin, Pending, PendingFinding, PendingHistory};
use crate::results::{Average, Fields, MetricResult, Outcome as _};
use crate::stream::batch::Position;
use proptest::option::of as maybe;
use proptest::prelude::*;

type KeptDevice = Kept<DeviceState>;

fn origins() -> impl Strategy<Value = Origin> {
    any::<(u64, u64, u128, u32)>().prop_map(|(stream, shard, sequence, sub)| {
        let position = Position { sequence: sequence.to_string().parse().unwrap(), sub };
        Origin { stream, shard, position }
    })
}

fn places() -> impl Strategy<Value = Place> {
    any::<(i64, u64, u64)>().prop_map(|(at, order, digest)| Place { at, id: ReadingId { order, digest } })
}

fn clocks() -> impl Strategy<Value = Option<ClockSource>> {
    prop::sample::select(vec![None, Some(ClockSource::Device), Some(ClockSource::Ingest), Some(ClockSource::Arrival)])
}

fn series() -> impl Strategy<Value = Series> {
    let entries = prop::collection::btree_map(places(), (-1e300..1e300_f64, clocks()), 0..20).prop_map(|map| {
        map.into_iter().map(|(place, (value, clock))| Entry { place, value, clock }).collect::<Vec<_>>()
    });
    let forgotten = maybe(places());
    (entries, forgotten).prop_map(|(entries, forgotten)| Series { entries, forgotten })
}

fn states() -> impl Strategy<Value = DeviceState> {
    let series = prop::collection::btree_map("[a-zµ_]{0,12}", series(), 0..4);
    series.prop_map(|series| DeviceState { series: series.into_iter().collect() })
}

fn pending() -> impl Strategy<Value = (MetricInterval, PendingHistory)> {
    let numbers = prop::array::uniform5(-1e300..1e300_f64);
    let result = ("[a-z°]{0,4}", numbers, any::<(i64, u32, bool)>(), any::<Option<i64>>(), clocks());
    let result = result.prop_map(|(unit, [value, mean, min, max, stddev], (at, count, partial), lost_until, clock)| {
        let average = Average { count, mean, min, max, stddev };
        MetricResult { unit, value, at, clock, average, partial, lost_until }
    });
    (origins(), any::<(u64, i64)>(), "[a-zµ_]{0,12}", result).prop_map(
        |(origin, (counted, from_ms), metric, outcome)| {
            let interval = MetricInterval { seconds: 0, from_ms, metric };
            (interval, PendingHistory { origin, counted, fields: outcome.fields() })
        },
    )
}

fn kept() -> impl Strategy<Value = KeptDevice> {
    let row = (origins(), any::<i64>()).prop_map(|(origin, arrived_ms)| LastRow { origin, arrived_ms });
    let history = prop::collection::vec(pending(), 0..3).prop_map(|all| all.into_iter().collect());
    let numbers = any::<(u64, Option<i64>)>();
    let findings = prop::collection::vec(finding(), 0..3);
    (states(), maybe(origins()), numbers, maybe(row), (history, findings)).prop_map(
        |(state, seen, (counted, lost_until), row, (history, findings))| Kept {
            state,
            seen,
            counted,
            lost_until,
            row,
            history,
            findings,
        },
    )
}

fn finding() -> impl Strategy<Value = PendingFinding> {
    let numbers = (maybe(-1e300..1e300_f64), maybe(-1e3..1e3_f64));
    let begin = (any::<i64>(), numbers, "[a-z°\"# ]{0,12}").prop_map(|(since_ms, (value, limit), detail)| {
        let (rule, metric) = ("fever".to_owned(), "body_temperature".to_owned());
        let (kind, severity) = (Kind::Threshold, Severity::Critical);
        Finding::Begins(Begin { rule, kind, severity, metric, since_ms, value, limit, detail })
    });
    let ends = any::<i64>().prop_map(|at_ms| {
        Finding::Ends(Ends { rule: "fever".to_owned(), metric: "m".to_owned(), at_ms, detail: String::new() })
    });
    (origins(), prop_oneof![begin, ends]).prop_map(|(origin, finding)| PendingFinding { origin, finding })
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(kept in kept()) {
        prop_assert_eq!(decode::<DeviceState>(&encode(&kept)), Ok(kept));
    }

    #[test]
    fn any_damage_is_detected(kept in kept(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = encode(&kept);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(decode::<DeviceState>(&bytes).is_err());
        bytes.truncate(at);
        prop_assert!(decode::<DeviceState>(&bytes).is_err());
    }

    #[test]
    fn nonsense_with_a_valid_digest_is_an_error_or_the_only_encoding_of_what_is_kept(
        kept in kept(),
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = encode(&kept);
        let at = DIGEST + at.index(bytes.len() - DIGEST);
        bytes.splice(at..bytes.len().min(at + 3), junk);
        let bytes = signed(bytes);
        let Ok(kept) = decode::<DeviceState>(&bytes) else { return Ok(()) };
        let again = encode(&kept);
        // Earlier versions of the format and of the windows are read as well, and are written as the present one.
        let mut windows = Vec::new();
        kept.state.encode_into(&mut windows);
        let version_of_windows = again.len() - windows.len() - 1;
        if bytes[DIGEST] < 3 || bytes[version_of_windows] < DeviceState::VERSION {
            prop_assert_eq!(decode::<DeviceState>(&again), Ok(kept));
        } else {
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn a_state_of_the_second_format_is_the_same_state(kept in kept()) {
        let mut kept = KeptDevice { findings: Vec::new(), ..kept };
        // Its rows said nothing of clocks.
        for pending in kept.history.values_mut() {
            let outcome = MetricResult::from_fields(&pending.fields).unwrap();
            pending.fields = MetricResult { clock: None, ..outcome }.fields();
        }
        prop_assert_eq!(decode::<DeviceState>(&second_format(&kept)), Ok(kept));
    }

    #[test]
    fn windows_of_the_second_version_are_the_same_windows(kept in kept()) {
        let mut bytes = encode(&kept);
        let mut windows = Vec::new();
        kept.state.encode_into(&mut windows);
        bytes.truncate(bytes.len() - windows.len() - 1);
        bytes.push(2);
        put_varint(&mut bytes, kept.state.series.len() as u64);
        for (name, series) in &kept.state.series {
            put_text(&mut bytes, name);
            put_series_without_order(&mut bytes, series);
        }
        let state = without_order(&kept.state);
        prop_assert_eq!(decode::<DeviceState>(&signed(bytes)), Ok(Kept { state, ..kept }));
    }

    #[test]
    fn a_state_of_the_first_format_has_the_same_windows_and_the_highest_position(
        state in states(),
        stream: u64,
        shards in prop::collection::vec(origins(), 0..=4),
        revisions: [u64; 4],
    ) {
        let shards: Vec<_> = shards.into_iter().map(|origin| Origin { stream, ..origin }).collect();
        let bytes = first_format(stream, &shards, &state, &revisions);
        let kept = decode::<DeviceState>(&bytes).unwrap();
        prop_assert_eq!(kept.seen.map(|seen| seen.position), shards.iter().map(|origin| origin.position).max());
        prop_assert!(kept.seen.is_none_or(|seen| shards.contains(&seen)));
        prop_assert_eq!(&kept, &Kept { state: without_order(&state), seen: kept.seen, ..Kept::default() });
    }
}

/// The bytes that were stored before slots had fences:
/// `digest[16] 1 stream[8] v × (shard[8] position[32]) v × (name revision(v) forgotten entries)`.
fn first_format(stream: u64, shards: &[Origin], state: &DeviceState, revisions: &[u64]) -> Vec<u8> {
    let mut out = vec![0; DIGEST];
    out.push(1);
    out.extend(stream.to_le_bytes());
    put_varint(&mut out, shards.len() as u64);
    for origin in shards {
        out.extend(origin.shard.to_le_bytes());
        let digits = origin.position.sequence.fixed_width().as_bytes();
        out.extend(digits.chunks_exact(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')));
        out.extend(origin.position.sub.to_le_bytes());
    }
    put_varint(&mut out, state.series.len() as u64);
    for ((name, series), revision) in state.series.iter().zip(revisions) {
        put_text(&mut out, name);
        put_varint(&mut out, *revision);
        put_series_without_order(&mut out, series);
    }
    signed(out)
}

/// What earlier versions kept: no order of ids, and no clocks.
fn without_order(state: &DeviceState) -> DeviceState {
    let series = state.series.iter().map(|(name, series)| {
        let place = |place: Place| Place { id: ReadingId { order: 0, ..place.id }, ..place };
        let entries = series.entries.iter().map(|entry| Entry { place: place(entry.place), clock: None, ..*entry });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|entry| entry.place);
        (name.clone(), Series { entries, forgotten: series.forgotten.map(place) })
    });
    DeviceState { series: series.collect() }
}

/// The bytes of a series in the first two versions of the windows.
fn put_series_without_order(out: &mut Vec<u8>, series: &Series) {
    let state = without_order(&DeviceState { series: vec![(String::new(), series.clone())] });
    let series = &state.series[0].1;
    let put_place = |out: &mut Vec<u8>, place: Place| {
        out.extend(place.at.to_le_bytes());
        out.extend(place.id.digest.to_le_bytes());
    };
    put_option(out, series.forgotten, put_place);
    put_varint(out, series.entries.len() as u64);
    let mut before = None;
    for Entry { place, value, .. } in &series.entries {
        match before {
            None => out.extend(place.at.to_le_bytes()),
            Some(before) => put_varint(out, place.at.wrapping_sub(before) as u64),
        }
        before = Some(place.at);
        out.extend(place.id.digest.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
}

/// The bytes that were stored while all pending history was that of the moving average.
fn second_format(kept: &KeptDevice) -> Vec<u8> {
    let mut out = encode(&KeptDevice { history: Pending::new(), findings: Vec::new(), ..kept.clone() });
    out[DIGEST] = 2;
    let mut after = vec![DeviceState::VERSION];
    kept.state.encode_into(&mut after);
    // It had no findings.
    out.truncate(out.len() - after.len() - 2);
    put_varint(&mut out, kept.history.len() as u64);
    // That format had no order.
    for (MetricInterval { from_ms, metric, .. }, PendingHistory { origin, counted, fields }) in
        kept.history.iter().rev()
    {
        let outcome = MetricResult::from_fields(fields).unwrap();
        let MetricResult { unit, value, at, average, partial, lost_until, .. } = &outcome;
        origin.encode_into(&mut out);
        put_varint(&mut out, *counted);
        out.extend(from_ms.to_le_bytes());
        put_text(&mut out, metric);
        put_text(&mut out, unit);
        out.extend(at.to_le_bytes());
        put_varint(&mut out, average.count.into());
        for number in [*value, average.mean, average.min, average.max, average.stddev] {
            out.extend(number.to_le_bytes());
        }
        out.push((*partial).into());
        put_option(&mut out, *lost_until, |out, at| out.extend(at.to_le_bytes()));
    }
    out.extend(after);
    signed(out)
}

#[test]
fn pending_history_whose_fields_this_version_does_not_know_costs_no_state() {
    let fields = Fields::default().with("of another version", 7_i64);
    let interval = MetricInterval { seconds: 0, from_ms: 60_000, metric: "m".to_owned() };
    let pending =
        PendingHistory { origin: Origin { stream: 1, shard: 2, position: Position::ZERO }, counted: 3, fields };
    let kept = KeptDevice { history: Pending::from([(interval, pending)]), counted: 3, ..KeptDevice::default() };
    assert_eq!(decode::<DeviceState>(&encode(&kept)), Ok(kept));
}

#[test]
fn bytes_of_a_later_version_are_not_a_state() {
    let bytes = encode(&KeptDevice::default());
    let with = |at: usize, version| {
        let mut bytes = bytes.clone();
        bytes[at] = version;
        decode::<DeviceState>(&signed(bytes))
    };
    assert_eq!(with(DIGEST, 4), Err(CorruptedState("its version is unknown")));
    assert_eq!(with(DIGEST, 0), Err(CorruptedState("its version is unknown")));
    let of_windows = bytes.len() - 2;
    assert_eq!(with(of_windows, DeviceState::VERSION), Ok(KeptDevice::default()));
    assert_eq!(with(of_windows, 4), Err(CorruptedState("the version of its windows is unknown")));
}

#[test]
fn twenty_readings_take_six_hundred_bytes() {
    let entries = (0..20).map(|i| {
        let at = 1_795_218_892_020 + i * 5_000;
        let id = ReadingId::of(&format!("bed-17/p{i}@{at}#2"), at);
        Entry { place: Place { at, id }, value: 36.6, clock: Some(ClockSource::Device) }
    });
    let series = Series {
        entries: entries.collect(),
        forgotten: Some(Place { at: 1_795_218_887_020, id: ReadingId::of("7", 0) }),
    };
    let origin = Origin { stream: 1, shard: 2, position: Position::ZERO };
    let mut kept = Kept {
        state: DeviceState { series: vec![("temperature".to_owned(), series)] },
        seen: Some(origin),
        counted: 1_000,
        lost_until: None,
        row: Some(LastRow { origin, arrived_ms: 1_795_218_892_020 }),
        history: Pending::new(),
        findings: Vec::new(),
    };
    assert_eq!(encode(&kept).len(), 588);
    let average = Average { count: 20, mean: 36.6, min: 36.6, max: 36.6, stddev: 0.0 };
    let result = MetricResult {
        unit: "°C".to_owned(),
        value: 36.6,
        at: 1_795_218_892_020,
        clock: None,
        average,
        partial: false,
        lost_until: None,
    };
    let metric = "temperature".to_owned();
    let interval = MetricInterval { seconds: 0, from_ms: 1_795_218_840_000, metric };
    kept.history.insert(interval, PendingHistory { origin, counted: 1_000, fields: result.fields() });
    assert_eq!(encode(&kept).len(), 588 + 190, "and a pending row of history a fifth of one");
}
