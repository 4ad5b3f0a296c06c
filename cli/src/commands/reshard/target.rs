//! Which stream, and what is known about it: what the commands that look at a stream share.

use anyhow::{Context as _, Result, anyhow};
use myaku::platform::clock::ScaledClock;
use myaku::platform::errors::RemoteError;
use myaku::scaling::reshard::alarms::CloudWatchAlarms;
use myaku::scaling::reshard::control::KinesisControl;
use myaku::scaling::reshard::ledger::{DynamoDbLedger, Entry, MemoryLedger, Versioned};
use myaku::scaling::reshard::metrics::CloudWatchMetrics;
use myaku::scaling::reshard::{Autoscaler, Ledger, Readers};
use myaku::scaling::shards::Policy;
use std::path::PathBuf;
use std::time::Duration;

/// How long an action of this tool keeps others out: one call and its answer.
const LEASE: Duration = Duration::from_mins(1);

/// Arguments that name a stream.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Target {
    /// The stream; in AWS, or in the stack that `AWS_ENDPOINT_URL_KINESIS` and its kin lead to.
    #[arg(long, env = "RESHARD_STREAM_NAME", value_name = "NAME")]
    stream: String,
    /// The autoscaler's table: what it has under way, and the calls of the last 24 hours.
    #[arg(long, env = "RESHARD_TABLE", value_name = "NAME")]
    table: Option<String>,
    /// A function that reads the stream by polling.
    #[arg(long = "reader", value_name = "FUNCTION")]
    readers: Vec<String>,
    /// The policy, in TOML; `RESHARD_…` variables or the default policy without it.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The clock of a local stack under a time scale, as its functions have it.
    #[arg(long, env = "MYAKU_CLOCK", value_name = "CLOCK", hide = true)]
    clock: Option<ScaledClock>,
}

/// What is remembered of a stream: in its table, or nothing.
#[derive(Clone, Debug)]
pub(super) enum Remembered {
    Table(DynamoDbLedger),
    Nothing(MemoryLedger),
}

impl Ledger for Remembered {
    async fn load(&self, stream: &str) -> Result<Versioned, RemoteError> {
        match self {
            Self::Table(ledger) => ledger.load(stream).await,
            Self::Nothing(ledger) => ledger.load(stream).await,
        }
    }

    async fn commit(&self, stream: &str, replaces: u64, entry: &Entry) -> Result<Option<u64>, RemoteError> {
        match self {
            Self::Table(ledger) => ledger.commit(stream, replaces, entry).await,
            Self::Nothing(ledger) => ledger.commit(stream, replaces, entry).await,
        }
    }
}

pub(super) type Deployed = Autoscaler<KinesisControl, CloudWatchMetrics, CloudWatchAlarms, Remembered>;

impl Target {
    /// What looks at the stream, and acts. The alarms stay the autoscaler's own to keep.
    pub(super) async fn connect(&self) -> Result<Deployed> {
        let sdk = myaku::platform::aws::config().await;
        let ledger = match &self.table {
            Some(table) => Remembered::Table(DynamoDbLedger::new(&sdk, table)),
            None => Remembered::Nothing(MemoryLedger::default()),
        };
        Ok(Autoscaler {
            control: KinesisControl::new(&sdk, &self.stream),
            metrics: CloudWatchMetrics::new(&sdk),
            alarms: CloudWatchAlarms::new(&sdk),
            ledger,
            policy: self.policy()?,
            readers: Readers { functions: self.readers.clone() },
            alarms_of: None,
            lease: LEASE,
        })
    }

    /// The clock of cool-downs and metrics.
    pub(super) fn clock(&self) -> ScaledClock {
        self.clock.unwrap_or_default()
    }

    fn policy(&self) -> Result<Policy> {
        let problems = |problems: Vec<myaku::scaling::shards::PolicyError>| {
            let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow!("the policy cannot be used: {}", told.join("; "))
        };
        let Some(file) = &self.policy else {
            return Policy::from_lookup(|name| std::env::var(name).ok()).map_err(problems);
        };
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let policy: Policy = toml::from_str(&text).with_context(|| format!("{} is no policy", file.display()))?;
        policy.checked().map_err(problems)
    }
}
