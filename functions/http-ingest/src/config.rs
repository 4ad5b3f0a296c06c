//! The function's settings.

use myaku::device::registry;
use myaku::http::{Claims, Facilities};
use myaku::platform::env::{Env, EnvError};

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `INGEST_STREAM`: the stream for messages.
    pub ingest_stream: String,
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: the registry, which has the facility of each device.
    pub registry: registry::Settings,
    /// `COMMANDS_TABLE`: the table of pending commands. Without it, answers contain no commands.
    pub commands_table: Option<String>,
    /// `DEVICE_CLAIM`, `FACILITIES_CLAIM`, `APP_CLAIM`, `APP_ROLE`, `IAM_FACILITIES`: which devices a caller may send for.
    pub claims: Claims,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let text = |name: &'static str, default: &str| env.optional(name).unwrap_or_else(|| default.to_owned());
        Ok(Self {
            ingest_stream: env.required("INGEST_STREAM", "the name of the stream of messages")?,
            registry: registry::Settings::from_env(env)?,
            commands_table: env.optional("COMMANDS_TABLE"),
            claims: Claims {
                device: text("DEVICE_CLAIM", "device_id"),
                facilities: text("FACILITIES_CLAIM", "facilities"),
                app: text("APP_CLAIM", "scope"),
                app_role: text("APP_ROLE", "myaku/app"),
                iam: Facilities::parse(&text("IAM_FACILITIES", "*")),
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
    fn two_names_are_required_and_commands_are_off_by_default() {
        let config = config(&[("COMMANDS_TABLE", "")]).unwrap();
        assert_eq!(config.commands_table, None);
        assert_eq!((config.claims.device.as_str(), config.claims.facilities.as_str()), ("device_id", "facilities"));
        assert_eq!((config.claims.app.as_str(), config.claims.app_role.as_str()), ("scope", "myaku/app"));
        assert_eq!(config.claims.iam, Facilities::All);
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_out_of_bounds() {
        assert!(config(&[("INGEST_STREAM", "")]).unwrap_err().to_string().contains("INGEST_STREAM is not set"));
        assert!(config(&[("REGISTRY_TTL_SECONDS", "61")]).unwrap_err().to_string().contains("REGISTRY_TTL_SECONDS"));
    }
}
