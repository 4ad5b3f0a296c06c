//! `myaku device`: registers, lists and shows devices.

use super::master_data::Table;
use anyhow::Context as _;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use myaku::device::registry::{Device, Key, Kind};
use myaku_operator::registry::{devices, list, show};
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// The commands of `myaku device`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Register one device, replacing the one with the same id. Functions know it within a minute.
    Put {
        /// The device's id, as in its topics.
        id: String,
        /// The id of its profile.
        #[arg(long)]
        profile: String,
        /// The facility where it stands. Without it, only the device itself sends for it, and not a gateway or an app.
        #[arg(long)]
        facility: Option<String>,
        /// Another facility that it takes messages from, because it moves; `*` for all. Can be given several times.
        #[arg(long, value_name = "FACILITY")]
        roams: Vec<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Register the devices of a CSV file with the columns deviceId, profile and, if wanted, facility and roams (names with
    /// spaces between them).
    Import {
        /// The CSV file. Nothing is written unless every line is valid.
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        #[command(flatten)]
        table: Table,
    },
    /// List the devices: id, profile and facility, separated by tabs.
    List {
        /// Print whole entries as JSON, one on each line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        table: Table,
    },
    /// Show one device as JSON.
    Show {
        /// The id of the device.
        id: String,
        #[command(flatten)]
        table: Table,
    },
}

/// Runs the command. It prints all problems, and then returns an error with their number.
pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Put { id, profile, facility, roams, table } => {
            devices::put(&table.connect().await, &Device { device_id: id, profile, facility, roams }, out).await
        }
        Command::Import { file, table } => {
            let name = file.display().to_string();
            let csv = File::open(&file).with_context(|| format!("cannot open {name}"))?;
            // Drawn on standard error, and only if that is a terminal.
            let style = "{bar:40} {pos}/{len} devices, {per_sec}, {eta} left";
            let progress = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
            devices::import(&table.connect().await, &name, csv, &progress, out).await
        }
        Command::List { json, table } => list(&table.connect().await, Kind::Device, json, devices::columns, out).await,
        Command::Show { id, table } => show(&table.connect().await, Key::new(Kind::Device, id), out).await,
    }
}
