//! `myaku query` over real objects: what its views show is what was archived. It needs the packages of query/requirements.txt,
//! which `make test` installs.

use super::pipeline::{Sending, binaries, options, up_with};
use aws_sdk_s3::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::ProgressBar;
use myaku::ingest::message::Message;
use myaku::lake::archive::{Archiver, Compression, DynamoDbHeads, Format, Hour, MemoryHeads, S3Lake};
use myaku::lake::dead_letter::{DeadLetterReader as _, S3DeadLetters};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::batch::{Batch, UserRecord};
use myaku::stream::source::kinesis::KinesisSource;
use myaku_demo::run;
use myaku_local::servers::{self, AwsEndpoints, Server};
use myaku_local::stack::Stack;
use myaku_local::template::{Names, Resolved, Template};
use myaku_operator::audit::{self, audit};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const EVENTS: [&str; 4] = [
    include_str!("../../events/kinesis-archiver.json"),
    include_str!("../../events/kinesis-aggregated.json"),
    include_str!("../../events/kinesis-log-agents.json"),
    include_str!("../../events/kinesis-transform.json"),
];
const BUCKET: &str = "lake";
/// The beginning of 2026-11-21, in milliseconds since the epoch. The events lie around it.
const MIDNIGHT_MS: i64 = 1_795_219_200_000;

/// Functions of Athena's engine that DuckDB calls by other names.
const ATHENA: &str = "CREATE MACRO json_extract_scalar(document, place) AS document->>place;
    CREATE MACRO date_format(moment, form) AS strftime(moment, form);
    CREATE MACRO from_unixtime(number) AS to_timestamp(number);
    CREATE MACRO to_unixtime(moment) AS epoch(moment);";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `myaku query`; the error has what it wrote to standard error.
async fn run_query(environment: &BTreeMap<String, String>, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(binaries()?.join("myaku"));
    command.arg("query").args(arguments).envs(environment).current_dir(root());
    let output = command.output().await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The rows of a statement.
async fn rows(environment: &BTreeMap<String, String>, since: &str, sql: &str) -> anyhow::Result<Vec<Value>> {
    let text = run_query(environment, &["--format", "json", "--since", since, sql]).await?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

async fn count(environment: &BTreeMap<String, String>, sql: &str) -> anyhow::Result<u64> {
    let found = rows(environment, "1d", &format!("SELECT count(*) AS n FROM {sql}")).await?;
    Ok(found[0]["n"].as_u64().unwrap_or_default())
}

/// How many GETs DuckDB sends for a statement, as it reports itself.
async fn gets(environment: &BTreeMap<String, String>, sql: &str) -> anyhow::Result<usize> {
    let plan = run_query(environment, &["--since", "2026-11-20", &format!("EXPLAIN ANALYZE {sql}")]).await?;
    let gets = plan.split("#GET:").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(gets.ok_or_else(|| anyhow::anyhow!("the plan counts no requests: {plan}"))?.parse()?)
}

/// A lake in S3 with the records of `EVENTS`.
struct Archived {
    _server: Server,
    _directory: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    batches: Vec<Batch>,
}

impl Archived {
    async fn up(format: Format) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let server = servers::s3::start(0, directory.path()).await?;
        let endpoints = AwsEndpoints::from([("s3", server.endpoint())]);
        let config = endpoints.sdk_config();
        Client::new(&config).create_bucket().bucket(BUCKET).send().await?;
        let lake = S3Lake::new(&config, BUCKET);
        let archiver = Archiver::new(lake, MemoryHeads::default(), Compression::new(format, None)?);
        let mut batches = EVENTS.into_iter().map(Batch::from_event).collect::<Result<Vec<_>, _>>()?;
        for (number, batch) in batches.iter_mut().enumerate() {
            // Each in a shard of its own, with positions of its own: some events repeat those of others.
            (batch.stream, batch.shard) = ("ingest".to_owned(), format!("shardId-{number:012}"));
            for (index, record) in batch.records.iter_mut().enumerate() {
                record.sequence = (1_000 * (number + 1) + index).to_string().parse()?;
            }
            let done = Box::pin(archiver.archive(batch)).await;
            anyhow::ensure!(done.stopped.is_none(), "{:?}", done.stopped);
        }
        let mut environment = endpoints.environment();
        environment.insert("LAKE_BUCKET".to_owned(), BUCKET.to_owned());
        environment.insert("INGEST_STREAM".to_owned(), "ingest".to_owned());
        Ok(Self { _server: server, _directory: directory, environment, batches })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_of_messages_shows_every_record_and_its_payload_in_either_compression() -> anyhow::Result<()> {
    for format in [Format::Gzip, Format::Zstd] {
        let archived = Archived::up(format).await?;
        let sql = "SELECT seq, sub, json, b64, deviceId, payloadBytes, receivedAt FROM messages ORDER BY seq, sub";
        let found = rows(&archived.environment, "2026-11-20", sql).await?;
        let mut sent: Vec<_> = archived.batches.iter().flat_map(Batch::user_records).collect();
        sent.sort_by_key(UserRecord::position);
        assert_eq!(found.len(), sent.len(), "{format:?}");
        let (mut messages, mut others) = (0, 0);
        for (found, sent) in found.iter().zip(&sent) {
            let position = sent.position();
            assert_eq!(found["seq"], format!("{:0>56}", position.sequence.to_string()));
            assert_eq!(found["sub"], position.sub);
            match found["b64"].as_str() {
                None => assert_eq!(found["json"], serde_json::from_slice::<Value>(sent.data)?),
                Some(b64) => assert_eq!(STANDARD.decode(b64)?, sent.data),
            }
            match Message::parse(sent.data) {
                Ok(message) => {
                    messages += 1;
                    assert_eq!(found["deviceId"], message.device_id);
                    assert_eq!(found["receivedAt"], message.received_at);
                    assert_eq!(found["payloadBytes"], STANDARD.encode(&message.payload));
                }
                Err(_) => others += 1,
            }
        }
        assert!(messages > 2 && others > 2, "the events have {messages} messages and {others} other records");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_the_time_spares_the_objects_of_other_hours() -> anyhow::Result<()> {
    let archived = Archived::up(Format::Zstd).await?;
    let hours: Vec<_> =
        archived.batches.iter().flat_map(Batch::user_records).map(|record| Hour::of(record.arrived_ms)).collect();
    let in_hour = |hour: &str| hours.iter().filter(|one| one.to_string() == hour).count() as u64;
    let (last, first) = (in_hour("dt=2026-11-20/hh=23"), in_hour("dt=2026-11-21/hh=00"));
    assert!(last > 0 && first > 0);
    let environment = &archived.environment;
    let counted = async |condition: &str| {
        let sql = format!("SELECT count(*) AS n FROM messages WHERE {condition}");
        let objects = gets(environment, &sql).await?;
        anyhow::Ok((rows(environment, "2026-11-20", &sql).await?[0]["n"].as_u64().unwrap_or_default(), objects))
    };
    let (all, objects) = counted("true").await?;
    assert_eq!(all, hours.len() as u64);
    let one_day = counted("dt = '2026-11-20' AND hh = 23").await?;
    let other_day = counted("dt > '2026-11-20' AND hh < 1").await?;
    assert_eq!((one_day.0, other_day.0), (last, first));
    assert!(one_day.1 < objects && other_day.1 < objects, "{one_day:?} {other_day:?} of {objects}");
    assert_eq!(one_day.1 + other_day.1, objects);
    // So does a later beginning. It is exact: the objects of its hour have earlier records too.
    let arrivals: Vec<_> =
        archived.batches.iter().flat_map(Batch::user_records).map(|record| record.arrived_ms).collect();
    let latest = arrivals.iter().copied().filter(|ms| *ms < MIDNIGHT_MS).max().unwrap_or_default();
    let of_day = latest - (MIDNIGHT_MS - 24 * 3_600_000);
    let (minutes, ms) = (of_day / 60_000, of_day % 60_000);
    let since = format!("2026-11-20T{:02}:{:02}:{:02}.{:03}Z", minutes / 60, minutes % 60, ms / 1_000, ms % 1_000);
    let found = rows(environment, &since, "SELECT count(*) AS n FROM messages").await?;
    let expected = arrivals.iter().filter(|ms| **ms >= latest).count() as u64;
    assert!(expected < all && expected > first);
    assert_eq!(found[0]["n"], expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_is_wrong_and_what_to_do() -> anyhow::Result<()> {
    let archived = Archived::up(Format::Zstd).await?;
    let nowhere = AwsEndpoints::from([("s3", "http://127.0.0.1:1".to_owned())]).environment();
    let known = &archived.environment;
    let messages = "SELECT count(*) FROM messages";
    for (change, sql, expected) in [
        (("INGEST_STREAM", "ingest"), "SELEC 1", "syntax error at or near \"SELEC\""),
        (("INGEST_STREAM", "ingest"), "SELECT nothing FROM messages", "\"nothing\" not found"),
        (("INGEST_STREAM", "ingest"), "SELECT * FROM readings", "needs the variable READINGS_STREAM"),
        (("INGEST_STREAM", "ingest"), "SELECT * FROM results", "needs --with-results"),
        (("LAKE_BUCKET", "elsewhere"), messages, "the bucket does not exist: check LAKE_BUCKET"),
        (("AWS_SECRET_ACCESS_KEY", "wrong"), messages, "the credentials may not list or read this bucket"),
        (("AWS_ENDPOINT_URL_S3", nowhere["AWS_ENDPOINT_URL_S3"].as_str()), messages, "S3 does not answer"),
        (("MYAKU_PYTHON", "no-python"), "SELECT 1", "cannot start no-python; install Python"),
    ] {
        let mut environment = known.clone();
        environment.insert(change.0.to_owned(), change.1.to_owned());
        let error = run_query(&environment, &[sql]).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
    let error = run_query(known, &["--timeout", "1", "SELECT count(*) FROM range(100000000000)"]).await.unwrap_err();
    assert!(error.to_string().contains("it was not done in 1 s"), "{error}");
    Ok(())
}

/// The template with Athena, under other names than those of a running stack.
fn with_athena() -> anyhow::Result<Resolved> {
    let parameters = [("RedisUrl", "redis://127.0.0.1"), ("AskByAthena", "true")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Template::load(&root().join("template.yaml"))?.resolve(&parameters.into(), &Names::new("myaku", "other"))?)
}

async fn audited(stack: &Stack, stream: &str, began_ms: i64) -> anyhow::Result<u64> {
    let config = stack.sdk_config();
    let (stream, now_ms) = (stack.physical_id(stream)?, SystemClock.now_ms());
    let lake = S3Lake::new(&config, stack.physical_id("LakeBucket")?);
    let heads = DynamoDbHeads::new(&config, stack.physical_id("HeadsTable")?);
    let source = KinesisSource::new(&config, stream.clone());
    let options = audit::Options {
        stream,
        hours: Hour::of(began_ms)..=Hour::of(now_ms),
        archived_ms: i64::MAX,
        held_since_ms: 0,
        now_ms,
        sweep_max: usize::MAX,
        concurrency: 8,
    };
    let report = audit(&lake, &heads, Some(&source), &options, &ProgressBar::hidden()).await?;
    assert_eq!(report.findings, []);
    Ok(report.records as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_stack_is_asked_by_views_and_by_the_saved_queries() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up_with(directory.path(), &[("ReadingsLake", "true"), ("AskByAthena", "true")]).await?;
    let began_ms = SystemClock.now_ms();
    let report = Box::pin(run::run(&stack, &options(5), &Sending::default())).await?;
    assert!(report.ok, "{:?}", report.verdict.broken);
    stack.caught_up(SystemClock.now_ms()).await;

    let mut environment = stack.endpoints().aws.environment();
    for (variable, resource) in [
        ("LAKE_BUCKET", "LakeBucket"),
        ("INGEST_STREAM", "IngestStream"),
        ("READINGS_STREAM", "ReadingsStream"),
        ("DEAD_LETTER_BUCKET", "DeadLetterBucket"),
        ("RESULTS_TABLE", "ResultsTable"),
    ] {
        environment.insert(variable.to_owned(), stack.physical_id(resource)?);
    }
    // The lake of readings is judged by the same audit.
    assert_eq!(count(&environment, "messages").await?, audited(&stack, "IngestStream", began_ms).await?);
    let readings = audited(&stack, "ReadingsStream", began_ms).await?;
    assert!(readings > 0);
    assert_eq!(count(&environment, "readings WHERE id IS NOT NULL AND deviceId IS NOT NULL").await?, readings);
    let letters = S3DeadLetters::new(&stack.sdk_config(), stack.physical_id("DeadLetterBucket")?).keys(None).await?;
    assert!(!letters.is_empty());
    let whole = "dead_letters WHERE position IS NOT NULL AND reason IS NOT NULL";
    assert_eq!(count(&environment, whole).await?, letters.len() as u64);
    let sql = "SELECT count(*) AS n FROM results WHERE item = 'latest#' AND (result->>'$.mean') IS NOT NULL";
    let latest = run_query(&environment, &["--with-results", "--format", "csv", sql]).await?;
    assert!(latest.lines().nth(1).is_some_and(|n| n != "0"), "{latest}");

    // The columns of Glue are those of the views.
    let template = with_athena()?;
    for (id, table) in template.of_kind("AWS::Glue::Table") {
        let input = &table.properties["TableInput"];
        let described = rows(&environment, "1d", &format!("DESCRIBE {}", input["Name"].as_str().unwrap())).await?;
        let kinds: BTreeMap<_, _> = described
            .iter()
            .map(|row| (row["column_name"].as_str().unwrap().to_lowercase(), row["column_type"].as_str().unwrap()))
            .collect();
        let columns = [&input["StorageDescriptor"]["Columns"], &input["PartitionKeys"]];
        for column in columns.into_iter().flat_map(|list| list.as_array().into_iter().flatten()) {
            let allowed: &[&str] = match column["Type"].as_str().unwrap() {
                "string" => &["VARCHAR", "JSON"],
                "int" => &["INTEGER"],
                "bigint" => &["BIGINT"],
                "boolean" => &["BOOLEAN"],
                other => panic!("{id}: the type {other} is in no table so far"),
            };
            let name = column["Name"].as_str().unwrap();
            assert!(kinds.get(name).is_some_and(|kind| allowed.contains(kind)), "{id}.{name}: {kinds:?}");
        }
    }

    // The saved queries run, on DuckDB's dialect.
    let device = rows(&environment, "1d", "SELECT deviceId FROM messages WHERE deviceId LIKE 'band-%' LIMIT 1").await?;
    let device = device[0]["deviceId"].as_str().unwrap();
    let mut filled = 0;
    for (id, query) in template.of_kind("AWS::Athena::NamedQuery") {
        let sql = query.properties["QueryString"].as_str().unwrap();
        let stream = &template.resources["IngestStream"].physical_id;
        let sql = sql.replace(stream, &stack.physical_id("IngestStream")?).replace("DEVICE", device);
        let found = rows(&environment, "1d", &format!("{ATHENA} {sql}")).await?;
        // No device has been silent for a day.
        assert_eq!(found.is_empty(), id == "SilentDevicesQuery", "{id}: {found:?}");
        filled += 1;
    }
    assert_eq!(filled, 4);
    stack.down().await;
    Ok(())
}
