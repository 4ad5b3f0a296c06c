//! Signals to processes that this one has started.

use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a process may take to stand still.
const STANDSTILL_MAX: Duration = Duration::from_secs(10);

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// To end in order.
    Terminate,
    /// To stand still where it is; it cannot refuse.
    Stop,
    /// To go on from there.
    Continue,
}

/// Sends a signal to process `pid`; whether it was there to take it.
pub(crate) async fn signal(pid: u32, signal: Signal) -> bool {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Stop => "STOP",
        Signal::Continue => "CONT",
    };
    // The standard library sends SIGKILL only; a shell is everywhere, and saves `unsafe` and a dependency.
    let sent = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    let taken = sent.await.is_ok_and(|status| status.success());
    if taken && signal == Signal::Stop {
        // Each of its threads stands still when the machine comes to it.
        let _ = tokio::time::timeout(STANDSTILL_MAX, async {
            while is_moving(pid) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    taken
}

/// Whether a thread of the process is not stopped yet. Where there is no `/proc`, nobody knows.
fn is_moving(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .into_iter()
        .any(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| !stat.contains(") T ")))
}
