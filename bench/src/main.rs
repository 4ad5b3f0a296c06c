//! The record path beside its limits. Each case is a pair: ours, and the least that anybody would have to do. The two run
//! in turn, so that what else the machine does falls on both, and only their ratio is reported: the median, and the
//! quartiles around it.
//!
//! One thread and no I/O, so that time is CPU time.

mod events;
mod transform;

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use myaku::archive::{Compression, Encoded, Format};
use myaku::batch::Batch;
use myaku::kpl;
use myaku::message::Message;
use myaku::profile::{Profile, ProfileDocument};
use std::error::Error;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// Pairs of runs for each case.
const ROUNDS: usize = 21;
/// The archiver's default.
const GZIP_LEVEL: u32 = 6;
const PROFILE: &str = include_str!("../../events/profiles/vital-band.json");
const PAYLOAD: &[u8] = br#"{"id":"m1","ts":1795218892,"vital":{"hr":61,"spo2":"97","temp":98.2}}"#;

/// One line of the report.
struct Case {
    name: &'static str,
    beside: &'static str,
    /// Ours divided by the other, ascending.
    ratios: Vec<f64>,
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Runs both in turn.
fn pair(name: &'static str, beside: &'static str, ours: impl Fn(), other: impl Fn()) -> Case {
    ours();
    other();
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| timed(&ours).as_secs_f64() / timed(&other).as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    Case { name, beside, ratios }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
    // A vector takes all that is written.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// An event to the bytes of its object, and nothing else that the archiver does.
fn archived(event: &[u8], compression: Compression) -> Result<Encoded, Box<dyn Error>> {
    let batch = Batch::from_event(event.to_vec())?;
    let records: Vec<_> = batch.user_records().collect();
    Ok(Encoded::of(&records, compression)?.ok_or("an empty event")?)
}

fn archiver(name: &'static str, event: &[u8]) -> Result<Case, Box<dyn Error>> {
    let compression = Compression::new(Format::Gzip, Some(GZIP_LEVEL))?;
    let mut lines = Vec::new();
    flate2::read::GzDecoder::new(&archived(event, compression)?.body[..]).read_to_end(&mut lines)?;
    let ours = || {
        let _ = black_box(archived(black_box(event), compression));
    };
    Ok(pair(name, "compressing the same lines, gzip 6", ours, || {
        black_box(compress(black_box(&lines)));
    }))
}

fn aggregates(event: &[u8]) -> Result<Case, Box<dyn Error>> {
    let batch = Batch::from_event(event.to_vec())?;
    let read = || {
        for record in &batch.records {
            black_box(kpl::decode(black_box(&record.data)).map(|aggregate| aggregate.records().count()));
        }
    };
    Ok(pair("aggregates taken apart, checked", "MD5 of the same bytes", read, || {
        for record in &batch.records {
            black_box(Md5::digest(black_box(&record.data)));
        }
    }))
}

fn decode() -> Result<Case, Box<dyn Error>> {
    let document: ProfileDocument = serde_json::from_str(PROFILE)?;
    let profile = Profile::compile(&document).map_err(|problems| format!("{problems:?}"))?;
    let message = Message {
        delivery_id: "7d0c".to_owned(),
        device_id: "band-1".to_owned(),
        facility: "home-1".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: 1_795_218_892_500,
        payload: PAYLOAD.to_vec(),
        message_id: None,
    };
    if profile.decode(&message, message.received_at).readings.is_empty() {
        return Err("the sample payload has no readings".into());
    }
    let ours = || {
        for _ in 0..2_000 {
            black_box(profile.decode(black_box(&message), message.received_at));
        }
    };
    Ok(pair("a message decoded by its profile", "parsing its JSON", ours, || {
        for _ in 0..2_000 {
            black_box(serde_json::from_slice::<serde_json::Value>(black_box(PAYLOAD)).ok());
        }
    }))
}

fn transform() -> Result<[Case; 2], Box<dyn Error>> {
    let sample = transform::Transform::new(1)?;
    let per_message = sample.ours()? as f64 / sample.messages() as f64;
    sample.yardstick()?;
    let ours = || drop(black_box(sample.ours()));
    let beside = "sonic-rs reading record and payload";
    let message = pair("a message transformed", beside, ours, || drop(black_box(sample.yardstick())));
    let ratios = message.ratios.iter().map(|ratio| ratio / per_message).collect();
    Ok([Case { name: "one of its three readings", beside, ratios }, message])
}

fn main() -> Result<(), Box<dyn Error>> {
    let (single, aggregated) = (events::single(1), events::aggregated(1));
    let cases = [
        archiver("archiver, plain records, 6 MB", &single)?,
        archiver("archiver, aggregates, 6 MB", &aggregated)?,
        aggregates(&aggregated)?,
        decode()?,
    ];
    let cases = cases.into_iter().chain(transform()?);
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(["case", "beside", "ratio", "quartiles"]);
    for Case { name, beside, ratios } in cases {
        let at = |part: usize| ratios[(ratios.len() - 1) * part / 4];
        let quartiles = format!("{:.2} to {:.2}", at(1), at(3));
        table.add_row([name, beside, &format!("{:.2}", at(2)), &quartiles]);
    }
    for column in 2..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    Ok(())
}
