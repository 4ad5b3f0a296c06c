//! Writes `BENCHMARKS.md` from the kept results.

use crate::codecs::Codecs;
use crate::growth::{self, Curve, SLOPE_MAX};
use crate::machine::Provenance;
use crate::peers::Peers;
use crate::results::{ResultFile, load, repository};
use crate::row::Row;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::fs;

/// The part with the rows of the table.
pub(crate) const ROWS: &str = "rows";
/// The part with the curves.
pub(crate) const GROWTH: &str = "growth";
/// The part with Python and Node.
pub(crate) const PEERS: &str = "peers";
/// The part with the codecs.
pub(crate) const CODECS: &str = "codecs";

/// Why a curve of the moving average can be too steep.
const STEEP: &str = "By callgrind's count, the moving average executes the same number of instructions per device for \
    a thousand and for ten thousand devices. The time grows because the data exceeds the processor's caches.";

const PICTURE: &str = "docs/growth.svg";

const HEAD: &str = "\
# Benchmarks

The record path compared with its limits. `make bench` measures this and writes the page; `make bench-peers` adds
Python and Node. A figure is the ratio of two pieces of work that ran alternately, in one run on one machine: the
median, with its quartiles. *CPU* is the CPU time of the whole process; *time* is the time on the wall clock. The code
is compiled as it is deployed. Absolute times hold for that machine only.

";

/// Writes the page.
pub(crate) fn write() -> Result<()> {
    let mut page = HEAD.to_owned();
    if let Some(rows) = load::<Vec<Row>>(ROWS)? {
        table(&mut page, &rows)?;
    }
    if let Some(ResultFile { on, found }) = load::<Peers>(PEERS)? {
        page.push_str("## Peers\n\n");
        measured_on(&mut page, &on)?;
        writeln!(page, "{}. Their lines equal ours, byte for byte. Their start is not counted.\n", found.versions)?;
        page.push_str("| peer, event | CPU at gzip 6 ÷ ours at gzip 6 | quartiles | |\n|---|---:|---:|---|\n");
        for Row { path, unit, measured, .. } in &found.rows {
            let value = [measured.value.median, measured.value.low, measured.value.high].map(|value| unit.show(value));
            let [median, low, high] = value;
            writeln!(page, "| {path} | {median} | {low} to {high} | {} |", measured.detail)?;
        }
        page.push('\n');
    }
    if let Some(ResultFile { on, found }) = load::<Vec<Curve>>(GROWTH)? {
        page.push_str("## How cost grows\n\n");
        measured_on(&mut page, &on)?;
        writeln!(page, "![CPU time by size, on logarithmic scales]({PICTURE})\n")?;
        page.push_str(&growth(&found)?);
        page.push('\n');
        fs::write(repository().join(PICTURE), growth::draw(&found)?)?;
    }
    if let Some(ResultFile { on, found }) = load::<Codecs>(CODECS)? {
        page.push_str("## Codecs\n\n");
        measured_on(&mut page, &on)?;
        page.push_str(&codecs(&found)?);
    }
    let file = repository().join("BENCHMARKS.md");
    fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))
}

fn table(page: &mut String, ResultFile { on, found }: &ResultFile<Vec<Row>>) -> Result<()> {
    page.push_str("## Bars\n\n");
    measured_on(page, on)?;
    page.push_str("| path | measured as | median | quartiles | bar | met |\n|---|---|---:|---:|---:|---|\n");
    for Row { path, measured_as, unit, bar, measured, .. } in found {
        let value = &measured.value;
        let met = bar.is_met(value.median).map_or("", |met| if met { "yes" } else { "**no**" });
        let (median, low, high) = (unit.show(value.median), unit.show(value.low), unit.show(value.high));
        writeln!(page, "| {path} | {measured_as} | {median} | {low} to {high} | {} | {met} |", bar.show(*unit))?;
    }
    page.push_str("\nThe times from which the ratios are computed. Where a bar is not met, the reason follows:\n\n");
    let mut explained: Vec<&str> = Vec::new();
    for Row { path, measured, limit, .. } in found {
        // A limit of several rows is explained at the first of them.
        let why = match limit.as_str() {
            "" => String::new(),
            again if explained.contains(&again) => "; the limit is the same".to_owned(),
            new => format!(". {new}"),
        };
        explained.push(limit);
        writeln!(page, "- {path}: {}{why}", measured.detail)?;
    }
    page.push('\n');
    Ok(())
}

/// The curves as a table, with their slopes.
pub(crate) fn growth(curves: &[Curve]) -> Result<String> {
    let mut text = "The slope is that of the total cost by size, both as logarithms, over the upper half of the sizes. Slope 1 is \
        proportional.\n\n| function | size | from | to | CPU at both ends | slope | |\n|---|---|---:|---:|---:|---:|---|\n"
        .to_owned();
    for curve in curves {
        let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) else { continue };
        let slope = curve.slope();
        let us = |ns: f64| format!("{:.2} µs", ns / 1e3);
        let verdict = if slope > SLOPE_MAX {
            let each: Vec<_> = curve.upper_half().iter().map(|point| us(point.each_ns())).collect();
            format!("**grows faster than its input**: {}", each.join(", "))
        } else {
            String::new()
        };
        let Curve { function, size, per, .. } = curve;
        let ends = format!("{}, {} per {per}", us(first.each_ns()), us(last.each_ns()));
        writeln!(text, "| {function} | {size} | {} | {} | {ends} | {slope:.2} | {verdict} |", first.size, last.size)?;
    }
    if curves.iter().any(|curve| curve.function == "moving average" && curve.slope() > SLOPE_MAX) {
        writeln!(text, "\n{STEEP}")?;
    }
    Ok(text)
}

/// The codecs as a table.
pub(crate) fn codecs(Codecs { payload_bytes, line_bytes, levels }: &Codecs) -> Result<String> {
    let mut text = format!(
        "Lines have {line_bytes:.0} bytes, from payloads of {payload_bytes}. Writing is the whole handler; reading is decompression alone.\n\n\
         | codec | level | lines ÷ object | write, CPU per record | read, CPU per record |\n|---|---:|---:|---:|---:|\n"
    );
    for codec in levels {
        let us = |ns: f64| format!("{:.1} µs", ns / 1e3);
        let (write, read) = (us(codec.write_ns), us(codec.read_ns));
        writeln!(text, "| {} | {} | {:.2} | {write} | {read} |", codec.name, codec.level, 1.0 / codec.left)?;
    }
    Ok(text)
}

/// Writes the line with the date, the machine and the versions.
fn measured_on(page: &mut String, Provenance { date, machine, versions }: &Provenance) -> Result<()> {
    Ok(writeln!(page, "{date}, on {machine}; {versions}.\n")?)
}
