//! A stateful function in Lambda: its settings, its connections, and how it serves.
//!
//! The `main.rs` of such a function calls [`run`] with its rule. There is nothing else to wire.

use super::handle::{Context, GROUP, Limits, Ports, handle};
use super::progress::dynamodb::DynamoDbProgress;
use super::rule::Rule;
use super::shards::Shards;
use super::states::redis::RedisStates;
use crate::alert::Reporter;
use crate::alert::incidents::dynamodb::DynamoDbIncidents;
use crate::alert::topic::sns::SnsTopic;
use crate::device::profile::Profile;
use crate::device::registry;
use crate::lake::dead_letter::{DeployedGuard, GuardSettings, S3DeadLetters};
use crate::platform::clock::SystemClock;
use crate::platform::env::{Env, EnvError};
use crate::platform::errors::RemoteError;
use crate::platform::lambda::Function;
use crate::platform::{aws, redis};
use crate::results::dynamodb::DynamoDbResults;
use crate::stream::lambda::serve;
use crate::stream::source::kinesis::KinesisSource;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Runs the function called `name` until Lambda shuts the environment down.
///
/// # Errors
/// A setting is missing or invalid; the error names the variable. A service that is down fails batches, not the start.
pub async fn run<R: Rule<Settings = Arc<Profile>>>(name: &'static str) -> Result<(), lambda_runtime::Error> {
    let function = Function::start(name)?;
    let (context, guard) = connect::<R>(name, &Config::from_env(&function.env(), R::FINDS)?).await?;
    serve(function, guard, async |batch, deadline_ms| handle(&context, batch, deadline_ms).await).await
}

/// The ports of a deployed function.
pub struct Deployed<R>(PhantomData<fn() -> R>);

impl<R: Rule<Settings = Arc<Profile>>> Ports for Deployed<R> {
    type Rule = R;
    type Settings = registry::Deployed;
    type Shards = KinesisSource;
    type Progress = DynamoDbProgress;
    type States = RedisStates<R::State>;
    type Results = DynamoDbResults;
    type Findings = Option<Reporter<DynamoDbIncidents, SnsTopic, SystemClock>>;
    type Letters = S3DeadLetters;
    type Clock = SystemClock;
}

/// Connects the function called `name` to what `config` names. Nothing is requested yet.
///
/// # Errors
/// A setting of Redis is invalid.
pub async fn connect<R: Rule<Settings = Arc<Profile>>>(
    name: &'static str,
    config: &Config,
) -> Result<(Context<Deployed<R>>, DeployedGuard), RemoteError> {
    let sdk = aws::config().await;
    let redis = redis::Connection::connect(&config.redis, &sdk).await?;
    let context = Context {
        settings: registry::Deployed::connect(&sdk, &config.registry, Some(redis.clone())),
        shards: Shards::new(KinesisSource::new(&sdk, &config.readings_stream)),
        progress: DynamoDbProgress::new(&sdk, &config.progress_table),
        states: RedisStates::new(redis, config.state_ttl),
        results: DynamoDbResults::new(&sdk, &config.results_table),
        findings: config.alerts.as_ref().map(|alerts| Reporter {
            incidents: DynamoDbIncidents::new(&sdk, &alerts.presence_table, alerts.incident_ttl),
            topic: SnsTopic::new(&sdk, &alerts.topic),
            clock: SystemClock,
        }),
        letters: S3DeadLetters::new(&sdk, &config.guard.dead_letter_bucket),
        clock: SystemClock,
        limits: config.limits,
    };
    Ok((context, config.guard.guard(name, &sdk)))
}

const DAY_SECONDS: u64 = 86_400;

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `RESULTS_TABLE`: the table of results.
    pub results_table: String,
    /// `REGISTRY_TABLE` and `REGISTRY_TTL_SECONDS`: the registry of devices.
    pub registry: registry::Settings,
    /// `NOTES_TABLE` and `DEAD_LETTER_BUCKET`: the notes of suspects, and the bucket of dead letters.
    pub guard: GuardSettings,
    /// `REDIS_URL` and the other settings of Redis, which stores the states.
    pub redis: redis::Settings,
    /// `READINGS_STREAM`: the stream whose shards the function reads.
    pub readings_stream: String,
    /// `PROGRESS_TABLE`: the table of what stateful functions have acknowledged.
    pub progress_table: String,
    /// `STATE_TTL_SECONDS`: how long a device may be silent before its state is forgotten.
    pub state_ttl: Duration,
    /// `RESULTS_SECONDS` and `HISTORY_TTL_DAYS`: how often a device's latest row is written, and how long rows of history are
    /// kept.
    pub limits: Limits,
    /// Where alerts go; `None` if the rule finds nothing.
    pub alerts: Option<AlertSettings>,
}

/// Where the alerts of a function go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSettings {
    /// `PRESENCE_TABLE`: the table of incidents, and of connections.
    pub presence_table: String,
    /// `ALERT_TOPIC`: the ARN of the topic of alerts.
    pub topic: String,
    /// `PRESENCE_TTL_DAYS`: how long incidents that are over are kept.
    pub incident_ttl: Duration,
}

impl AlertSettings {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Ok(Self {
            presence_table: env.required("PRESENCE_TABLE", "the name of the table of connections and incidents")?,
            topic: env.required("ALERT_TOPIC", "the ARN of the topic of alerts")?,
            incident_ttl: Duration::from_secs(env.within("PRESENCE_TTL_DAYS", 90, 1, 3_660)? * DAY_SECONDS),
        })
    }
}

impl Config {
    /// Reads the settings; the error names the variable. `finds` says whether the function's rule has findings.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>, finds: bool) -> Result<Self, EnvError> {
        let state_ttl = env.within("STATE_TTL_SECONDS", 7 * DAY_SECONDS, 60, 366 * DAY_SECONDS)?;
        Ok(Self {
            results_table: env.required("RESULTS_TABLE", "the name of the table of results")?,
            registry: registry::Settings::from_env(env)?,
            guard: GuardSettings::from_env(env)?,
            redis: redis::Settings::required(env)?,
            readings_stream: env.required("READINGS_STREAM", "the name of the stream of readings")?,
            progress_table: env.required("PROGRESS_TABLE", "the name of the table of progress")?,
            state_ttl: Duration::from_secs(state_ttl),
            limits: Limits {
                results_interval: Duration::from_secs(env.within("RESULTS_SECONDS", 30, 0, 3_600)?),
                history_ttl: Duration::from_secs(env.within("HISTORY_TTL_DAYS", 90, 1, 3_660)? * DAY_SECONDS),
                group: GROUP,
            },
            alerts: finds.then(|| AlertSettings::from_env(env)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::env;

    const SET: [(&str, &str); 7] = [
        ("READINGS_STREAM", "readings"),
        ("PROGRESS_TABLE", "progress"),
        ("RESULTS_TABLE", "results"),
        ("REGISTRY_TABLE", "registry"),
        ("NOTES_TABLE", "notes"),
        ("DEAD_LETTER_BUCKET", "dead"),
        ("REDIS_URL", "redis://localhost:6379"),
    ];

    fn config(extra: &[(&str, &str)]) -> Result<Config, EnvError> {
        Config::from_env(&env::of(extra, &SET), false)
    }

    #[test]
    fn the_names_and_a_redis_server_are_required() {
        let config = config(&[]).unwrap();
        assert_eq!(config.limits.results_interval, Duration::from_secs(30));
        assert_eq!(config.state_ttl, Duration::from_hours(7 * 24));
        assert_eq!(config.limits.history_ttl, Duration::from_hours(90 * 24));
        assert_eq!(config.registry.ttl, Duration::from_secs(30));
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_out_of_bounds() {
        for (name, _) in SET {
            let error = config(&[(name, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is not set")), "{error}");
        }
        for (name, value) in [
            ("STATE_TTL_SECONDS", "59"),
            ("HISTORY_TTL_DAYS", "0"),
            ("REGISTRY_TTL_SECONDS", "61"),
            ("RESULTS_SECONDS", "3601"),
        ] {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn a_function_that_finds_something_needs_a_topic_and_a_table_of_incidents() {
        let with = [("PRESENCE_TABLE", "presence"), ("ALERT_TOPIC", "arn:aws:sns:us-east-1:0:alerts")];
        let config = |extra: &[(&str, &str)]| Config::from_env(&env::of(extra, &[&SET[..], &with].concat()), true);
        assert_eq!(config(&[]).unwrap().alerts.unwrap().incident_ttl, Duration::from_hours(90 * 24));
        for (name, value) in [("PRESENCE_TABLE", ""), ("ALERT_TOPIC", ""), ("PRESENCE_TTL_DAYS", "0")] {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
    }
}
