//! A progress bar that counts, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar that counts `what`, on a terminal only, and on standard error.
pub(super) fn counting(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(style(&format!("{{spinner}} {{msg}} {{bar:30}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left")));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A style from its template.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
