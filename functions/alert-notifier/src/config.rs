//! The function's settings.

use myaku::alert::messenger;
use myaku::device::registry;
use myaku::platform::env::{Env, EnvError};
use std::time::Duration;

const DAY_SECONDS: u64 = 86_400;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `CASE_TABLE`: the table of what contacts heard and will hear.
    pub case_table: String,
    /// `PRESENCE_TABLE`: the table of incidents, which knows what is acknowledged.
    pub presence_table: String,
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: the registry, which has the contacts of facilities.
    pub registry: registry::Settings,
    /// `NOTICE_TOPIC` and `WEBHOOK_SECRETS`: the ARN of the topic for people, and what the names of webhooks' secrets begin with.
    pub messenger: messenger::Settings,
    /// `CLEAR_AFTER_SECONDS`: how long an alert must be over before its contacts hear so. One that comes back meanwhile was never away.
    pub settle: Duration,
    /// `CASE_TTL_DAYS`: how long is kept what contacts heard, after all of it is over.
    pub case_ttl: Duration,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Ok(Self {
            case_table: env.required("CASE_TABLE", "the name of the table of what contacts heard and will hear")?,
            presence_table: env.required("PRESENCE_TABLE", "the name of the table of connections and incidents")?,
            registry: registry::Settings::from_env(env)?,
            messenger: messenger::Settings {
                topic_arn: env.required("NOTICE_TOPIC", "the ARN of the topic for people")?,
                secret_prefix: env.required("WEBHOOK_SECRETS", "what the names of webhooks' secrets begin with")?,
            },
            settle: Duration::from_secs(env.within("CLEAR_AFTER_SECONDS", 60, 0, 3_600)?),
            case_ttl: Duration::from_secs(env.within("CASE_TTL_DAYS", 90, 1, 3_660)? * DAY_SECONDS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    const SET: [(&str, &str); 5] = [
        ("CASE_TABLE", "cases"),
        ("PRESENCE_TABLE", "presence"),
        ("REGISTRY_TABLE", "registry"),
        ("NOTICE_TOPIC", "arn:aws:sns:us-east-1:0:notices"),
        ("WEBHOOK_SECRETS", "myaku/webhooks"),
    ];

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_out_of_bounds() {
        let config = |extra: &[(&str, &str)]| Config::from_env(&env::of(extra, &SET));
        assert_eq!(config(&[]).unwrap().case_ttl, Duration::from_hours(90 * 24));
        for (name, _) in SET {
            let error = config(&[(name, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is not set")), "{error}");
        }
        for (name, value) in [("CASE_TTL_DAYS", "0"), ("CLEAR_AFTER_SECONDS", "3601")] {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
    }
}
