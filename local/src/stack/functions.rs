//! Starts the template's functions, each from its own binary.

use crate::clock::TokioClock;
use crate::function::asynchronous::{Asynchronous, FailureDestination, Settings};
use crate::function::{Function, FunctionSpec};
use crate::servers::AwsEndpoints;
use crate::template::{Resolved, Resource, integer, only};
use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use myaku::platform::clock::ScaledClock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Environments of one function at the same time. An AWS account has 1,000 for all functions together.
const CONCURRENCY: usize = 100;
/// Lambda's defaults.
const TIMEOUT_SECONDS: i64 = 3;
const MEMORY_MB: i64 = 128;

/// The variable that sets a function's own clock. It is set only with a time scale.
const CLOCK: &str = "MYAKU_CLOCK";

/// The clocks of functions, and the limit of their time-outs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The clock of asynchronous retries.
    pub(super) queues: TokioClock,
    /// The clock of the functions themselves.
    pub(super) functions: ScaledClock,
    /// The longest time-out, even if the template allows more.
    pub(super) timeout_max: Option<Duration>,
}

pub(super) fn start(
    resolved: &Resolved,
    endpoints: &AwsEndpoints,
    binaries: &Path,
    directory: &Path,
    times: Times,
) -> Result<BTreeMap<String, Function>> {
    let config = endpoints.sdk_config();
    let functions = resolved.of_kind("AWS::Serverless::Function").map(|(id, resource)| {
        let mut spec = spec(resource, endpoints, binaries, directory).with_context(|| id.to_owned())?;
        spec.timeout = times.timeout_max.map_or(spec.timeout, |most| most.min(spec.timeout));
        spec.asynchronous = asynchronous(&resource.properties, &config, times.queues).with_context(|| id.to_owned())?;
        if times.functions != ScaledClock::default() {
            spec.environment.insert(CLOCK.to_owned(), times.functions.to_string());
        }
        let function = Function::start(spec).with_context(|| id.to_owned())?;
        Ok((id.to_owned(), function))
    });
    functions.collect()
}

fn spec(resource: &Resource, endpoints: &AwsEndpoints, binaries: &Path, directory: &Path) -> Result<FunctionSpec> {
    let binary = resource.metadata["BuildProperties"]["Binary"].as_str();
    let binary = binary.context("Metadata.BuildProperties.Binary is missing")?;
    let path = binaries.join(binary);
    if !path.is_file() {
        bail!("there is no binary {}: run `make build`, or pass --binaries", path.display());
    }
    let seconds = integer(&resource.properties["Timeout"]).unwrap_or(TIMEOUT_SECONDS);
    let mut environment = endpoints.environment();
    for (name, value) in resource.properties["Environment"]["Variables"].as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        environment.insert(name.clone(), value);
    }
    Ok(FunctionSpec {
        name: resource.physical_id.clone(),
        binary: path,
        environment,
        timeout: Duration::from_secs(u64::try_from(seconds)?),
        memory_mb: u32::try_from(integer(&resource.properties["MemorySize"]).unwrap_or(MEMORY_MB))?,
        concurrency: CONCURRENCY,
        log: directory.join(super::directory::LOGS).join(format!("{binary}.log")),
        asynchronous: Asynchronous::default(),
    })
}

/// The template's settings for asynchronous invocations.
fn asynchronous(properties: &Value, config: &SdkConfig, clock: TokioClock) -> Result<Asynchronous> {
    if !properties["DeadLetterQueue"].is_null() {
        bail!("DeadLetterQueue does not run on this machine: use an on-failure destination, which records more");
    }
    let wanted = &properties["EventInvokeConfig"];
    let destinations = &wanted["DestinationConfig"];
    only(wanted, &["MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"])?;
    only(destinations, &["OnFailure"])?;
    let number = |name: &str| integer(&wanted[name]);
    let settings = Settings::new(number("MaximumRetryAttempts"), number("MaximumEventAgeInSeconds"))?;
    let on_failure = destinations["OnFailure"]["Destination"].as_str();
    let destination = on_failure.map(|arn| FailureDestination::new(config, arn)).transpose()?;
    Ok(Asynchronous { settings, destination, clock })
}
