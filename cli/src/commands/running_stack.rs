//! Notes a running stack in a file, in which the other commands find its servers and names.

use anyhow::{Context as _, Result, bail};
use myaku::platform::clock::ScaledClock;
use myaku_local::function::FunctionSpec;
use myaku_local::function::asynchronous::Asynchronous;
use myaku_local::stack::{self, Stack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The variables that commands read from the environment, named as in the functions, each with the resource that it
/// names.
const VARIABLES: [(&str, &str); 8] = [
    ("INGEST_STREAM", "IngestStream"),
    ("LAKE_BUCKET", "LakeBucket"),
    ("HEADS_TABLE", "HeadsTable"),
    ("DEAD_LETTER_BUCKET", "DeadLetterBucket"),
    ("REGISTRY_TABLE", "RegistryTable"),
    ("RESULTS_TABLE", "ResultsTable"),
    ("PROGRESS_TABLE", "ProgressTable"),
    ("READINGS_STREAM", "ReadingsStream"),
];

/// What is noted about a running stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunningStack {
    /// The process that runs it.
    pub(super) process: u32,
    /// Variables with which SDKs and tools find its servers.
    pub(super) environment: BTreeMap<String, String>,
    /// Host and port of the MQTT broker.
    pub(super) mqtt: (String, u16),
    /// The URL of Redis or Valkey.
    pub(super) redis: String,
    /// The base URL of the HTTP API, if there is one.
    pub(super) http: Option<String>,
    /// The routes of the HTTP API.
    pub(super) routes: Vec<String>,
    /// The base URL of the issuer of tokens, if there is one.
    pub(super) issuer: Option<String>,
    /// The audience and the claims of tokens.
    pub(super) claims: ClaimNames,
    /// Physical names by logical ids.
    pub(super) resources: BTreeMap<String, String>,
    /// Functions by logical ids.
    pub(super) functions: BTreeMap<String, RunningFunction>,
}

/// The names and values in tokens for the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimNames {
    /// The audience of tokens: the value of `aud`.
    pub(super) audience: String,
    /// The claim that names a device.
    pub(super) device: String,
    /// The claim that names facilities.
    pub(super) facilities: String,
    /// The claim that shows that a token is an app's.
    pub(super) app: String,
    /// What that claim contains.
    pub(super) app_role: String,
}

impl ClaimNames {
    /// Reads them from the template's parameters, with the usual defaults for a template without them.
    fn of(stack: &Stack) -> Self {
        let parameter = |name: &str, default: &str| stack.parameter(name).unwrap_or(default).to_owned();
        Self {
            audience: parameter("JwtAudience", "myaku"),
            device: parameter("DeviceClaim", "device_id"),
            facilities: parameter("FacilitiesClaim", "facilities"),
            app: parameter("AppClaim", "scope"),
            app_role: parameter("AppRole", "myaku/app"),
        }
    }
}

/// What is needed to run another environment of a function of a running stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunningFunction {
    /// The function's binary.
    pub(super) binary: PathBuf,
    /// Its environment variables.
    pub(super) environment: BTreeMap<String, String>,
    /// Its time-out in milliseconds.
    pub(super) timeout_ms: u64,
    /// Its memory in megabytes.
    pub(super) memory_mb: u32,
}

impl RunningStack {
    /// Describes `stack`.
    pub(super) fn of(stack: &Stack) -> Result<Self> {
        let endpoints = stack.endpoints();
        let mut environment = endpoints.aws.environment();
        for (name, resource) in VARIABLES {
            environment.insert(name.to_owned(), stack.physical_id(resource)?);
        }
        // A stack without the autoscaler has no such table.
        if let Ok(table) = stack.physical_id("ReshardTable") {
            environment.insert("RESHARD_TABLE".to_owned(), table);
        }
        if stack.clock() != ScaledClock::default() {
            environment.insert("MYAKU_CLOCK".to_owned(), stack.clock().to_string());
        }
        environment.insert("REDIS_URL".to_owned(), endpoints.redis.clone());
        // Only stacks with pending commands have this table.
        environment.extend(stack.physical_id("CommandsTable").ok().map(|table| ("COMMANDS_TABLE".to_owned(), table)));
        Ok(Self {
            process: std::process::id(),
            environment,
            mqtt: (endpoints.mqtt.ip().to_string(), endpoints.mqtt.port()),
            redis: endpoints.redis.clone(),
            http: endpoints.http,
            routes: stack.routes(),
            issuer: endpoints.issuer,
            claims: ClaimNames::of(stack),
            resources: stack.resources().map(|(id, name)| (id.to_owned(), name.to_owned())).collect(),
            functions: stack
                .functions()
                .map(|(id, function)| (id.to_owned(), RunningFunction::of(function.spec())))
                .collect(),
        })
    }

    /// Returns the file in which a stack in `directory` is noted.
    pub(super) fn file(directory: &Path) -> PathBuf {
        directory.join("state.json")
    }

    /// Reads the stack that is noted in `directory`, and runs.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let file = Self::file(directory);
        let json = std::fs::read(&file)
            .with_context(|| format!("cannot read {}: is `myaku local` running in this directory?", file.display()))?;
        let noted: Self = serde_json::from_slice(&json)
            .with_context(|| format!("{} does not describe a running stack; restart `myaku local`", file.display()))?;
        if stack::runner(directory) != Some(noted.process) {
            bail!(
                "nothing runs in {}: process {}, which {} notes, has ended; start `myaku local` again",
                directory.display(),
                noted.process,
                file.display()
            );
        }
        Ok(noted)
    }

    /// Notes the stack in `directory`.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let file = Self::file(directory);
        std::fs::write(&file, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Returns the variables as lines for a shell.
    pub(super) fn exports(&self) -> String {
        let lines = self.environment.iter().map(|(name, value)| format!("export {name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Finds a function by its logical id (`TransformFunction`) or the name of its binary (`transform`).
    pub(super) fn function(&self, name: &str) -> Result<(&str, &RunningFunction)> {
        let has_name = |id: &str, function: &RunningFunction| {
            id == name || function.binary.file_name().is_some_and(|binary| binary == name)
        };
        let found = self.functions.iter().find(|(id, function)| has_name(id, function));
        found.map(|(id, function)| (id.as_str(), function)).with_context(|| {
            let known = self.functions.keys().cloned().collect::<Vec<_>>().join(", ");
            format!("unknown function {name:?}; choose from {known}")
        })
    }
}

impl RunningFunction {
    fn of(spec: &FunctionSpec) -> Self {
        Self {
            binary: spec.binary.clone(),
            environment: spec.environment.clone(),
            timeout_ms: spec.timeout.as_millis() as u64,
            memory_mb: spec.memory_mb,
        }
    }

    /// Specifies one environment of the function, which logs to `log`.
    pub(super) fn spec(&self, name: &str, log: PathBuf) -> FunctionSpec {
        FunctionSpec {
            name: name.to_owned(),
            binary: self.binary.clone(),
            environment: self.environment.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            memory_mb: self.memory_mb,
            concurrency: 1,
            log,
            asynchronous: Asynchronous::default(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn running_stack() -> RunningStack {
        let function = RunningFunction {
            binary: "target/demo/transform".into(),
            environment: BTreeMap::new(),
            timeout_ms: 60_000,
            memory_mb: 256,
        };
        RunningStack {
            process: 1,
            environment: BTreeMap::from([("AWS_REGION".to_owned(), "us-east-1".to_owned())]),
            mqtt: ("127.0.0.1".to_owned(), 1883),
            redis: "redis://127.0.0.1:6379".to_owned(),
            http: Some("http://127.0.0.1:8000".to_owned()),
            routes: vec!["POST /v1/messages".to_owned()],
            issuer: Some("http://127.0.0.1:8001".to_owned()),
            claims: ClaimNames {
                audience: "myaku".to_owned(),
                device: "device_id".to_owned(),
                facilities: "facilities".to_owned(),
                app: "scope".to_owned(),
                app_role: "myaku/app".to_owned(),
            },
            resources: BTreeMap::new(),
            functions: BTreeMap::from([("TransformFunction".to_owned(), function)]),
        }
    }

    #[test]
    fn a_noted_stack_is_read_back_while_it_runs_and_otherwise_the_error_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = RunningStack::read(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("is `myaku local` running in this directory?"), "{error}");
        let noted = RunningStack { process: std::process::id(), ..running_stack() };
        noted.write(directory.path()).unwrap();
        let lock = std::fs::File::create(directory.path().join("lock")).unwrap();
        lock.lock().unwrap();
        std::fs::write(directory.path().join("lock"), noted.process.to_string()).unwrap();
        assert_eq!(RunningStack::read(directory.path()).unwrap(), noted);
        drop(lock);
        let error = RunningStack::read(directory.path()).unwrap_err().to_string();
        assert!(error.starts_with("nothing runs in ") && error.contains("has ended"), "{error}");
    }

    #[test]
    fn a_function_is_found_by_its_logical_id_and_by_its_binary() {
        let stack = running_stack();
        assert_eq!(stack.function("transform").unwrap().0, "TransformFunction");
        assert_eq!(stack.function("TransformFunction").unwrap().0, "TransformFunction");
        let error = stack.function("transformer").unwrap_err();
        assert_eq!(error.to_string(), "unknown function \"transformer\"; choose from TransformFunction");
    }

    #[test]
    fn exports_are_lines_for_a_shell() {
        assert_eq!(running_stack().exports(), "export AWS_REGION=us-east-1");
    }
}
