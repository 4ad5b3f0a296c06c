//! The function's settings.

use myaku::platform::clock::ScaledClock;
use myaku::platform::env::{Env, EnvError};
use myaku::scaling::shards::{Policy, PolicyError};

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `STREAM`: the stream that is sized.
    pub stream: String,
    /// `LEDGER_TABLE`: the table of the plan in progress and of the calls of a day.
    pub ledger_table: String,
    /// `ALARM_TOPIC`: the ARN of the topic that the stream's alarms notify.
    pub alarm_topic: String,
    /// `ALARM_PREFIX`: the prefix of the names of the stream's alarms.
    pub alarm_prefix: String,
    /// `READERS`: the functions that poll the stream, separated by commas.
    pub readers: Vec<String>,
    /// `RESHARD_…`: how to size the stream.
    pub policy: Policy,
    /// `MYAKU_CLOCK`: a clock that runs faster, for trying a policy.
    pub clock: ScaledClock,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable is missing or wrong.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The policy contradicts itself.
    #[error("environment variable {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Policy(Vec<PolicyError>),
}

impl Config {
    /// Reads the settings; the error names the variables.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, ConfigError> {
        let readers = env.optional("READERS").unwrap_or_default();
        let readers = readers.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Self {
            stream: env.required("STREAM", "the name of the stream that is sized")?,
            ledger_table: env.required("LEDGER_TABLE", "the name of the table of plans and calls")?,
            alarm_topic: env.required("ALARM_TOPIC", "the ARN of the topic that the stream's alarms notify")?,
            alarm_prefix: env.required("ALARM_PREFIX", "the prefix of the names of the stream's alarms")?,
            readers: readers.collect(),
            policy: Policy::from_lookup(|name| env.lookup(name)).map_err(ConfigError::Policy)?,
            clock: env.parsed_or("MYAKU_CLOCK", ScaledClock::default())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;
    use myaku::scaling::shards::Mode;

    const SET: [(&str, &str); 4] = [
        ("STREAM", "ingest"),
        ("LEDGER_TABLE", "ledger"),
        ("ALARM_TOPIC", "arn:aws:sns:us-east-1:000000000000:reshard"),
        ("ALARM_PREFIX", "myaku-ingest"),
    ];

    fn config(extra: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_env(&env::of(extra, &SET))
    }

    #[test]
    fn four_names_are_required() {
        let config = config(&[]).unwrap();
        assert_eq!((config.policy, config.readers.len()), (Policy::default(), 0));
        assert_eq!(config.clock, ScaledClock::default());
    }

    #[test]
    fn readers_are_separated_by_commas_and_each_setting_of_the_policy_has_a_variable() {
        let config = config(&[("READERS", "archiver, transform,"), ("RESHARD_MODE", "stream")]).unwrap();
        assert_eq!((config.readers, config.policy.mode), (vec!["archiver".into(), "transform".into()], Mode::Stream));
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_wrong_or_contradictory() {
        for (name, _) in SET {
            let error = config(&[(name, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is not set")), "{error}");
        }
        let error = config(&[("RESHARD_MIN_SHARDS", "9"), ("RESHARD_MAX_SHARDS", "8")]).unwrap_err();
        assert_eq!(error.to_string(), "environment variable RESHARD_MIN_SHARDS: 9 exceeds max_shards, 8");
        let error = config(&[("MYAKU_CLOCK", "soon")]).unwrap_err();
        assert!(error.to_string().starts_with("environment variable MYAKU_CLOCK is \"soon\""), "{error}");
    }
}
