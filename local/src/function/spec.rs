//! What a function is, as its template says, and why it cannot be started.

use super::asynchronous::Asynchronous;
use crate::account::{ACCOUNT, REGION};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a function is, as its template says.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    /// The name, which becomes `AWS_LAMBDA_FUNCTION_NAME`.
    pub name: String,
    /// The executable that speaks the Runtime API: a `bootstrap`.
    pub binary: PathBuf,
    /// Environment variables. The process gets these and Lambda's own, but nothing from its parent's environment.
    pub environment: BTreeMap<String, String>,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Memory in megabytes. The process reads it from its environment; nothing enforces it.
    pub memory_mb: u32,
    /// The most environments at one time.
    pub concurrency: usize,
    /// The file to which environments append their output.
    pub log: PathBuf,
    /// How asynchronous invocations are retried, and where failed ones go.
    pub asynchronous: Asynchronous,
}

impl FunctionSpec {
    /// The function's ARN, in the region that its environment names.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{}", self.region(), self.name)
    }

    pub(super) fn region(&self) -> &str {
        self.environment.get("AWS_REGION").map_or(REGION, String::as_str)
    }
}

/// Why a function cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no executable.
    #[error("function {name} has no binary at {binary}: build it first")]
    NoBinary {
        /// The function.
        name: String,
        /// Where it should be.
        binary: PathBuf,
    },
    /// It could never run.
    #[error("function {0} has a concurrency of 0: it must be at least 1")]
    NoConcurrency(String),
    /// The log file cannot be written.
    #[error("function {name} cannot write its log {log}")]
    Log {
        /// The function.
        name: String,
        /// The file.
        log: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
