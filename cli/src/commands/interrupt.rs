//! Waits for the end of a command that runs until it is stopped.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the user presses Ctrl-C or the system terminates this process.
pub(super) async fn interrupted() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
