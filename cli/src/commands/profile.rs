//! `myaku profile`: drafts, checks, writes, lists and shows device profiles.

use super::master_data::{Table, read_bytes, read_files};
use anyhow::Context as _;
use clap::Subcommand;
use myaku::device::registry::{Key, Kind};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_operator::registry::profiles::Trial;
use myaku_operator::registry::{list, profiles, show};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The commands of `myaku profile`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check profiles and print every problem by field. Needs no connection.
    Check {
        /// JSON files with one profile each.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Check profiles and write them, replacing those with the same ids. Functions use them within a minute.
    Put {
        /// JSON files with one profile each. Nothing is written unless all files are valid.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        table: Table,
    },
    /// Show the readings that a payload gives, or why it gives none, step by step. Needs no connection.
    Try {
        /// A JSON file with a profile.
        #[arg(value_name = "PROFILE")]
        profile: PathBuf,
        /// A file with the payload; `-` reads the standard input.
        #[arg(long, value_name = "FILE")]
        payload: PathBuf,
        /// The payload is written in hexadecimal digits; assumed of a file whose name ends in `.hex`.
        #[arg(long)]
        hex: bool,
        /// The topic that the message is published to.
        #[arg(long, default_value = "dt/myaku/facility/device/message")]
        topic: String,
        /// When the message is received; now if not given.
        #[arg(long, value_name = "TIME")]
        received: Option<jiff::Timestamp>,
        /// Print everything as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Draft a profile from payloads of JSON or CBOR, and say what it was not sure of. Needs no connection. The draft goes
    /// to the standard output, the doubts to the standard error.
    Infer {
        /// Files with one payload each, or with a payload of JSON on each line.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The id of the profile.
        #[arg(long, default_value = "draft")]
        id: String,
    },
    /// List the units that numbers can be converted from and to, by quantity, with all their names.
    Units {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of profiles, from which editors complete keys: docs/profile.schema.json.
    Schema,
    /// List the profiles: id and description, separated by a tab.
    List {
        /// Print whole profiles as JSON, one on each line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        table: Table,
    },
    /// Show one profile as JSON.
    Show {
        /// The id of the profile.
        id: String,
        #[command(flatten)]
        table: Table,
    },
}

/// Runs the command. It prints all problems, and then returns an error with their number.
pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Check { files } => {
            for (key, _) in profiles::check(&read_files(&files)?, out)? {
                writeln!(out, "profile {:?} is valid", key.id)?;
            }
            Ok(())
        }
        Command::Try { profile, payload, hex, topic, received, json } => {
            let hex = hex || payload.extension().is_some_and(|it| it == "hex");
            let received_ms = received.map_or_else(|| SystemClock.now_ms(), jiff::Timestamp::as_millisecond);
            let trial = Trial { payload: &read_payload(&payload)?, hex, topic: &topic, received_ms };
            profiles::attempt(&read_files(&[profile])?[0], &trial, json, out)
        }
        Command::Infer { files, id } => {
            let files: Vec<_> = files.iter().map(|file| read_bytes(file)).collect::<anyhow::Result<_>>()?;
            profiles::infer(&id, &files, SystemClock.now_ms(), out, &mut io::stderr())
        }
        Command::Units { json } => profiles::units(json, out),
        Command::Schema => Ok(writeln!(out, "{:#}", myaku::device::profile::schema())?),
        Command::Put { files, table } => profiles::put(&table.connect().await, &read_files(&files)?, out).await,
        Command::List { json, table } => {
            list(&table.connect().await, Kind::Profile, json, profiles::columns, out).await
        }
        Command::Show { id, table } => show(&table.connect().await, Key::new(Kind::Profile, id), out).await,
    }
}

fn read_payload(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file != Path::new("-") {
        return read_bytes(file);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("cannot read the standard input")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_published_schema_is_that_of_the_code() {
        let published = include_str!("../../../docs/profile.schema.json");
        let current = format!("{:#}\n", myaku::device::profile::schema());
        assert!(published == current, "write it again: myaku profile schema > docs/profile.schema.json");
    }
}
