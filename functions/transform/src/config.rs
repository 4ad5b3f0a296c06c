//! The function's settings.

use myaku::device::registry::{DEFAULT_TTL, LONGEST_USE};
use myaku::platform::env::{Env, EnvError};
use myaku::platform::redis;
use std::time::Duration;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `READINGS_STREAM`: the stream that readings are put on.
    pub readings_stream: String,
    /// `DEAD_LETTER_BUCKET`: the bucket of dead letters.
    pub dead_letter_bucket: String,
    /// `REGISTRY_TABLE`: the table of master data.
    pub registry_table: String,
    /// `REGISTRY_TTL_SECONDS`: for how long master data is used without another look.
    pub registry_ttl: Duration,
    /// `REDIS_URL` and its kin; without, master data comes from DynamoDB alone.
    pub redis: Option<redis::Settings>,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Ok(Self {
            readings_stream: env.required("READINGS_STREAM", "the name of the stream of readings")?,
            dead_letter_bucket: env.required("DEAD_LETTER_BUCKET", "the name of the bucket of dead letters")?,
            registry_table: env.required("REGISTRY_TABLE", "the name of the table of devices and profiles")?,
            registry_ttl: Duration::from_secs(env.within(
                "REGISTRY_TTL_SECONDS",
                DEFAULT_TTL.as_secs(),
                1,
                LONGEST_USE.as_secs(),
            )?),
            redis: redis::Settings::from_env(env)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    fn config(extra: &[(&str, &str)]) -> Result<Config, EnvError> {
        let set = [("READINGS_STREAM", "readings"), ("DEAD_LETTER_BUCKET", "dead"), ("REGISTRY_TABLE", "registry")];
        Config::from_env(&env::of(extra, &set))
    }

    #[test]
    fn the_defaults_need_three_names_and_no_redis() {
        let config = config(&[]).unwrap();
        assert_eq!(config.registry_ttl, Duration::from_secs(30));
        assert_eq!(config.redis, None);
    }

    #[test]
    fn what_is_missing_or_out_of_bounds_is_named() {
        assert!(config(&[("REGISTRY_TABLE", "")]).unwrap_err().to_string().contains("REGISTRY_TABLE is not set"));
        let error = config(&[("REGISTRY_TTL_SECONDS", "61")]).unwrap_err().to_string();
        assert!(error.contains("REGISTRY_TTL_SECONDS") && error.contains("from 1 to 60"), "{error}");
        assert!(config(&[("REDIS_URL", "http://x")]).unwrap_err().to_string().contains("REDIS_URL"));
    }
}
