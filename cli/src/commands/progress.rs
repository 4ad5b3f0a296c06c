//! Progress bars that count.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Returns a bar that counts `what`. It is drawn on standard error, and only if that is a terminal.
pub(super) fn counting(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(style(&format!("{{spinner}} {{msg}} {{bar:30}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left")));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Returns the style that a template describes.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
