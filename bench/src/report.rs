//! `BENCHMARKS.md`, from what was kept.

use crate::codecs::Codecs;
use crate::growth::{self, Curve, SLOPE_MAX};
use crate::machine::Provenance;
use crate::peers::Peers;
use crate::results::{Kept, kept, repository};
use crate::row::Row;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::fs;

/// The part of the results that is the table.
pub(crate) const ROWS: &str = "rows";
/// The curves.
pub(crate) const GROWTH: &str = "growth";
/// Python and Node.
pub(crate) const PEERS: &str = "peers";
/// The codecs.
pub(crate) const CODECS: &str = "codecs";

/// What is known of the moving average where one of its curves is too steep.
const STEEP: &str = "The moving average's instructions are the same for each device of a thousand and of ten thousand, as \
    callgrind counts them: what grows is the time that memory takes, beyond the processor's caches.";

const PICTURE: &str = "docs/growth.svg";

const HEAD: &str = "\
# Benchmarks

The record path beside its limits. `make bench` measures this and writes the page; `make bench-peers` adds Python and Node.
What counts is CPU time of the whole process, in code that is compiled as it is deployed. A figure is a ratio of two pieces of work
that ran in turn, in one run on one machine: the median, and the quartiles around it. Absolute times hold for that machine only.

";

/// Writes the page.
pub(crate) fn write() -> Result<()> {
    let mut page = HEAD.to_owned();
    if let Some(rows) = kept::<Vec<Row>>(ROWS)? {
        table(&mut page, &rows)?;
    }
    if let Some(Kept { on, found }) = kept::<Peers>(PEERS)? {
        page.push_str("## Peers\n\n");
        measured_on(&mut page, &on)?;
        writeln!(page, "{}. Their lines are ours, byte for byte; starting them is not counted.\n", found.versions)?;
        page.push_str("| who, event | CPU at gzip 6 ÷ ours at gzip 6 | quartiles | |\n|---|---:|---:|---|\n");
        for Row { path, unit, measured, .. } in &found.rows {
            let value = [measured.value.median, measured.value.low, measured.value.high].map(|value| unit.show(value));
            let [median, low, high] = value;
            writeln!(page, "| {path} | {median} | {low} to {high} | {} |", measured.detail)?;
        }
        page.push('\n');
    }
    if let Some(Kept { on, found }) = kept::<Vec<Curve>>(GROWTH)? {
        page.push_str("## How cost grows\n\n");
        measured_on(&mut page, &on)?;
        writeln!(page, "![CPU time over sizes, both as logarithms]({PICTURE})\n")?;
        page.push_str(&growth(&found)?);
        page.push('\n');
        fs::write(repository().join(PICTURE), growth::draw(&found)?)?;
    }
    if let Some(Kept { on, found }) = kept::<Codecs>(CODECS)? {
        page.push_str("## Codecs\n\n");
        measured_on(&mut page, &on)?;
        page.push_str(&codecs(&found)?);
    }
    let file = repository().join("BENCHMARKS.md");
    fs::write(&file, page).with_context(|| format!("{} cannot be written", file.display()))
}

fn table(page: &mut String, Kept { on, found }: &Kept<Vec<Row>>) -> Result<()> {
    page.push_str("## Bars\n\n");
    measured_on(page, on)?;
    page.push_str("| path | measured as | median | quartiles | bar | met |\n|---|---|---:|---:|---:|---|\n");
    for Row { path, measured_as, unit, bar, measured, .. } in found {
        let value = &measured.value;
        let met = bar.is_met(value.median).map_or("", |met| if met { "yes" } else { "**no**" });
        let (median, low, high) = (unit.show(value.median), unit.show(value.low), unit.show(value.high));
        writeln!(page, "| {path} | {measured_as} | {median} | {low} to {high} | {} | {met} |", bar.show(*unit))?;
    }
    page.push_str("\nThe times behind them, and where a bar is not met, why:\n\n");
    let mut said: Vec<&str> = Vec::new();
    for Row { path, measured, limit, .. } in found {
        // What limits several rows is said at the first.
        let why = match limit.as_str() {
            "" => String::new(),
            again if said.contains(&again) => "; limited by the same".to_owned(),
            new => format!(". {new}"),
        };
        said.push(limit);
        writeln!(page, "- {path}: {}{why}", measured.detail)?;
    }
    page.push('\n');
    Ok(())
}

/// The curves in words, steepness included.
pub(crate) fn growth(curves: &[Curve]) -> Result<String> {
    let mut text = "The slope is that of the whole cost over the size, as logarithms, in the upper half of the sizes: 1 is \
        proportional.\n\n| function | over | from | to | CPU of each, at either end | slope | |\n|---|---|---:|---:|---:|---:|---|\n"
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
        let ends = format!("{}, {} a {per}", us(first.each_ns()), us(last.each_ns()));
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
        "Lines of {line_bytes:.0} bytes, from payloads of {payload_bytes}. Writing is the whole handler; reading is decompression alone.\n\n\
         | codec | level | lines ÷ object | write, CPU a record | read, CPU a record |\n|---|---:|---:|---:|---:|\n"
    );
    for codec in levels {
        let us = |ns: f64| format!("{:.1} µs", ns / 1e3);
        let (write, read) = (us(codec.write_ns), us(codec.read_ns));
        writeln!(text, "| {} | {} | {:.2} | {write} | {read} |", codec.name, codec.level, 1.0 / codec.left)?;
    }
    Ok(text)
}

/// The line that says where and when.
fn measured_on(page: &mut String, Provenance { date, machine, versions }: &Provenance) -> Result<()> {
    Ok(writeln!(page, "{date}, on {machine}; {versions}.\n")?)
}
