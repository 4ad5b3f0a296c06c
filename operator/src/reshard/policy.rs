//! Reads a policy for shards from a TOML file or from the environment.

use anyhow::{Context as _, Result, bail};
use myaku::scaling::shards::{Policy, PolicyError};
use std::path::Path;

/// Reads a policy from a TOML file, which has the settings of the autoscaler without their prefix `RESHARD_`.
pub fn read_policy(file: &Path) -> Result<Policy> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the policy {name}"))?;
    let policy: Policy = toml::from_str(&text).with_context(|| format!("{name} is not a policy"))?;
    usable(policy.checked(), &format!("the policy {name}"))
}

/// Reads a policy from the environment, as the autoscaler does: `RESHARD_STREAM_GROW_ABOVE` and its kin.
pub fn policy_from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Policy> {
    usable(Policy::from_lookup(lookup), "the policy in the environment")
}

fn usable(policy: Result<Policy, Vec<PolicyError>>, name: &str) -> Result<Policy> {
    match policy {
        Ok(policy) => Ok(policy),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            bail!("{name} cannot be used; correct these settings: {}", problems.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_from_a_file_and_each_unusable_setting_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("policy.toml");
        std::fs::write(&file, "max_shards = 8\n[stream]\ngrow_above = 0.6\n").unwrap();
        let policy = read_policy(&file).unwrap();
        assert_eq!((policy.max_shards, policy.stream.grow_above.to_bits()), (8, 0.6_f64.to_bits()));
        std::fs::write(&file, "min_shards = 9\nmax_shards = 8\n").unwrap();
        let error = read_policy(&file).unwrap_err().to_string();
        assert!(error.contains("policy.toml cannot be used") && error.contains("min_shards: 9"), "{error}");
        let error = policy_from_env(|name| (name == "RESHARD_MAX_SHARDS").then(|| "many".to_owned())).unwrap_err();
        assert!(error.to_string().contains("RESHARD_MAX_SHARDS"), "{error}");
    }
}
