//! A function's log: lines on standard output, with the level and the format of Lambda's log settings.
//!
//! The runtime crate has a logger of its own. Its filter matches field values by pattern, and needs an engine for
//! regular expressions, which every cold start pays for. The filter here knows levels only: one, or one for each
//! target.

use std::str::FromStr as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The level if no variable sets one.
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Starts to log. Call it once, at the function's start.
///
/// The level comes from `AWS_LAMBDA_LOG_LEVEL`. Without it, `RUST_LOG` gives one level, or several by target:
/// `warn,myaku=debug`. Lines are JSON if `AWS_LAMBDA_LOG_FORMAT` is `JSON`. Lambda adds the time.
pub fn init() {
    let set = |name: &str| std::env::var(name).ok();
    let filter = filter(set("AWS_LAMBDA_LOG_LEVEL").as_deref(), set("RUST_LOG").as_deref());
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false).without_time();
    let registry = tracing_subscriber::registry().with(filter);
    // It fails if a logger is installed already, and then changes nothing.
    let _ = if set("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        registry.with(lines.json()).try_init()
    } else {
        registry.with(lines).try_init()
    };
}

/// The filter by Lambda's setting, or else by Rust's. A value that is not a level is ignored.
fn filter(lambda: Option<&str>, rust: Option<&str>) -> Targets {
    let level = |name: &str| match name {
        // `tracing` has no level above this one.
        "FATAL" => Some(LevelFilter::ERROR),
        _ => LevelFilter::from_str(name).ok(),
    };
    if let Some(level) = lambda.and_then(level) {
        return Targets::new().with_default(level);
    }
    rust.and_then(|directives| directives.parse().ok()).unwrap_or_else(|| Targets::new().with_default(DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    /// The most verbose level that passes, for our own code and for a dependency's.
    fn passes(lambda: Option<&str>, rust: Option<&str>) -> [Option<Level>; 2] {
        let filter = filter(lambda, rust);
        ["myaku::lake::archive", "hyper"].map(|target| {
            let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
            levels.into_iter().find(|level| filter.would_enable(target, level))
        })
    }

    #[test]
    fn lambdas_setting_comes_first_and_the_default_is_info() {
        assert_eq!(passes(None, None), [Some(Level::INFO); 2]);
        assert_eq!(passes(Some("DEBUG"), None), [Some(Level::DEBUG); 2]);
        assert_eq!(passes(Some("WARN"), Some("trace")), [Some(Level::WARN); 2]);
        assert_eq!(passes(Some("FATAL"), None), [Some(Level::ERROR); 2]);
        assert_eq!(passes(None, Some("trace")), [Some(Level::TRACE); 2]);
        assert_eq!(passes(None, Some("off")), [None; 2]);
    }

    #[test]
    fn each_target_can_have_its_own_level() {
        assert_eq!(passes(None, Some("warn,myaku=debug")), [Some(Level::DEBUG), Some(Level::WARN)]);
    }

    #[test]
    fn a_value_that_is_not_a_level_is_ignored() {
        assert_eq!(passes(Some("LOUD"), None), [Some(Level::INFO); 2]);
        assert_eq!(passes(Some("LOUD"), Some("error")), [Some(Level::ERROR); 2]);
        assert_eq!(passes(None, Some("myaku=very")), [Some(Level::INFO); 2]);
    }
}
