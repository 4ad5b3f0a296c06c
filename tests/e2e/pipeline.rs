//! The whole template, with the functions' own binaries, under traffic and while its stores go down and come back.

use anyhow::Context as _;
use myaku_demo::{Options, Progress, run};
use myaku_local::servers::kinesis::Refusal;
use myaku_local::stack::{self, Stack};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Seeds of one run of the tests. `MYAKU_E2E_SEEDS=100` tries more.
const SEEDS: u64 = 2;

/// How long a store is down.
const OUTAGE: Duration = Duration::from_secs(1);

/// Reports when the first messages were sent.
#[derive(Default)]
pub(crate) struct Sending(watch::Sender<bool>);

impl Sending {
    /// Becomes true with the first message.
    pub(crate) fn first(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

impl Progress for Sending {
    fn stage(&self, _: &str) {}

    fn sent(&self, sent: usize, _: usize, _: u64) {
        self.0.send_if_modified(|sending| !std::mem::replace(sending, *sending || sent > 0) && sent > 0);
    }

    fn event(&self, _: &str) {}
}

/// The directory of the binaries: this test is in `deps` below it.
pub(crate) fn binaries() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(Path::parent).context("the path of the test has no directory above `deps`")?;
    anyhow::ensure!(profile.join("archiver").is_file(), "build the functions first: `make test` does");
    Ok(profile.to_owned())
}

/// Starts the whole template.
pub(crate) async fn up(directory: &Path) -> anyhow::Result<Stack> {
    up_with(directory, &[]).await
}

/// Starts the whole template with further parameters.
pub(crate) async fn up_with(directory: &Path, parameters: &[(&str, &str)]) -> anyhow::Result<Stack> {
    Stack::up(stack_options(directory, parameters)?).await
}

/// The options of that stack. Tests are short, so times are, and each change of a result is written.
pub(crate) fn stack_options(directory: &Path, parameters: &[(&str, &str)]) -> anyhow::Result<stack::Options> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let short = [
        ("ArchiveWindowSeconds", "1"),
        ("DisconnectGraceSeconds", "2"),
        ("ResultsSeconds", "0"),
        ("ClearAfterSeconds", "2"),
    ];
    let parameters = short.iter().chain(parameters);
    let parameters: BTreeMap<_, _> =
        parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(stack::Options {
        template,
        parameters,
        binaries: binaries()?,
        directory: directory.to_owned(),
        ports: stack::Ports::default(),
        time_scale: 1.0,
        timeout_max: None,
    })
}

pub(crate) fn options(seed: u64) -> Options {
    Options { rate: 150.0, devices: 40, duration: Duration::from_secs(8), seed }
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_kills_and_misbehaving_devices_break_no_promise() -> anyhow::Result<()> {
    let seeds = std::env::var("MYAKU_E2E_SEEDS").ok().map_or(Ok(SEEDS), |seeds| seeds.parse())?;
    for seed in 1..=seeds {
        let directory = tempfile::tempdir()?;
        let stack = up(directory.path()).await?;
        let report = Box::pin(run::run(&stack, &options(seed), &Sending::default())).await?;
        assert_eq!(stack.messages_dropped(), 0);
        stack.down().await;
        assert!(report.ok, "seed {seed}: {:?}", report.verdict.broken);
        // Answers were lost after the put, and batches came twice. So the lake has repetitions, which the averages do
        // not count.
        assert!(report.traffic.http_again > 0 && report.traffic.batches_again > 0, "{:?}", report.traffic);
        assert!(report.verdict.archive.delivered_again > 0);
        assert!(report.verdict.averages.right > 0);
    }
    Ok(())
}

/// Stops each store, and the second stream, for a while in turn, as soon as messages are sent.
async fn cause_outages(stack: &Stack, mut sending: watch::Receiver<bool>) -> anyhow::Result<()> {
    let servers = stack.servers();
    let pause = || tokio::time::sleep(OUTAGE);
    sending.wait_for(|sending| *sending).await?;
    servers.s3.stop().await;
    pause().await;
    servers.s3.restart().await?;
    servers.dynamodb.stop().await;
    pause().await;
    servers.dynamodb.restart().await?;
    let readings = stack.physical_id("ReadingsStream")?;
    servers.kinesis.close(&readings, Refusal::Fails);
    pause().await;
    servers.kinesis.open(&readings);
    servers.redis.stop().await?;
    pause().await;
    servers.redis.restart().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_and_streams_that_go_down_and_come_back_lose_nothing() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up(directory.path()).await?;
    let sending = Sending::default();
    let outages = cause_outages(&stack, sending.first());
    let options = options(77);
    let (report, outages) = tokio::join!(Box::pin(run::run(&stack, &options, &sending)), outages);
    outages?;
    let report = report?;
    stack.down().await;
    assert!(report.ok, "{:?}", report.verdict.broken);
    Ok(())
}
