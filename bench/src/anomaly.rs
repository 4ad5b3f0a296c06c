//! The learned score: the time of a reading, beside Python computing the same, and the points that it gets from NAB.

mod nab;

use crate::clock::spent;
use crate::results::repository;
use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::{Context as _, Result, ensure};
use myaku::anomaly::score::{ALARM, Detector, Precision};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most that a reading may take.
const NS_MAX: f64 = 1_000.0;
/// The readings of the made series, one each five minutes: five weeks.
const READINGS: usize = 10_000;
/// The peer, which needs the standard library alone.
const PEER: &str = "bench/peers/anomaly.py";
/// Runs of the peer in one process.
const PEER_RUNS: usize = 3;
/// The case that needs NAB's series.
pub(crate) const NAB: &str = "anomaly/nab";

/// The rows of the score. `directory` is for files, and `nab` has NAB's series.
pub(crate) fn cases(directory: &Path, nab: Option<PathBuf>) -> Vec<Case> {
    let path = "anomaly score of a reading, f32 as it is stored";
    let file = directory.join("anomaly.csv");
    let mut cases = vec![
        Case::new(
            "anomaly/update",
            (path, "CPU per reading, a series of 10,000"),
            (Unit::Nanoseconds, Bar::AtMost(NS_MAX)),
            "",
            |rounds| Ok(update(rounds)),
        ),
        Case::new(
            "anomaly/python",
            (path, "CPU of Python computing the same ÷ ours"),
            (Unit::Times, Bar::Open),
            "",
            move |rounds| python(rounds, &file),
        ),
    ];
    cases.extend(nab.map(|nab| {
        Case::new(
            NAB,
            (
                "anomaly score on NAB's series",
                "standard score, one threshold for all series: 0 says nothing, 100 is perfect",
            ),
            (Unit::Points, Bar::Open),
            "",
            move |_| points(&nab),
        )
    }));
    cases
}

/// A level that follows the day, with noise and rare peaks: the time in seconds, and the value in tenths.
fn series() -> Vec<(i64, f64)> {
    let mut random = StdRng::seed_from_u64(1);
    let reading = |n: usize| {
        let day = (n as f64 * std::f64::consts::TAU / 288.0).sin() * 120.0;
        let peak = if random.random_range(0..400) == 0 { random.random_range(0.0..500.0) } else { 0.0 };
        let tenths: f64 = 720.0 + day + peak + random.random_range(-30.0..30.0);
        (1_795_219_200 + n as i64 * 300, tenths.round() / 10.0)
    };
    (0..READINGS).map(reading).collect()
}

/// The scores of a series.
fn scores<P: Precision>(series: &[(i64, f64)]) -> impl Iterator<Item = f64> {
    let mut detector = Detector::<P>::default();
    series.iter().map(move |(t, x)| detector.update(t * 1_000, *x).value)
}

/// The CPU time of a reading, in nanoseconds, over a whole series.
fn nanoseconds<P: Precision>(series: &[(i64, f64)]) -> f64 {
    let time = spent(|| {
        black_box(scores::<P>(black_box(series)).sum::<f64>());
    });
    time.as_secs_f64() * 1e9 / series.len() as f64
}

fn update(rounds: usize) -> Measured {
    let series = series();
    let (mut kept, mut exact) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        kept.push(nanoseconds::<f32>(&series));
        exact.push(nanoseconds::<f64>(&series));
    }
    let mut detector = Detector::new();
    let mut bytes = Vec::new();
    for (t, x) in &series {
        detector.update(t * 1_000, *x);
    }
    detector.encode_into(&mut bytes);
    let exact = Spread::of(exact).median;
    let detail = format!("{exact:.0} ns with f64 throughout; the state takes {} bytes", bytes.len());
    Measured { value: Spread::of(kept), detail }
}

/// The output of the peer.
#[derive(Deserialize)]
struct PeerOutput {
    seconds: Vec<f64>,
    alarms: Vec<usize>,
    sum: f64,
}

fn python(rounds: usize, file: &Path) -> Result<Measured> {
    let series = series();
    let mut text = "t,x\n".to_owned();
    for (t, x) in &series {
        writeln!(text, "{t},{x}")?;
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let exact: Vec<f64> = scores::<f64>(&series).collect();
    let alarms: Vec<usize> = (0..exact.len()).filter(|place| exact[*place] >= ALARM).collect();
    let sum: f64 = exact.iter().sum();
    let (mut ratios, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let output = peer(&[file.as_os_str(), PEER_RUNS.to_string().as_ref()])?;
        let output: PeerOutput =
            serde_json::from_slice(&output).context("the peer's output is not the expected JSON")?;
        ensure!(output.alarms == alarms && (output.sum - sum).abs() < 1e-6, "Python computes other scores than ours");
        let ns = Spread::of(output.seconds).median * 1e9 / series.len() as f64;
        ratios.push(ns / Spread::of((0..PEER_RUNS).map(|_| nanoseconds::<f32>(&series)).collect()).median);
        theirs.push(ns);
    }
    let detail = format!("{:.1} µs a reading; the same {} alarms", Spread::of(theirs).median / 1e3, alarms.len());
    Ok(Measured { value: Spread::of(ratios), detail })
}

/// Runs the peer, and returns its output.
fn peer<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Result<Vec<u8>> {
    let output = Command::new("python3").arg(repository().join(PEER)).args(arguments).output();
    let output = output.context("cannot run python3; is it installed?")?;
    ensure!(output.status.success(), "{PEER} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn points(directory: &Path) -> Result<Measured> {
    let files = nab::load(directory)?;
    let mut judged = Vec::new();
    let (mut false_alarms, mut alarms_differ) = (0, 0);
    for file in &files {
        let (exact, kept) = (scores::<f64>(&file.readings), scores::<f32>(&file.readings));
        let scores: Vec<f64> = kept.collect();
        alarms_differ += exact.zip(&scores).filter(|(exact, kept)| (*exact >= ALARM) != (**kept >= ALARM)).count();
        let verdict = nab::judge(file, &scores, ALARM);
        false_alarms += verdict.false_alarms;
        judged.push(verdict);
    }
    let found: usize = judged.iter().map(|verdict| verdict.found).sum();
    let windows: usize = judged.iter().map(|verdict| verdict.windows).sum();
    let value = nab::normalised(&judged);
    let detail = format!(
        "{} series; {found} of {windows} anomalies found, {false_alarms} false alarms; {alarms_differ} alarms differ with f64 throughout",
        files.len()
    );
    Ok(Measured { value: Spread { low: value, median: value, high: value }, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_computes_the_scores_of_the_vectors() {
        let vectors = repository().join("shared/src/anomaly/score/vectors");
        let names = ["sine-spike", "step-drift", "flat", "gaps", "noise", "pulses", "restarts"];
        let files: Vec<PathBuf> = names.iter().map(|name| vectors.join(format!("{name}.csv"))).collect();
        let arguments: Vec<&Path> =
            [Path::new("--check")].into_iter().chain(files.iter().map(PathBuf::as_path)).collect();
        peer(&arguments).unwrap();
    }

    #[test]
    fn the_made_series_has_alarms_to_compare() {
        assert!(scores::<f32>(&series()).filter(|score| *score >= ALARM).count() > 3);
    }
}
