//! Signals to processes that this one has started.

use std::process::Stdio;
use tokio::process::Command;

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
    sent.await.is_ok_and(|status| status.success())
}
