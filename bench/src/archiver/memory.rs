//! The memory that a batch takes beyond its body: the peak of the resident set, which Lambda counts, in a process that
//! handles nothing else.
//!
//! The process handles a small event first, so that code, runtime and allocator are in memory as in a warm function.
//! Then it reads the body, resets the peak, and handles the event. The result is the peak minus the resident set
//! before, and includes the object. The kernel counts every touched page.

use super::Archive;
use crate::events;
use crate::row::{Measured, Spread};
use anyhow::{Context as _, Result, ensure};
use myaku::lake::archive::Compression;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

/// The peaks of `processes` processes, each of which archives the event in `file`.
pub(crate) fn peaks(file: &Path, processes: usize) -> Result<Measured> {
    let mut peaks = Vec::new();
    for _ in 0..processes {
        let child = Command::new(std::env::current_exe()?).args(["child", "memory"]).arg(file).output()?;
        ensure!(child.status.success(), "the child process failed: {}", String::from_utf8_lossy(&child.stderr));
        peaks.push(String::from_utf8(child.stdout)?.trim().parse::<f64>()? / 1e6);
    }
    let body = fs::metadata(file)?.len() as f64 / 1e6;
    Ok(Measured { value: Spread::of(peaks), detail: format!("for a body of {body:.1} MB") })
}

/// Runs in the child process: the bytes that archiving the event in `file` takes beyond its body.
pub(crate) fn peak_beyond_body(file: &Path) -> Result<u64> {
    let archive = Archive::new(Compression::default())?;
    drop(black_box(archive.object(events::plain(100, 70, 2))?));
    let body = fs::read(file)?;
    // 5 resets the peak to the memory that is resident now.
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak in /proc/self/clear_refs")?;
    let before = status_bytes("VmRSS")?;
    drop(black_box(archive.object(black_box(body))?));
    Ok(status_bytes("VmHWM")?.saturating_sub(before))
}

/// A value of `/proc/self/status`, in bytes; the file has kibibytes.
fn status_bytes(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kibibytes.with_context(|| format!("/proc/self/status has no {name}"))? * 1_024)
}
