//! `myaku command`: what waits for devices that only ever call in.

use anyhow::bail;
use clap::Subcommand;
use myaku::ingest::command::{Command, CommandsWriter, DynamoDbCommands};
use myaku::platform::clock::{Now as _, SystemClock};
use std::io::{self, Write};
use uuid::Uuid;

/// Commands that one page of a listing looks at.
const PAGE: usize = 500;

/// The commands of `myaku command`.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Puts a command for a device, in the place of the one that waits. The device is shown it when it calls in over HTTP.
    Put {
        /// The device.
        device: String,
        /// What to do: set-interval.
        request: String,
        /// What the request is about.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        payload: String,
        /// For how long it waits.
        #[arg(long, default_value_t = 24 * 60, value_parser = clap::value_parser!(u32).range(1..=60 * 24 * 30))]
        minutes: u32,
        #[command(flatten)]
        table: Table,
    },
    /// Lists what waits: device, id, request, seconds left and payload, separated by tabs.
    List {
        #[command(flatten)]
        table: Table,
    },
    /// Takes back the command that waits for a device.
    Cancel {
        /// The device.
        device: String,
        #[command(flatten)]
        table: Table,
    },
}

/// Where pending commands are.
#[derive(Debug, clap::Args)]
pub(super) struct Table {
    // No doc comment: its markup would show in the help.
    #[arg(
        long = "table",
        env = "COMMANDS_TABLE",
        value_name = "NAME",
        help = "The table of pending commands, as the stack names it; AWS_ENDPOINT_URL_DYNAMODB leads to a local stack"
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
            put(&table.connect().await, &command, out).await
        }
        Action::List { table } => list(&table.connect().await, now_ms, out).await,
        Action::Cancel { device, table } => cancel(&table.connect().await, &device, now_ms, out).await,
    }
}

async fn put(store: &impl CommandsWriter, command: &Command, out: &mut impl Write) -> anyhow::Result<()> {
    command.check()?;
    let replaced = store.pending(&command.device_id).await?.filter(|old| old.waits(command.created_ms));
    store.put(command).await?;
    writeln!(out, "command {} waits for device {:?}", command.id, command.device_id)?;
    if let Some(old) = replaced {
        writeln!(out, "it replaces command {} ({})", old.id, old.request)?;
    }
    Ok(())
}

async fn list(store: &impl CommandsWriter, now_ms: i64, out: &mut impl Write) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store.list(after, PAGE).await?;
        for command in page.commands.iter().filter(|command| command.waits(now_ms)) {
            let Command { device_id, id, request, payload, .. } = command;
            let left_seconds = (command.expires_ms - now_ms) / 1_000;
            writeln!(out, "{device_id}\t{id}\t{request}\t{left_seconds}\t{payload}")?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn cancel(store: &impl CommandsWriter, device: &str, now_ms: i64, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(command) = store.pending(device).await?.filter(|command| command.waits(now_ms)) else {
        bail!("no command waits for device {device:?}");
    };
    // Between the two calls the device may have acknowledged it, or somebody put another one, which stays.
    if !store.remove(device, &command.id).await? {
        bail!("command {} was acknowledged or replaced just now", command.id);
    }
    writeln!(out, "command {} ({}) is taken back; the device may have seen it", command.id, command.request)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::ingest::command::conformance::command;
    use myaku::ingest::command::{Commands as _, MemoryCommands};

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_command_is_put_listed_replaced_and_taken_back() {
        let (store, mut out) = (MemoryCommands::default(), Vec::new());
        let (first, second) = (command("bed-17", "c-1"), command("bed-17", "c-2"));
        put(&store, &first, &mut out).await.unwrap();
        put(&store, &second, &mut out).await.unwrap();
        assert_eq!(
            text(std::mem::take(&mut out)),
            "command c-1 waits for device \"bed-17\"\ncommand c-2 waits for device \"bed-17\"\n\
             it replaces command c-1 (set-interval)\n"
        );
        list(&store, second.created_ms, &mut out).await.unwrap();
        let line = format!("bed-17\tc-2\tset-interval\t900\t{}\n", second.payload);
        assert_eq!(text(std::mem::take(&mut out)), line);
        list(&store, second.expires_ms, &mut out).await.unwrap();
        assert_eq!(text(std::mem::take(&mut out)), "", "what is over waits no more");

        cancel(&store, "bed-17", second.created_ms, &mut out).await.unwrap();
        assert_eq!(store.pending("bed-17").await.unwrap(), None);
        let error = cancel(&store, "bed-17", second.created_ms, &mut out).await.unwrap_err();
        assert_eq!(error.to_string(), "no command waits for device \"bed-17\"");
    }

    #[tokio::test]
    async fn a_command_that_no_device_could_use_is_not_put() {
        let store = MemoryCommands::default();
        let bad = Command { payload: "{".to_owned(), ..command("bed-17", "c-1") };
        let error = put(&store, &bad, &mut Vec::new()).await.unwrap_err().to_string();
        assert!(error.starts_with("payload: it is not JSON"), "{error}");
        assert_eq!(store.pending("bed-17").await.unwrap(), None);
    }
}
