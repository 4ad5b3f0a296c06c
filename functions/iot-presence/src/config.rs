//! The function's settings.

use myaku::device::registry;
use myaku::platform::env::{Env, EnvError};
use myaku::platform::redis;
use std::time::Duration;

const DAY_SECONDS: u64 = 86_400;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `PRESENCE_TABLE`: the table of connections and incidents.
    pub presence_table: String,
    /// `ALERT_TOPIC`: the ARN of the topic of alerts.
    pub alert_topic: String,
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: the registry of devices.
    pub registry: registry::Settings,
    /// `REDIS_URL` and the other settings of Redis, which stores the watch.
    pub redis: redis::Settings,
    /// `DISCONNECT_GRACE_SECONDS`: a disconnect does not count if the client reconnects within this time.
    pub grace: Duration,
    /// `PRESENCE_TTL_DAYS`: how long disconnected clients and incidents that are over are kept.
    pub presence_ttl: Duration,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Ok(Self {
            presence_table: env.required("PRESENCE_TABLE", "the name of the table of connections and incidents")?,
            alert_topic: env.required("ALERT_TOPIC", "the ARN of the topic of alerts")?,
            registry: registry::Settings::from_env(env)?,
            redis: redis::Settings::required(env)?,
            grace: Duration::from_secs(env.within("DISCONNECT_GRACE_SECONDS", 30, 0, 3_600)?),
            presence_ttl: Duration::from_secs(env.within("PRESENCE_TTL_DAYS", 90, 1, 3_660)? * DAY_SECONDS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    const SET: [(&str, &str); 4] = [
        ("PRESENCE_TABLE", "presence"),
        ("ALERT_TOPIC", "arn:aws:sns:us-east-1:0:alerts"),
        ("REGISTRY_TABLE", "registry"),
        ("REDIS_URL", "redis://localhost:6379"),
    ];

    fn config(extra: &[(&str, &str)]) -> Result<Config, EnvError> {
        Config::from_env(&env::of(extra, &SET))
    }

    #[test]
    fn three_names_and_a_redis_server_are_required() {
        let config = config(&[]).unwrap();
        assert_eq!((config.grace, config.presence_ttl), (Duration::from_secs(30), Duration::from_hours(90 * 24)));
        assert_eq!(config.registry.ttl, Duration::from_secs(30));
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_out_of_bounds() {
        for (name, _) in SET {
            let error = config(&[(name, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is not set")), "{error}");
        }
        for (name, value) in
            [("DISCONNECT_GRACE_SECONDS", "3601"), ("PRESENCE_TTL_DAYS", "0"), ("REGISTRY_TTL_SECONDS", "61")]
        {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
    }
}
