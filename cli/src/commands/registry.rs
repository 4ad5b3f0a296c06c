//! What `myaku profile` and `myaku device` share: which table, and how problems are told.

use anyhow::Context as _;
use myaku::device::profile::Problem;
use myaku::device::registry::{DynamoDb, Key, Kind, MasterData, MasterDataWriter, NotPut};
use myaku::platform::clock::{Now as _, SystemClock};
use std::io::Write;

/// Documents that one page of a listing looks at.
const PAGE: usize = 500;

/// Where master data is.
#[derive(Debug, clap::Args)]
pub(super) struct Table {
    // No doc comment: its markup would show in the help.
    #[arg(
        long = "table",
        env = "REGISTRY_TABLE",
        value_name = "NAME",
        help = "The table of master data, as the stack names it; AWS_ENDPOINT_URL_DYNAMODB leads to a local stack"
    )]
    name: String,
}

impl Table {
    pub(super) async fn connect(&self) -> DynamoDb {
        DynamoDb::new(&myaku::platform::aws::config().await, &self.name)
    }
}

/// One line for each problem: where, the field, what is wrong with it.
pub(super) fn tell(out: &mut impl Write, place: &str, problems: &[Problem]) -> anyhow::Result<()> {
    for problem in problems {
        match problem.field.as_str() {
            "" => writeln!(out, "{place}: {}", problem.message)?,
            field => writeln!(out, "{place}: {field}: {}", problem.message)?,
        }
    }
    Ok(())
}

/// The document at a key.
pub(super) async fn find(store: &impl MasterData, key: &Key) -> anyhow::Result<Option<String>> {
    let mut read = store.read(std::slice::from_ref(key), SystemClock.now_ms()).await?;
    Ok(read.remove(key).and_then(|stored| stored.document))
}

/// Prints the document at a key, indented; that there is none is an error.
pub(super) async fn show(store: &impl MasterData, key: Key, out: &mut impl Write) -> anyhow::Result<()> {
    let document = find(store, &key).await?.with_context(|| format!("there is no {} {:?}", key.kind.name(), key.id))?;
    match serde_json::from_str::<serde_json::Value>(&document) {
        Ok(value) => writeln!(out, "{value:#}")?,
        // It was not written by this tool: it is shown as it is.
        Err(_) => writeln!(out, "{document}")?,
    }
    Ok(())
}

/// Prints every document of a kind: with `json` one on each line as it is stored, else what `line` makes of it.
pub(super) async fn list(
    store: &impl MasterDataWriter,
    kind: Kind,
    json: bool,
    line: impl Fn(&Key, &str) -> String,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store.list(kind, after, PAGE).await?;
        for (key, document) in &page.documents {
            if json {
                writeln!(out, "{document}")?;
            } else {
                writeln!(out, "{}", line(key, document))?;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The failure of a put, with the ids that it concerns.
pub(super) fn not_put(error: NotPut) -> anyhow::Error {
    let mut ids: Vec<_> = error.keys.iter().take(10).map(|key| key.id.as_str()).collect();
    if error.keys.len() > ids.len() {
        ids.push("…");
    }
    let told = format!("{} documents were not written ({})", error.keys.len(), ids.join(", "));
    anyhow::Error::new(error.source).context(told)
}
