use super::*;

fn policy_from(pairs: &[(&str, &str)]) -> Result<Policy, Vec<PolicyError>> {
    Policy::from_lookup(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn problems_of(pairs: &[(&str, &str)]) -> Vec<String> {
    policy_from(pairs).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_default_policy_is_valid_and_follows_from_an_empty_environment_and_an_empty_file() {
    assert_eq!(Policy::default().checked(), Ok(Policy::default()));
    assert_eq!(policy_from(&[("RESHARD_MODE", "  ")]), Ok(Policy::default()));
    assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
}

#[test]
fn stream_mode_doubles_over_80_percent_for_5_minutes_and_halves_under_20_percent_for_30() {
    let rule = StreamRule::default();
    assert_eq!((rule.grow_above, rule.grow_minutes, rule.grow_factor), (0.8, 5, 2.0));
    assert_eq!((rule.shrink_below, rule.shrink_minutes, rule.shrink_factor), (0.2, 30, 0.5));
}

#[test]
fn each_setting_has_a_variable_of_its_own() {
    let policy = policy_from(&[
        ("RESHARD_MODE", "stream"),
        ("RESHARD_GROW_ONLY", "true"),
        ("RESHARD_STREAM_GROW_ABOVE", "0.7"),
        ("RESHARD_SCHEDULE", "07:00-19:00 8, 22:00-02:00 2"),
    ])
    .unwrap();
    assert_eq!((policy.mode, policy.grow_only, policy.schedule.len()), (Mode::Stream, true, 2));
    assert_eq!(policy.stream, StreamRule { grow_above: 0.7, ..StreamRule::default() });
}

#[test]
fn a_minimum_above_the_maximum_is_an_error_that_names_its_variable() {
    let problems = problems_of(&[("RESHARD_MIN_SHARDS", "9"), ("RESHARD_MAX_SHARDS", "8")]);
    assert_eq!(problems, ["RESHARD_MIN_SHARDS: 9 exceeds max_shards, 8"]);
}

#[test]
fn a_value_that_is_not_valid_is_an_error_that_names_its_variable() {
    let cases = [
        ("RESHARD_MIN_SHARDS", "four", "\"four\" is not a number"),
        ("RESHARD_MIN_SHARDS", "-1", "invalid value"),
        ("RESHARD_GROW_ONLY", "yes", "\"yes\" is not true or false"),
        ("RESHARD_MODE", "both", "unknown variant `both`"),
        ("RESHARD_SCHEDULE", "07:00 8", "is not a schedule"),
        ("RESHARD_SCHEDULE", "07:00-08:00 900", "not from min_shards to max_shards"),
        ("RESHARD_TARGET_UTILISATION", "1.5", "1.5 is not from 0.05 to 1"),
    ];
    for (name, value, problem) in cases {
        let problems = problems_of(&[(name, value)]);
        assert!(problems[0].starts_with(&format!("{name}: ")) && problems[0].contains(problem), "{problems:?}");
    }
}

#[test]
fn marks_that_would_flap_are_refused() {
    assert!(problems_of(&[("RESHARD_STREAM_SHRINK_BELOW", "0.4")])[0].ends_with("would flap"));
    assert!(problems_of(&[("RESHARD_SHARD_MERGE_BELOW", "0.95")])[0].ends_with("would flap"));
}

#[test]
fn a_misspelt_setting_is_an_error() {
    let error = serde_json::from_str::<Policy>(r#"{"minimum_shards": 3}"#).unwrap_err();
    assert!(error.to_string().contains("minimum_shards"), "{error}");
}
