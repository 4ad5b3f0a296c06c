//! A function's log: lines on standard output, as Lambda's settings for logs ask for them.
//!
//! The runtime crate has a logger of its own, whose filter knows patterns for the values of fields; with it comes an engine
//! for regular expressions, which every cold start pays for. A level, or one for each target, is all that is asked for here.

use std::str::FromStr as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged where nothing says otherwise.
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Begins to log; once, at the function's start.
///
/// The level is that of `AWS_LAMBDA_LOG_LEVEL`, or it is `RUST_LOG` that has a level, or several by target:
/// `warn,myaku=debug`. Lines are JSON where `AWS_LAMBDA_LOG_FORMAT` says `JSON`. Lambda adds the time.
pub fn init() {
    let set = |name: &str| std::env::var(name).ok();
    let filter = filter(set("AWS_LAMBDA_LOG_LEVEL").as_deref(), set("RUST_LOG").as_deref());
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false).without_time();
    let registry = tracing_subscriber::registry().with(filter);
    // A second logger changes nothing.
    let _ = if set("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        registry.with(lines.json()).try_init()
    } else {
        registry.with(lines).try_init()
    };
}

/// What passes, by Lambda's setting or else by Rust's; one that is no level asks for nothing.
fn filter(lambda: Option<&str>, rust: Option<&str>) -> Targets {
    let level = |name: &str| match name {
        // Nothing is worse than an error here.
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

    /// The most talkative level that passes, for our own code and for others'.
    fn passes(lambda: Option<&str>, rust: Option<&str>) -> [Option<Level>; 2] {
        let filter = filter(lambda, rust);
        ["myaku::lake::archive", "hyper"].map(|target| {
            let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
            levels.into_iter().find(|level| filter.would_enable(target, level))
        })
    }

    #[test]
    fn lambdas_setting_comes_first_and_without_any_it_is_info() {
        assert_eq!(passes(None, None), [Some(Level::INFO); 2]);
        assert_eq!(passes(Some("DEBUG"), None), [Some(Level::DEBUG); 2]);
        assert_eq!(passes(Some("WARN"), Some("trace")), [Some(Level::WARN); 2]);
        assert_eq!(passes(Some("FATAL"), None), [Some(Level::ERROR); 2]);
        assert_eq!(passes(None, Some("trace")), [Some(Level::TRACE); 2]);
        assert_eq!(passes(None, Some("off")), [None; 2]);
    }

    #[test]
    fn targets_have_levels_of_their_own() {
        assert_eq!(passes(None, Some("warn,myaku=debug")), [Some(Level::DEBUG), Some(Level::WARN)]);
    }

    #[test]
    fn what_is_no_level_asks_for_nothing() {
        assert_eq!(passes(Some("LOUD"), None), [Some(Level::INFO); 2]);
        assert_eq!(passes(Some("LOUD"), Some("error")), [Some(Level::ERROR); 2]);
        assert_eq!(passes(None, Some("myaku=very")), [Some(Level::INFO); 2]);
    }
}
