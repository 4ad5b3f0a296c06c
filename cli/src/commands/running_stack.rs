//! What a running stack is, noted in a file for the commands that speak to it.

use anyhow::{Context as _, Result};
use myaku::platform::clock::ScaledClock;
use myaku_local::function::FunctionSpec;
use myaku_local::function::asynchronous::Asynchronous;
use myaku_local::stack::Stack;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What commands take from the environment, under the names that the functions have for it, and the resource that it names.
const VARIABLES: [(&str, &str); 6] = [
    ("INGEST_STREAM", "IngestStream"),
    ("LAKE_BUCKET", "LakeBucket"),
    ("HEADS_TABLE", "HeadsTable"),
    ("DEAD_LETTER_BUCKET", "DeadLetterBucket"),
    ("REGISTRY_TABLE", "RegistryTable"),
    ("RESULTS_TABLE", "ResultsTable"),
];

/// A running stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
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
    /// Its routes.
    pub(super) routes: Vec<String>,
    /// The base URL of the issuer of tokens, if there is one.
    pub(super) issuer: Option<String>,
    /// What tokens say, and how.
    pub(super) claims: Claims,
    /// Physical names by logical ids.
    pub(super) resources: BTreeMap<String, String>,
    /// Its functions by logical ids.
    pub(super) functions: BTreeMap<String, FunctionState>,
}

/// The claims of tokens for the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claims {
    /// For whom tokens are: the value of `aud`.
    pub(super) audience: String,
    /// The claim that names a device.
    pub(super) device: String,
    /// The claim that names facilities.
    pub(super) facilities: String,
}

impl Claims {
    /// As the template's parameters say; their defaults where it has none.
    fn of(stack: &Stack) -> Self {
        let parameter = |name: &str, default: &str| stack.parameter(name).unwrap_or(default).to_owned();
        Self {
            audience: parameter("JwtAudience", "myaku"),
            device: parameter("DeviceClaim", "device_id"),
            facilities: parameter("FacilitiesClaim", "facilities"),
        }
    }
}

/// A function of a running stack: what it takes to run another environment of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionState {
    /// Its binary.
    pub(super) binary: PathBuf,
    /// Its environment.
    pub(super) environment: BTreeMap<String, String>,
    /// Its time-out in milliseconds.
    pub(super) timeout_ms: u64,
    /// Its memory in megabytes.
    pub(super) memory_mb: u32,
}

impl State {
    /// The state of `stack`.
    pub(super) fn of(stack: &Stack) -> Result<Self> {
        let endpoints = stack.endpoints();
        let mut environment = endpoints.aws.environment();
        for (name, resource) in VARIABLES {
            environment.insert(name.to_owned(), stack.physical_id(resource)?);
        }
        // A stream that is not sized has none.
        if let Ok(table) = stack.physical_id("ReshardTable") {
            environment.insert("RESHARD_TABLE".to_owned(), table);
        }
        if stack.clock() != ScaledClock::default() {
            environment.insert("MYAKU_CLOCK".to_owned(), stack.clock().to_string());
        }
        environment.insert("REDIS_URL".to_owned(), endpoints.redis.clone());
        // Where the stack has pending commands.
        environment.extend(stack.physical_id("CommandsTable").ok().map(|table| ("COMMANDS_TABLE".to_owned(), table)));
        Ok(Self {
            process: std::process::id(),
            environment,
            mqtt: (endpoints.mqtt.ip().to_string(), endpoints.mqtt.port()),
            redis: endpoints.redis.clone(),
            http: endpoints.http,
            routes: stack.routes(),
            issuer: endpoints.issuer,
            claims: Claims::of(stack),
            resources: stack.resources().map(|(id, name)| (id.to_owned(), name.to_owned())).collect(),
            functions: stack
                .functions()
                .map(|(id, function)| (id.to_owned(), FunctionState::of(function.spec())))
                .collect(),
        })
    }

    /// Where the state of a stack in `directory` is noted.
    pub(super) fn file(directory: &Path) -> PathBuf {
        directory.join("state.json")
    }

    /// Reads the state that was noted in `directory`.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let file = Self::file(directory);
        let json = std::fs::read(&file)
            .with_context(|| format!("{} cannot be read: is `myaku local` running here?", file.display()))?;
        serde_json::from_slice(&json).with_context(|| format!("{} is not as it should be", file.display()))
    }

    /// Notes the state in `directory`.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let file = Self::file(directory);
        std::fs::write(&file, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    /// The variables as lines for a shell.
    pub(super) fn exports(&self) -> String {
        let lines = self.environment.iter().map(|(name, value)| format!("export {name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A function by its logical id (`TransformFunction`) or the name of its binary (`transform`).
    pub(super) fn function(&self, name: &str) -> Result<(&str, &FunctionState)> {
        let is_it = |id: &str, function: &FunctionState| {
            id == name || function.binary.file_name().is_some_and(|binary| binary == name)
        };
        let found = self.functions.iter().find(|(id, function)| is_it(id, function));
        found.map(|(id, function)| (id.as_str(), function)).with_context(|| {
            let known = self.functions.keys().cloned().collect::<Vec<_>>().join(", ");
            format!("there is no function {name:?}; there are {known}")
        })
    }
}

impl FunctionState {
    fn of(spec: &FunctionSpec) -> Self {
        Self {
            binary: spec.binary.clone(),
            environment: spec.environment.clone(),
            timeout_ms: spec.timeout.as_millis() as u64,
            memory_mb: spec.memory_mb,
        }
    }

    /// One environment of it, which writes to `log`.
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

    pub(crate) fn state() -> State {
        let function = FunctionState {
            binary: "target/demo/transform".into(),
            environment: BTreeMap::new(),
            timeout_ms: 60_000,
            memory_mb: 256,
        };
        State {
            process: 1,
            environment: BTreeMap::from([("AWS_REGION".to_owned(), "us-east-1".to_owned())]),
            mqtt: ("127.0.0.1".to_owned(), 1883),
            redis: "redis://127.0.0.1:6379".to_owned(),
            http: Some("http://127.0.0.1:8000".to_owned()),
            routes: vec!["POST /v1/messages".to_owned()],
            issuer: Some("http://127.0.0.1:8001".to_owned()),
            claims: Claims {
                audience: "myaku".to_owned(),
                device: "device_id".to_owned(),
                facilities: "facilities".to_owned(),
            },
            resources: BTreeMap::new(),
            functions: BTreeMap::from([("TransformFunction".to_owned(), function)]),
        }
    }

    #[test]
    fn a_state_that_was_noted_is_read_back_and_one_that_was_not_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = State::read(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("is `myaku local` running here?"), "{error}");
        state().write(directory.path()).unwrap();
        assert_eq!(State::read(directory.path()).unwrap(), state());
    }

    #[test]
    fn a_function_goes_by_its_logical_id_and_by_its_binary() {
        let state = state();
        assert_eq!(state.function("transform").unwrap().0, "TransformFunction");
        assert_eq!(state.function("TransformFunction").unwrap().0, "TransformFunction");
        let error = state.function("transformer").unwrap_err();
        assert_eq!(error.to_string(), "there is no function \"transformer\"; there are TransformFunction");
    }

    #[test]
    fn exports_are_lines_that_a_shell_takes() {
        assert_eq!(state().exports(), "export AWS_REGION=us-east-1");
    }
}
