//! `myaku facility`: writes, lists and shows facilities, with those who hear of their alerts.

use super::master_data::{Table, read_files};
use clap::Subcommand;
use myaku::device::registry::{Key, Kind};
use myaku_operator::registry::{facilities, list, show};
use std::io;
use std::path::PathBuf;

/// The commands of `myaku facility`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write facilities with their contacts, replacing those with the same names. Functions use them within a minute.
    Put {
        /// JSON files with one facility each. Nothing is written unless all files are valid.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        table: Table,
    },
    /// List the facilities: name, time zone and contacts, separated by tabs.
    List {
        /// Print whole entries as JSON, one on each line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        table: Table,
    },
    /// Show one facility as JSON.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        table: Table,
    },
}

/// Runs the command. It prints all problems, and then returns an error with their number.
pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Put { files, table } => facilities::put(&table.connect().await, &read_files(&files)?, out).await,
        Command::List { json, table } => {
            list(&table.connect().await, Kind::Facility, json, facilities::columns, out).await
        }
        Command::Show { name, table } => show(&table.connect().await, Key::new(Kind::Facility, name), out).await,
    }
}
