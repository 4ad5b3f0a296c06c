//! The function's settings.

use myaku::device::registry::{DEFAULT_TTL, LONGEST_USE};
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
    /// `REGISTRY_TABLE`: the table of master data.
    pub registry_table: String,
    /// `REGISTRY_TTL_SECONDS`: for how long master data is used without another look.
    pub registry_ttl: Duration,
    /// `REDIS_URL` and its kin: where the watch is.
    pub redis: redis::Settings,
    /// `DISCONNECT_GRACE_SECONDS`: how long after a disconnect a reconnect makes it none.
    pub grace: Duration,
    /// `PRESENCE_TTL_DAYS`: how long clients that are gone and incidents that are over are kept.
    pub kept: Duration,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let registry_ttl = env.within("REGISTRY_TTL_SECONDS", DEFAULT_TTL.as_secs(), 1, LONGEST_USE.as_secs())?;
        Ok(Self {
            presence_table: env.required("PRESENCE_TABLE", "the name of the table of connections and incidents")?,
            alert_topic: env.required("ALERT_TOPIC", "the ARN of the topic of alerts")?,
            registry_table: env.required("REGISTRY_TABLE", "the name of the table of devices and profiles")?,
            registry_ttl: Duration::from_secs(registry_ttl),
            redis: redis::Settings::required(env)?,
            grace: Duration::from_secs(env.within("DISCONNECT_GRACE_SECONDS", 30, 0, 3_600)?),
            kept: Duration::from_secs(env.within("PRESENCE_TTL_DAYS", 90, 1, 3_660)? * DAY_SECONDS),
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
    fn the_defaults_need_three_names_and_a_server() {
        let config = config(&[]).unwrap();
        assert_eq!((config.grace, config.kept), (Duration::from_secs(30), Duration::from_hours(90 * 24)));
        assert_eq!(config.registry_ttl, Duration::from_secs(30));
    }

    #[test]
    fn what_is_missing_or_out_of_bounds_is_named() {
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
