//! The function's settings.

use myaku::device::registry;
use myaku::http::{Facilities, ReaderClaims, ReaderRole};
use myaku::platform::env::{Env, EnvError};
use myaku::platform::redis;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: devices and profiles.
    pub registry: registry::Settings,
    /// `RESULTS_TABLE`: the table of results.
    pub results_table: String,
    /// `PROGRESS_TABLE`: the table of what stateful functions have acknowledged.
    pub progress_table: String,
    /// `PRESENCE_TABLE`: the table of connections and incidents.
    pub presence_table: String,
    /// `READINGS_STREAM`: the stream that the stateful functions read.
    pub readings_stream: String,
    /// `REDIS_URL` and the other settings of Redis, which has the states.
    pub redis: redis::Settings,
    /// `DEVICE_CLAIM`, `FACILITIES_CLAIM`, `ROLE_CLAIM`, `VIEWER_ROLE`, `OPERATOR_ROLE`, `ADMIN_ROLE`, `IAM_READ_FACILITIES`: who reads what.
    pub claims: ReaderClaims,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let text = |name: &'static str, default: &str| env.optional(name).unwrap_or_else(|| default.to_owned());
        Ok(Self {
            registry: registry::Settings::from_env(env)?,
            results_table: env.required("RESULTS_TABLE", "the name of the table of results")?,
            progress_table: env.required("PROGRESS_TABLE", "the name of the table of progress")?,
            presence_table: env.required("PRESENCE_TABLE", "the name of the table of connections and incidents")?,
            readings_stream: env.required("READINGS_STREAM", "the name of the stream of readings")?,
            redis: redis::Settings::required(env)?,
            claims: ReaderClaims {
                device: text("DEVICE_CLAIM", "device_id"),
                facilities: text("FACILITIES_CLAIM", "facilities"),
                role: text("ROLE_CLAIM", "scope"),
                roles: [
                    (ReaderRole::Viewer, text("VIEWER_ROLE", "myaku/viewer")),
                    (ReaderRole::Operator, text("OPERATOR_ROLE", "myaku/operator")),
                    (ReaderRole::Admin, text("ADMIN_ROLE", "myaku/admin")),
                ],
                iam: Facilities::parse(&text("IAM_READ_FACILITIES", "")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    const SET: [(&str, &str); 6] = [
        ("REGISTRY_TABLE", "registry"),
        ("RESULTS_TABLE", "results"),
        ("PROGRESS_TABLE", "progress"),
        ("PRESENCE_TABLE", "presence"),
        ("READINGS_STREAM", "readings"),
        ("REDIS_URL", "redis://localhost:6379"),
    ];

    #[test]
    fn the_names_and_a_redis_server_are_required_and_an_error_names_the_variable() {
        let config = Config::from_env(&env::of(&[], &SET)).unwrap();
        assert_eq!((config.claims.role.as_str(), config.claims.roles[0].1.as_str()), ("scope", "myaku/viewer"));
        for (name, _) in SET {
            let error = Config::from_env(&env::of(&[(name, "")], &SET)).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is not set")), "{error}");
        }
    }
}
