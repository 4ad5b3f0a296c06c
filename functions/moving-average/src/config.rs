//! The function's settings.

use myaku::device::registry;
use myaku::keyed::{GROUP, Limits};
use myaku::platform::env::{Env, EnvError};
use myaku::platform::redis;
use std::time::Duration;

const DAY_SECONDS: u64 = 86_400;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `RESULTS_TABLE`: the table of results.
    pub results_table: String,
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: the registry of devices.
    pub registry: registry::Settings,
    /// `DEAD_LETTER_BUCKET`: the bucket of dead letters.
    pub dead_letter_bucket: String,
    /// `REDIS_URL` and the other settings of Redis, which stores the states.
    pub redis: redis::Settings,
    /// `READINGS_STREAM`: the stream whose shards the function reads.
    pub readings_stream: String,
    /// `PROGRESS_TABLE`: the table of what stateful functions have acknowledged.
    pub progress_table: String,
    /// `STATE_TTL_SECONDS`: how long a device may be silent before its state is forgotten.
    pub state_ttl: Duration,
    /// `RESULTS_SECONDS` and `HISTORY_TTL_DAYS`: how often a device's latest row is written, and how long rows of history are
    /// kept.
    pub limits: Limits,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let state_ttl = env.within("STATE_TTL_SECONDS", 7 * DAY_SECONDS, 60, 366 * DAY_SECONDS)?;
        Ok(Self {
            results_table: env.required("RESULTS_TABLE", "the name of the table of results")?,
            registry: registry::Settings::from_env(env)?,
            dead_letter_bucket: env.required("DEAD_LETTER_BUCKET", "the name of the bucket of dead letters")?,
            redis: redis::Settings::required(env)?,
            readings_stream: env.required("READINGS_STREAM", "the name of the stream of readings")?,
            progress_table: env.required("PROGRESS_TABLE", "the name of the table of progress")?,
            state_ttl: Duration::from_secs(state_ttl),
            limits: Limits {
                results_interval: Duration::from_secs(env.within("RESULTS_SECONDS", 30, 0, 3_600)?),
                history_ttl: Duration::from_secs(env.within("HISTORY_TTL_DAYS", 90, 1, 3_660)? * DAY_SECONDS),
                group: GROUP,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    const SET: [(&str, &str); 6] = [
        ("READINGS_STREAM", "readings"),
        ("PROGRESS_TABLE", "progress"),
        ("RESULTS_TABLE", "results"),
        ("REGISTRY_TABLE", "registry"),
        ("DEAD_LETTER_BUCKET", "dead"),
        ("REDIS_URL", "redis://localhost:6379"),
    ];

    fn config(extra: &[(&str, &str)]) -> Result<Config, EnvError> {
        Config::from_env(&env::of(extra, &SET))
    }

    #[test]
    fn the_names_and_a_redis_server_are_required() {
        let config = config(&[]).unwrap();
        assert_eq!(config.limits.results_interval, Duration::from_secs(30));
        assert_eq!(config.state_ttl, Duration::from_hours(7 * 24));
        assert_eq!(config.limits.history_ttl, Duration::from_hours(90 * 24));
        assert_eq!(config.registry.ttl, Duration::from_secs(30));
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_out_of_bounds() {
        for (name, _) in SET {
            let error = config(&[(name, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is not set")), "{error}");
        }
        for (name, value) in [
            ("STATE_TTL_SECONDS", "59"),
            ("HISTORY_TTL_DAYS", "0"),
            ("REGISTRY_TTL_SECONDS", "61"),
            ("RESULTS_SECONDS", "3601"),
        ] {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
    }
}
