//! `myaku query`: asks the lake in SQL.
//!
//! DuckDB does the work, in a Python program of this repository, `query/ask.py`. It is embedded, because an operator's machine
//! has this command alone. What it needs comes in one variable of its environment, which only the same user can read, since the
//! credentials for S3 are in it.

use super::times::Times;
use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use clap::ValueEnum;
use myaku::results::dynamodb::DynamoDbResults;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// The program, its tables, and the packages of Python that it needs.
const PROGRAM: &str = include_str!("../../../query/ask.py");
const LAKE: &str = include_str!("../../../query/lake.json");
const REQUIREMENTS: &str = include_str!("../../../query/requirements.txt");
/// Where `make tools` installs those packages.
const VENV: &str = ".venv/query/bin/python";
/// The variable that the program reads.
const SETTINGS: &str = "MYAKU_QUERY";
/// How long the program may take to end after Ctrl-C.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// The most rows of the table of results that are copied: a row has about a kilobyte.
const RESULTS_MAX: usize = 1_000_000;

/// Arguments of `myaku query`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    // No doc comment: its markup would show in the help.
    #[arg(
        help = "What to ask, in DuckDB's SQL, of the views messages, readings, dead_letters and results. Without it, \
                a shell reads statements that end with a semicolon"
    )]
    sql: Option<String>,
    #[command(flatten)]
    times: Times<24>,
    /// How the rows are printed: json is one object a line.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// End a statement that takes longer than so many seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// Read the whole table of results for the view results: a scan of up to 1,000,000 rows.
    #[arg(long)]
    with_results: bool,
    /// The Python to run, which needs duckdb; that of `make tools` if it is there, otherwise python3.
    #[arg(long, env = "MYAKU_PYTHON", value_name = "FILE")]
    python: Option<PathBuf>,
    #[command(flatten)]
    names: Names,
    /// The URL of S3, if it is not that of the region.
    #[arg(long, env = "AWS_ENDPOINT_URL_S3", value_name = "URL")]
    endpoint: Option<String>,
}

/// The names of what is asked. A view needs only its own.
#[derive(Debug, clap::Args)]
struct Names {
    #[arg(
        long,
        env = "LAKE_BUCKET",
        value_name = "NAME",
        help = "The lake's bucket (the stack's output LakeBucketName), for messages and readings"
    )]
    bucket: Option<String>,
    #[arg(
        long,
        env = "INGEST_STREAM",
        value_name = "NAME",
        help = "The stream of messages (the stack's output IngestStreamName)"
    )]
    stream: Option<String>,
    #[arg(
        long,
        env = "READINGS_STREAM",
        value_name = "NAME",
        help = "The stream of readings (the stack's output ReadingsStreamName)"
    )]
    readings: Option<String>,
    #[arg(
        long,
        env = "DEAD_LETTER_BUCKET",
        value_name = "NAME",
        help = "The bucket of dead letters (the stack's output DeadLetterBucketName)"
    )]
    letters: Option<String>,
    #[arg(
        long,
        env = "RESULTS_TABLE",
        value_name = "NAME",
        help = "The table of results (the stack's output ResultsTableName)"
    )]
    results: Option<String>,
}

impl Names {
    /// What each view needs: a name, and the variable that an error asks for.
    fn by_view(&self) -> Value {
        let lake = named("LAKE_BUCKET", self.bucket.as_ref());
        json!({
            "messages": { "bucket": lake, "stream": named("INGEST_STREAM", self.stream.as_ref()) },
            "readings": { "bucket": lake, "stream": named("READINGS_STREAM", self.readings.as_ref()) },
            "dead_letters": { "bucket": named("DEAD_LETTER_BUCKET", self.letters.as_ref()) },
        })
    }
}

fn named(variable: &str, value: Option<&String>) -> Value {
    json!({ "variable": variable, "value": value })
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// Columns side by side; long values are cut.
    Table,
    /// With a line of names first.
    Csv,
    /// One object a line.
    Json,
}

/// Runs the command. The exit code is the program's.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let range = args.times.range()?;
    let sdk = myaku::platform::aws::config().await;
    let s3 = s3(&sdk, args.endpoint.as_deref()).await?;
    let results = match (args.with_results, &args.names.results) {
        (false, _) => None,
        (true, None) => bail!("--with-results needs the variable RESULTS_TABLE: it is in the stack's outputs"),
        (true, Some(table)) => Some(copy(&DynamoDbResults::new(&sdk, table)).await?),
    };
    let settings = json!({
        "sql": args.sql,
        "format": args.format,
        "timeoutSeconds": args.timeout,
        "sinceMs": range.start,
        "untilMs": range.end,
        "names": args.names.by_view(),
        "results": results.as_ref().map(NamedTempFile::path),
        "s3": s3,
        "lake": serde_json::from_str::<Value>(LAKE).context("query/lake.json is not JSON")?,
        "requirements": requirements(),
    });
    let python = args.python.unwrap_or_else(|| PathBuf::from(if Path::new(VENV).is_file() { VENV } else { "python3" }));
    let child =
        Command::new(&python).arg("-c").arg(PROGRAM).env(SETTINGS, settings.to_string()).kill_on_drop(true).spawn();
    let child = child.with_context(|| {
        format!("cannot start {}; install Python 3.10 or later, or name one with --python", python.display())
    })?;
    wait(child, args.sql.is_none()).await
}

/// The packages, as arguments of pip.
fn requirements() -> String {
    let lines = REQUIREMENTS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// What DuckDB needs for S3: region, endpoint and credentials, as the SDK finds them.
async fn s3(sdk: &SdkConfig, endpoint: Option<&str>) -> Result<Value> {
    let region = sdk.region().context("no region is set; set AWS_REGION")?;
    let provider = sdk.credentials_provider().context("no credentials are configured; set AWS_PROFILE")?;
    let credentials = provider.provide_credentials().await;
    let credentials =
        credentials.context("there are no AWS credentials; log in (aws sso login), or set AWS_PROFILE")?;
    Ok(json!({
        "key": credentials.access_key_id(),
        "secret": credentials.secret_access_key(),
        "token": credentials.session_token(),
        "region": region.as_ref(),
        "endpoint": endpoint,
    }))
}

/// Copies the table of results into a file, a row a line. It is deleted when it is dropped.
async fn copy(table: &DynamoDbResults) -> Result<NamedTempFile> {
    let file = NamedTempFile::new().context("cannot make a file for the results; is the disk full?")?;
    let mut out = BufWriter::new(file.as_file());
    let (mut rows, mut after) = (0, None);
    loop {
        let (page, next) = table.scan_page(after).await?;
        for row in &page {
            writeln!(out, "{row}")?;
        }
        rows += page.len();
        if rows > RESULTS_MAX {
            bail!(
                "the table of results has more than {RESULTS_MAX} rows; export it to S3 instead (aws dynamodb export-table-to-point-in-time)"
            );
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    out.flush()?;
    drop(out);
    Ok(file)
}

/// Waits for the program. Ctrl-C reaches it from the terminal too: it ends its statement, and a shell goes on.
async fn wait(mut child: Child, is_shell: bool) -> Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate())?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            _ = terminated.recv() => bail!("terminated"),
            _ = tokio::signal::ctrl_c() => if !is_shell {
                match tokio::time::timeout(END_TIMEOUT, child.wait()).await {
                    Ok(status) => break status,
                    Err(_) => bail!("interrupted"),
                }
            },
        }
    };
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::lake::dead_letter::Reason;

    #[test]
    fn the_packages_are_those_of_the_file_with_their_versions() {
        let packages = requirements();
        let versions: Vec<_> = packages.split(' ').filter_map(|package| package.split_once("==")).collect();
        assert!(packages.starts_with("duckdb==") && versions[1].0 == "duckdb-extension-httpfs", "{packages}");
        assert_eq!(versions.len(), packages.split(' ').count(), "{packages}");
        assert_eq!(versions[0].1, versions[1].1, "an extension loads into its own version only");
    }

    #[test]
    fn the_description_of_the_lake_names_every_reason() {
        let lake: Value = serde_json::from_str(LAKE).unwrap();
        let described = lake["tables"]["dead_letters"]["partitions"][0][3]["values"].as_str().unwrap();
        assert_eq!(described, Reason::ALL.map(Reason::name).join(","));
    }
}
