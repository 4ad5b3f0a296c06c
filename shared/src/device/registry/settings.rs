//! The settings of the registry, which every function that resolves devices reads in the same way.

use super::{DEFAULT_TTL, LONGEST_USE};
use crate::platform::env::{Env, EnvError};
use std::time::Duration;

/// Which table has the master data, and how long an entry is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `REGISTRY_TABLE`: the table of devices and profiles.
    pub table: String,
    /// `REGISTRY_TTL_SECONDS`: how long an entry is used before it is read again.
    pub ttl: Duration,
}

impl Settings {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let table = env.required("REGISTRY_TABLE", "the name of the table of devices and profiles")?;
        let ttl = env.within("REGISTRY_TTL_SECONDS", DEFAULT_TTL.as_secs(), 1, LONGEST_USE.as_secs())?;
        Ok(Self { table, ttl: Duration::from_secs(ttl) })
    }
}
