//! The arguments that name a stream, and the connections to it that most commands of `myaku reshard` need.

use anyhow::Result;
use myaku::platform::clock::ScaledClock;
use myaku::platform::errors::RemoteError;
use myaku::scaling::reshard::alarms::CloudWatchAlarms;
use myaku::scaling::reshard::control::KinesisControl;
use myaku::scaling::reshard::ledger::{DynamoDbLedger, Entry, MemoryLedger, Versioned};
use myaku::scaling::reshard::metrics::CloudWatchMetrics;
use myaku::scaling::reshard::{Autoscaler, Ledger, Readers};
use myaku_operator::reshard::{policy_from_env, read_policy};
use std::path::PathBuf;
use std::time::Duration;

/// How long an action of this tool keeps other invocations out: the time of one call with its answer.
const LEASE: Duration = Duration::from_mins(1);

/// Arguments that name a stream.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Target {
    // No doc comments where their markup would show in the help.
    #[arg(
        long,
        env = "RESHARD_STREAM_NAME",
        value_name = "NAME",
        help = "The stream; set AWS_ENDPOINT_URL_KINESIS, _CLOUDWATCH and _DYNAMODB for a local stack"
    )]
    stream: String,
    /// The autoscaler's table, which holds its reshard in progress and its calls of the last 24 hours. Nothing is
    /// remembered without it.
    #[arg(long, env = "RESHARD_TABLE", value_name = "NAME")]
    table: Option<String>,
    /// A function that reads the stream without enhanced fan-out. Can be given several times.
    #[arg(long = "reader", value_name = "FUNCTION")]
    readers: Vec<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "The policy, as a TOML file; if not given, the variables RESHARD_… or the default policy"
    )]
    policy: Option<PathBuf>,
    /// The clock of a local stack with a time scale, as its functions have it.
    #[arg(long, env = "MYAKU_CLOCK", value_name = "CLOCK", hide = true)]
    clock: Option<ScaledClock>,
}

/// The ledger of the autoscaler's table; without a table, one that lasts as long as this process.
#[derive(Clone, Debug)]
pub(super) enum OptionalLedger {
    Table(DynamoDbLedger),
    Memory(MemoryLedger),
}

impl Ledger for OptionalLedger {
    async fn load(&self, stream: &str) -> Result<Versioned, RemoteError> {
        match self {
            Self::Table(ledger) => ledger.load(stream).await,
            Self::Memory(ledger) => ledger.load(stream).await,
        }
    }

    async fn commit(&self, stream: &str, replaces: u64, entry: &Entry) -> Result<Option<u64>, RemoteError> {
        match self {
            Self::Table(ledger) => ledger.commit(stream, replaces, entry).await,
            Self::Memory(ledger) => ledger.commit(stream, replaces, entry).await,
        }
    }
}

/// An autoscaler that this tool drives by hand.
pub(super) type StreamAutoscaler = Autoscaler<KinesisControl, CloudWatchMetrics, CloudWatchAlarms, OptionalLedger>;

impl Target {
    /// Connects to the stream. The alarms are left to the autoscaler's function.
    pub(super) async fn connect(&self) -> Result<StreamAutoscaler> {
        let sdk = myaku::platform::aws::config().await;
        let ledger = match &self.table {
            Some(table) => OptionalLedger::Table(DynamoDbLedger::new(&sdk, table)),
            None => OptionalLedger::Memory(MemoryLedger::default()),
        };
        let policy = match &self.policy {
            Some(file) => read_policy(file)?,
            None => policy_from_env(|name| std::env::var(name).ok())?,
        };
        Ok(Autoscaler {
            control: KinesisControl::new(&sdk, &self.stream),
            metrics: CloudWatchMetrics::new(&sdk),
            alarms: CloudWatchAlarms::new(&sdk),
            ledger,
            policy,
            readers: Readers { functions: self.readers.clone() },
            alarms_of: None,
            lease: LEASE,
        })
    }

    /// Returns the clock of cool-downs and metrics.
    pub(super) fn clock(&self) -> ScaledClock {
        self.clock.unwrap_or_default()
    }
}
