//! Settings of the connection, from the environment: where the server is and how to log in.

use crate::platform::env::{Env, EnvError};
use redis::{ConnectionAddr, IntoConnectionInfo};
use std::fmt;

/// Where the server is and how to log in. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `redis://host:port` or `rediss://…`, with a user and a password if the server needs them.
    pub(super) url: String,
    /// The host's name. It shows whether a cache is serverless.
    pub(super) host: String,
    /// Whether the server is a cluster, or answers like one, as ElastiCache Serverless does.
    pub(super) cluster: bool,
    /// The IAM login, if there is one.
    pub(super) iam: Option<Iam>,
}

/// An IAM login: which user, to which cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Iam {
    pub(super) user: String,
    pub(super) cache: String,
}

impl Settings {
    /// A single node at `url`, without IAM.
    pub fn node(url: &str) -> Result<Self, EnvError> {
        Self::from_env(&Env::new(|name: &str| (name == "REDIS_URL").then(|| url.to_owned())))?
            .ok_or(EnvError::Missing { name: "REDIS_URL", meaning: MEANING })
    }

    /// Reads `REDIS_URL`, `REDIS_CLUSTER`, `REDIS_IAM_USER` and `REDIS_CACHE_NAME`; `None` without `REDIS_URL`.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Option<Self>, EnvError> {
        let Some(url) = env.optional("REDIS_URL") else { return Ok(None) };
        let url = url.trim().to_owned();
        // The URL may contain a password, so the error shows its scheme only.
        let invalid = |problem: String| EnvError::Invalid {
            name: "REDIS_URL",
            value: url
                .split("://")
                .next()
                .filter(|scheme| scheme.len() < 10)
                .map_or("…".to_owned(), |scheme| format!("{scheme}://…")),
            problem,
        };
        let info = url.as_str().into_connection_info().map_err(|error| invalid(error.to_string()))?;
        let (host, tls) = match info.addr() {
            ConnectionAddr::Tcp(host, _) => (host.clone(), false),
            ConnectionAddr::TcpTls { host, .. } => (host.clone(), true),
            _ => return Err(invalid("it must be redis:// or rediss://, with a host".to_owned())),
        };
        let cluster = env.parsed_or("REDIS_CLUSTER", false)?;
        let iam = match (env.optional("REDIS_IAM_USER"), env.optional("REDIS_CACHE_NAME")) {
            (None, _) => None,
            (Some(user), Some(cache)) if tls => Some(Iam { user, cache }),
            (Some(_), Some(_)) => return Err(invalid("an IAM login needs TLS: use rediss://".to_owned())),
            (Some(_), None) => {
                return Err(EnvError::Missing {
                    name: "REDIS_CACHE_NAME",
                    meaning: "the cache that REDIS_IAM_USER logs in to",
                });
            }
        };
        Ok(Some(Self { url, host, cluster, iam }))
    }

    /// Like [`Self::from_env`], for a function that cannot work without Redis.
    pub fn required<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Self::from_env(env)?.ok_or(EnvError::Missing { name: "REDIS_URL", meaning: MEANING })
    }
}

const MEANING: &str = "the Redis or Valkey server, as redis://host:port or rediss://host:port";

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("cluster", &self.cluster)
            .field("iam", &self.iam)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &'static [(&str, &str)]) -> Result<Option<Settings>, EnvError> {
        Settings::from_env(&Env::new(move |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn without_a_url_there_are_no_settings() {
        assert_eq!(settings(&[("REDIS_CLUSTER", "true")]), Ok(None));
    }

    #[test]
    fn an_iam_login_needs_tls_and_the_caches_name() {
        let plain = settings(&[("REDIS_URL", "redis://h:1"), ("REDIS_IAM_USER", "u"), ("REDIS_CACHE_NAME", "c")]);
        assert!(plain.unwrap_err().to_string().contains("needs TLS"));
        let unnamed = settings(&[("REDIS_URL", "rediss://h:1"), ("REDIS_IAM_USER", "u")]);
        assert!(unnamed.unwrap_err().to_string().starts_with("environment variable REDIS_CACHE_NAME is not set"));
    }

    #[test]
    fn no_password_shows_in_an_error_or_in_debug() {
        let error = settings(&[("REDIS_URL", "http://:hunter2@h:1")]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let good = settings(&[("REDIS_URL", "redis://:hunter2@h:1")]).unwrap().unwrap();
        assert!(!format!("{good:?}").contains("hunter2"), "{good:?}");
    }

    #[test]
    fn the_environment_says_whether_the_server_is_a_cluster() {
        let cluster = settings(&[("REDIS_URL", "rediss://h:6379"), ("REDIS_CLUSTER", "true")]).unwrap().unwrap();
        assert!(cluster.cluster);
        assert!(settings(&[("REDIS_URL", "redis://h"), ("REDIS_CLUSTER", "maybe")]).is_err());
    }
}
