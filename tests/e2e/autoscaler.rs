//! Load that rises and falls, with time sixty times as fast: the stream of messages grows and shrinks with it, through
//! CloudWatch, SNS, Lambda and Kinesis, and no record is lost or out of order.

use super::pipeline::binaries;
use anyhow::{Context as _, ensure};
use myaku::lake::archive::{self, S3Lake};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_demo::burst::{self, PATIENCE, Producer, TIME_SCALE, a_while, until_shards};
use myaku_local::stack::{self, Stack};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const POLL: Duration = Duration::from_millis(200);

async fn up(directory: &Path) -> anyhow::Result<Stack> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let parameters = burst::PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Stack::up(stack::Options {
        template,
        parameters,
        binaries: binaries()?,
        directory: directory.to_owned(),
        ports: stack::Ports::default(),
        time_scale: TIME_SCALE,
        timeout_max: None,
    })
    .await
}

/// Completes when the threshold of the alarm on high load is that of the open shards.
async fn high_alarm_follows(stack: &Stack) -> anyhow::Result<()> {
    let client = aws_sdk_cloudwatch::Client::new(&stack.sdk_config());
    let kinesis = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let stream = stack.physical_id("IngestStream")?;
    loop {
        let shards = until_shards(&kinesis, &stream, |_| true).await?;
        let wanted = format!("records / {}", shards * 60_000);
        let found = client.describe_alarms().alarm_names("myaku-ingest-high").send().await?;
        let queries = found.metric_alarms().iter().flat_map(aws_sdk_cloudwatch::types::MetricAlarm::metrics);
        if queries.filter_map(|query| query.expression()).any(|expression| expression.contains(&wanted)) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The autoscaler's log.
fn read_log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("logs/reshard-autoscaler.log")).unwrap_or_default()
}

/// Completes when the topic has a message that an alarm whose name begins with `alarm` is in `ALARM`.
async fn alarm_published(stack: &Stack, alarm: &str) -> anyhow::Result<()> {
    let topic = stack.physical_id("ReshardTopic")?;
    let subject = format!("ALARM: \"{alarm}");
    loop {
        let messages = stack.servers().sns.topics().messages(&topic)?;
        let subjects = messages.iter().filter_map(|message| message.publication.subject.as_deref());
        if subjects.into_iter().any(|published| published.starts_with(&subject)) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn in_time<T>(what: &str, wait: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(PATIENCE, wait).await.with_context(|| format!("{what}: not done within {} s", PATIENCE.as_secs()))?
}

#[tokio::test(flavor = "multi_thread")]
async fn load_up_and_down_moves_the_shards_and_the_alarms_and_no_record_is_lost_or_out_of_order() -> anyhow::Result<()>
{
    let directory = tempfile::tempdir()?;
    let stack = up(directory.path()).await?;
    let client = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let stream = stack.physical_id("IngestStream")?;
    in_time("the first alarms", high_alarm_follows(&stack)).await?;

    // The load exceeds one shard: the stream grows by as much as its load needs at that moment.
    let mut producer = Producer::new(client.clone(), stream.clone());
    let began = Instant::now();
    let grown = Box::pin(producer.send_until(until_shards(&client, &stream, |open| open > 1))).await;
    let grown = grown.with_context(|| {
        format!("the stream did not grow; the log of the autoscaler:\n{}", read_log(directory.path()))
    })?;
    println!("{grown} shards after {:?}", began.elapsed());
    // Which alarm is first depends on the machine: a full shard is throttled, and hot, before its alarm on the load is
    // due. The scheduled tick may have been first. An alarm needs load, so the load goes on until an alarm is
    // published.
    Box::pin(producer.send_until(alarm_published(&stack, "myaku-ingest-")))
        .await
        .context("no alarm of the stream was published")?;
    Box::pin(producer.send_until(high_alarm_follows(&stack)))
        .await
        .context("the alarms did not follow the new shards")?;
    // The consumers follow from the parent to its children under load.
    producer.send_until(a_while()).await?;

    // The stream halves after thirty minutes without load, while it is read.
    let ended = Instant::now();
    in_time("shrinking", until_shards(&client, &stream, |open| open == 1)).await?;
    println!("one shard {:?} after the last record", ended.elapsed());
    in_time("the alarms of one shard", high_alarm_follows(&stack)).await?;

    stack.caught_up(SystemClock.now_ms()).await;
    let log = read_log(directory.path());
    ensure!(log.contains("received an alarm"), "no alarm invoked the function; its log:\n{log}");
    ensure_every_record_once_and_in_order(&stack, &stream, producer.next()).await?;
    stack.down().await;
    Ok(())
}

/// Checks that the lake has each record of each key once, in the order in which they were put.
async fn ensure_every_record_once_and_in_order(stack: &Stack, stream: &str, sent: &[u64]) -> anyhow::Result<()> {
    let lake = S3Lake::new(&stack.sdk_config(), stack.physical_id("LakeBucket")?);
    let mut records = Vec::new();
    for key in archive::list(&lake, stream).await? {
        records.extend(archive::read_object(&lake, &key).await?.1);
    }
    // Sequence numbers of a key also grow across a reshard.
    records.sort_unstable_by_key(|record| record.position);
    let mut seen: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for record in &records {
        let text = String::from_utf8_lossy(&record.data);
        let mut words = text.split(' ');
        let (key, number) = (words.next().context("no key")?.parse()?, words.next().context("no number")?.parse()?);
        seen.entry(key).or_default().push(number);
    }
    for (key, sent) in sent.iter().enumerate() {
        let seen = seen.remove(&key).unwrap_or_default();
        ensure!(
            seen == (0..*sent).collect::<Vec<_>>(),
            "key {key}: {sent} records were sent, but the lake has {seen:?}"
        );
    }
    Ok(())
}
