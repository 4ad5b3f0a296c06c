//! What `myaku profile`, `myaku device` and `myaku facility` share: the argument that names the table of master data, and files of it.

use anyhow::Context as _;
use myaku::device::registry::DynamoDb;
use std::path::{Path, PathBuf};

/// The argument that names the table of master data.
#[derive(Debug, clap::Args)]
pub(super) struct Table {
    // No doc comment: its markup would show in the help.
    #[arg(
        long = "table",
        env = "REGISTRY_TABLE",
        value_name = "NAME",
        help = "The table of master data (the stack's output RegistryTableName); \
                set AWS_ENDPOINT_URL_DYNAMODB for a local stack"
    )]
    name: String,
}

impl Table {
    pub(super) async fn connect(&self) -> DynamoDb {
        DynamoDb::new(&myaku::platform::aws::config().await, &self.name)
    }
}

/// Reads a file.
pub(super) fn read_bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads files as pairs of name and text.
pub(super) fn read_files(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let read = files.iter().map(|file| {
        let name = file.display().to_string();
        let text = String::from_utf8(read_bytes(file)?)
            .with_context(|| format!("{name} is not a text in UTF-8; save it as UTF-8"))?;
        Ok((name, text))
    });
    read.collect()
}
