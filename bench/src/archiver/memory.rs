//! How much memory a batch takes beyond its body: the peak of the resident set, which is what Lambda counts, in a process
//! that handles nothing else.
//!
//! A small event goes first, so that code, runtime and allocator are in memory as in a warm function; then the body is read,
//! the peak is set back, and the event is handled. What the peak lies above the resident set before is what it took, with
//! the object that it makes. The kernel counts in pages, so it misses nothing that was touched.

use super::Archive;
use crate::events;
use crate::row::{Measured, Spread};
use anyhow::{Context as _, Result, ensure};
use myaku::lake::archive::Compression;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

/// Peaks of so many processes, each of which archives the event of `file`.
pub(crate) fn peaks(file: &Path, processes: usize) -> Result<Measured> {
    let mut peaks = Vec::new();
    for _ in 0..processes {
        let child = Command::new(std::env::current_exe()?).args(["child", "memory"]).arg(file).output()?;
        ensure!(child.status.success(), "the child failed: {}", String::from_utf8_lossy(&child.stderr));
        peaks.push(String::from_utf8(child.stdout)?.trim().parse::<f64>()? / 1e6);
    }
    let body = fs::metadata(file)?.len() as f64 / 1e6;
    Ok(Measured { value: Spread::of(peaks), detail: format!("beside a body of {body:.1} MB") })
}

/// In the child: bytes that archiving the event of `file` takes beyond its body.
pub(crate) fn peak_beyond_body(file: &Path) -> Result<u64> {
    let archive = Archive::new(Compression::default())?;
    drop(black_box(archive.object(events::plain(100, 70, 2))?));
    let body = fs::read(file)?;
    // 5 sets the peak back to what is resident now.
    fs::write("/proc/self/clear_refs", "5").context("the peak cannot be set back")?;
    let before = status_bytes("VmRSS")?;
    drop(black_box(archive.object(black_box(body))?));
    Ok(status_bytes("VmHWM")?.saturating_sub(before))
}

/// A line of `/proc/self/status`, which has kibibytes.
fn status_bytes(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kibibytes.with_context(|| format!("/proc/self/status has no {name}"))? * 1_024)
}
