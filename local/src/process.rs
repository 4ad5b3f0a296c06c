//! Signals to child processes.

use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long to wait until a process has stopped.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);

/// A signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ends the process in order.
    Terminate,
    /// Pauses the process, which cannot refuse.
    Stop,
    /// Resumes a paused process.
    Continue,
}

/// Sends a signal to process `pid`. True if the process exists. Waits until a process that gets `Stop` is paused.
pub(crate) async fn signal(pid: u32, signal: Signal) -> bool {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Stop => "STOP",
        Signal::Continue => "CONT",
    };
    // The standard library can send only SIGKILL. A shell needs neither `unsafe` nor a dependency.
    let sent = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    let delivered = sent.await.is_ok_and(|status| status.success());
    if delivered && signal == Signal::Stop {
        // The threads stop one after the other, each when the kernel reaches it.
        let _ = tokio::time::timeout(STOP_WAIT_MAX, async {
            while has_running_thread(pid) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    delivered
}

/// Whether a thread of the process still runs. False on systems without `/proc`, which cannot say.
fn has_running_thread(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .into_iter()
        .any(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| !stat.contains(") T ")))
}
