//! `myaku command`: puts, lists and cancels the commands that wait for devices.

use clap::Subcommand;
use myaku::ingest::command::{Command, DynamoDbCommands};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_operator::pending;
use std::io;
use uuid::Uuid;

/// The commands of `myaku command`.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Put a command for a device, replacing one that waits already. The device gets it when it next sends over HTTP.
    Put {
        /// The id of the device.
        device: String,
        /// What the device is to do, for example set-interval.
        request: String,
        /// The payload of the request.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        payload: String,
        /// For how many minutes the command waits before it expires.
        #[arg(long, default_value_t = 24 * 60, value_parser = clap::value_parser!(u32).range(1..=60 * 24 * 30))]
        minutes: u32,
        #[command(flatten)]
        table: Table,
    },
    /// List the commands that wait: device, id, request, seconds left and payload, separated by tabs.
    List {
        #[command(flatten)]
        table: Table,
    },
    /// Cancel the command that waits for a device.
    Cancel {
        /// The id of the device.
        device: String,
        #[command(flatten)]
        table: Table,
    },
}

/// The argument that names the table of pending commands.
#[derive(Debug, clap::Args)]
pub(super) struct Table {
    // No doc comment: its markup would show in the help.
    #[arg(
        long = "table",
        env = "COMMANDS_TABLE",
        value_name = "NAME",
        help = "The table of pending commands (the stack's output CommandsTableName); \
                set AWS_ENDPOINT_URL_DYNAMODB for a local stack"
    )]
    name: String,
}

impl Table {
    async fn connect(&self) -> DynamoDbCommands {
        DynamoDbCommands::new(&myaku::platform::aws::config().await, &self.name)
    }
}

/// Runs the command.
pub(super) async fn run(action: Action) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    let now_ms = SystemClock.now_ms();
    match action {
        Action::Put { device, request, payload, minutes, table } => {
            let command = Command {
                device_id: device,
                id: Uuid::now_v7().to_string(),
                request,
                payload,
                created_ms: now_ms,
                expires_ms: now_ms + i64::from(minutes) * 60_000,
            };
            pending::put(&table.connect().await, &command, out).await
        }
        Action::List { table } => pending::list(&table.connect().await, now_ms, out).await,
        Action::Cancel { device, table } => pending::cancel(&table.connect().await, &device, now_ms, out).await,
    }
}
