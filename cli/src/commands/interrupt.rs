//! Waits for the end of a command that runs until it is stopped.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the user presses Ctrl-C or closes the terminal, or the system terminates this process.
pub(super) async fn interrupted() {
    match (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
        (Ok(mut terminated), Ok(mut hung_up)) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
            _ = hung_up.recv() => {}
        },
        _ => drop(tokio::signal::ctrl_c().await),
    }
}
