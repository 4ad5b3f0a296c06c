//! The function's settings.

use crate::caller::{Claims, Facilities};
use myaku::device::registry::{DEFAULT_TTL, LONGEST_USE};
use myaku::platform::env::{Env, EnvError};
use std::time::Duration;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `INGEST_STREAM`: the stream that messages are put on.
    pub ingest_stream: String,
    /// `REGISTRY_TABLE`: the table of master data, which says where a device stands.
    pub registry_table: String,
    /// `REGISTRY_TTL_SECONDS`: for how long master data is used without another look.
    pub registry_ttl: Duration,
    /// `COMMANDS_TABLE`: the table of pending commands; without, answers carry none.
    pub commands_table: Option<String>,
    /// `DEVICE_CLAIM`, `FACILITIES_CLAIM`, `IAM_FACILITIES`: whom callers may speak for.
    pub claims: Claims,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let (ttl_max, ttl) = (LONGEST_USE.as_secs(), DEFAULT_TTL.as_secs());
        Ok(Self {
            ingest_stream: env.required("INGEST_STREAM", "the name of the stream of messages")?,
            registry_table: env.required("REGISTRY_TABLE", "the name of the table of devices and profiles")?,
            registry_ttl: Duration::from_secs(env.within("REGISTRY_TTL_SECONDS", ttl, 1, ttl_max)?),
            commands_table: env.optional("COMMANDS_TABLE"),
            claims: Claims {
                device: env.optional("DEVICE_CLAIM").unwrap_or_else(|| "device_id".to_owned()),
                facilities: env.optional("FACILITIES_CLAIM").unwrap_or_else(|| "facilities".to_owned()),
                iam: Facilities::parse(&env.optional("IAM_FACILITIES").unwrap_or_else(|| "*".to_owned())),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    fn config(extra: &[(&str, &str)]) -> Result<Config, EnvError> {
        let set = [("INGEST_STREAM", "ingest"), ("REGISTRY_TABLE", "registry")];
        Config::from_env(&env::of(extra, &set))
    }

    #[test]
    fn the_defaults_need_two_names_and_show_no_commands() {
        let config = config(&[("COMMANDS_TABLE", "")]).unwrap();
        assert_eq!(config.commands_table, None);
        assert_eq!((config.claims.device.as_str(), config.claims.facilities.as_str()), ("device_id", "facilities"));
        assert_eq!(config.claims.iam, Facilities::All);
    }

    #[test]
    fn what_is_missing_or_out_of_bounds_is_named() {
        assert!(config(&[("INGEST_STREAM", "")]).unwrap_err().to_string().contains("INGEST_STREAM is not set"));
        assert!(config(&[("REGISTRY_TTL_SECONDS", "61")]).unwrap_err().to_string().contains("REGISTRY_TTL_SECONDS"));
    }
}
