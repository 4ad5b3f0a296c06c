//! The function's settings.

use myaku::device::registry;
use myaku::lake::dead_letter::GuardSettings;
use myaku::platform::env::{Env, EnvError};
use myaku::platform::redis;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `READINGS_STREAM`: the stream for readings.
    pub readings_stream: String,
    /// `NOTES_TABLE` and `DEAD_LETTER_BUCKET`: the notes of suspects, and the bucket of dead letters.
    pub guard: GuardSettings,
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: the registry of devices.
    pub registry: registry::Settings,
    /// `REDIS_URL` and the other settings of Redis. Without them, master data comes only from DynamoDB.
    pub redis: Option<redis::Settings>,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Ok(Self {
            readings_stream: env.required("READINGS_STREAM", "the name of the stream of readings")?,
            guard: GuardSettings::from_env(env)?,
            registry: registry::Settings::from_env(env)?,
            redis: redis::Settings::from_env(env)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;
    use std::time::Duration;

    fn config(extra: &[(&str, &str)]) -> Result<Config, EnvError> {
        let set = [
            ("READINGS_STREAM", "readings"),
            ("NOTES_TABLE", "notes"),
            ("DEAD_LETTER_BUCKET", "dead"),
            ("REGISTRY_TABLE", "registry"),
        ];
        Config::from_env(&env::of(extra, &set))
    }

    #[test]
    fn four_names_are_required_and_redis_is_not() {
        let config = config(&[]).unwrap();
        assert_eq!(config.registry.ttl, Duration::from_secs(30));
        assert_eq!(config.redis, None);
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_out_of_bounds() {
        assert!(config(&[("REGISTRY_TABLE", "")]).unwrap_err().to_string().contains("REGISTRY_TABLE is not set"));
        let error = config(&[("REGISTRY_TTL_SECONDS", "61")]).unwrap_err().to_string();
        assert!(error.contains("REGISTRY_TTL_SECONDS") && error.contains("from 1 to 60"), "{error}");
        assert!(config(&[("REDIS_URL", "http://x")]).unwrap_err().to_string().contains("REDIS_URL"));
    }
}
