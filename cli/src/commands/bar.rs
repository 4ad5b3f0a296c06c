//! Shows the progress of a long command: a bar on a terminal, plain lines elsewhere.

use super::progress::style;
use indicatif::{ProgressBar, ProgressDrawTarget};
use myaku_demo::Progress;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The pause between two plain lines of one stage.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// A bar or plain lines, on standard error.
#[derive(Debug)]
pub(super) struct Bar {
    drawn: ProgressBar,
    is_terminal: bool,
    last_line: Mutex<Instant>,
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Bar {
    /// Makes a bar, which is hidden if standard error is not a terminal.
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(0);
        bar.set_draw_target(if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        bar.set_style(style("{spinner} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { drawn: bar, is_terminal, last_line: Mutex::new(Instant::now()) }
    }

    /// Clears the bar from the terminal.
    pub(super) fn finish(&self) {
        self.drawn.finish_and_clear();
    }
}

impl Progress for Bar {
    fn stage(&self, what: &str) {
        self.drawn.set_style(style("{spinner} {msg}"));
        self.drawn.set_message(what.to_owned());
        if !self.is_terminal {
            eprintln!("{what}");
        }
    }

    fn sent(&self, sent: usize, total: usize, lag: u64) {
        if self.is_terminal {
            self.drawn.set_style(style("{spinner} sending {bar:30} {pos}/{len} ({eta} left), {msg}"));
            self.drawn.set_length(total as u64);
            self.drawn.set_position(sent as u64);
            self.drawn.set_message(format!("{lag} records are waiting"));
            return;
        }
        let Ok(mut last) = self.last_line.lock() else { return };
        if last.elapsed() >= LINE_INTERVAL || sent == total {
            *last = Instant::now();
            eprintln!("  sent {sent} of {total}; {lag} records are waiting");
        }
    }

    fn event(&self, what: &str) {
        if self.is_terminal {
            self.drawn.println(format!("  {what}"));
        } else {
            eprintln!("  {what}");
        }
    }
}
