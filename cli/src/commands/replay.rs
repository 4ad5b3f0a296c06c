//! `myaku replay`: sends again what failed, or a stretch of the lake.

use super::progress::counting;
use super::times::Times;
use anyhow::{Result, bail};
use aws_config::SdkConfig;
use clap::Subcommand;
use jiff::SignedDuration;
use myaku::lake::archive::{Archiver, Compression, DynamoDbHeads, S3Lake};
use myaku::lake::dead_letter::Reason;
use myaku::stream::producer::kinesis::KinesisStream;
use myaku_operator::replay::{self, Batches, Letters, Notes, Parcels, Report, RuleErrors, Stretch, Target};
use myaku_operator::selection::Selection;
use std::path::PathBuf;

/// The range where nothing is said.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(24);

/// Arguments of `myaku replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Dead letters, by the reason and the time of arrival: once their cause is put right, they become what they were
    /// meant to be.
    Letters {
        #[command(flatten)]
        bucket: DeadLetterBucket,
        /// Only those of this reason: unknown-device, undecodable and so on. It can be said several times.
        #[arg(long = "reason", value_name = "REASON", value_parser = reason)]
        reasons: Vec<Reason>,
        #[command(flatten)]
        how: How,
    },
    /// Batches that a function's mapping gave up, whole, by the time at which it did.
    Batches {
        #[command(flatten)]
        bucket: DeadLetterBucket,
        /// Only those of functions with this in their name.
        #[arg(long, value_name = "PART")]
        function: Option<String>,
        /// Archive them instead of sending them: right for batches of the archiver, and for no others' purpose. What is in
        /// the lake already stays as it is.
        #[arg(long, conflicts_with = "to", requires_all = ["lake", "heads"])]
        into_lake: bool,
        #[arg(
            long = "lake-bucket",
            env = "LAKE_BUCKET",
            value_name = "NAME",
            help = "The lake's bucket, for --into-lake"
        )]
        lake: Option<String>,
        #[arg(long, env = "HEADS_TABLE", value_name = "NAME", help = "The table of heads, for --into-lake")]
        heads: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Messages that the IoT rule could not put on the stream, by the time of receipt.
    RuleErrors {
        #[command(flatten)]
        bucket: DeadLetterBucket,
        #[command(flatten)]
        how: How,
    },
    /// A stretch of the lake, by the time of arrival: with --to another stream, for trying something new on it.
    Lake {
        #[command(flatten)]
        lake: super::archive::Lake,
        /// Of this shard alone.
        #[arg(long, value_name = "ID")]
        shard: Option<String>,
        /// Of this device alone, or of this source of records that are no messages.
        #[arg(long, value_name = "ID")]
        device: Option<String>,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, clap::Args)]
struct DeadLetterBucket {
    #[arg(
        id = "dead_letter_bucket",
        long = "bucket",
        env = "DEAD_LETTER_BUCKET",
        value_name = "NAME",
        help = "The bucket of what failed, as the stack names it; AWS_ENDPOINT_URL_S3 leads to a local stack"
    )]
    name: String,
}

#[derive(Debug, clap::Args)]
struct How {
    /// The last 24 hours without --since.
    #[command(flatten)]
    times: Times,
    /// Send everything to this stream. Without, each record goes back to the stream that it was on, which archives it
    /// again as a new record; its message is counted once all the same.
    #[arg(long, value_name = "STREAM")]
    to: Option<String>,
    /// Records a second, at most.
    #[arg(long, default_value_t = 500.0, value_name = "RECORDS")]
    rate: f64,
    /// Where it is noted how far the replay has come. If it stops, the same command goes on there; when it is done, the
    /// file is deleted.
    #[arg(long, default_value = "myaku-replay.json", value_name = "FILE")]
    checkpoint: PathBuf,
    /// Count what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn reason(text: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.map(Reason::name).join(", ");
    Reason::ALL.into_iter().find(|reason| reason.name() == text).ok_or_else(|| format!("the reasons are {}", known()))
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<()> {
    let config = myaku::platform::aws::config().await;
    match args.what {
        What::Letters { bucket, reasons, how } => {
            let names: Vec<_> = reasons.iter().map(|reason| reason.name()).collect();
            let notes = how.notes(&format!("letters of {} {names:?}", bucket.name))?;
            let arrived_ms = notes.checkpoint().range_ms.clone();
            let letters = Letters { bucket: S3Lake::new(&config, bucket.name), reasons, arrived_ms };
            how.send(&config, &letters, None, notes).await
        }
        What::Batches { bucket, function, into_lake, lake, heads, how } => {
            let whose = function.as_deref().unwrap_or("any function");
            let notes = how.notes(&format!("batches of {} of {whose}, into the lake: {into_lake}", bucket.name))?;
            let archiver = match (into_lake, lake, heads) {
                (true, Some(lake), Some(heads)) => {
                    let lake = S3Lake::new(&config, lake);
                    Some(Archiver::new(lake, DynamoDbHeads::new(&config, heads), Compression::default()))
                }
                _ => None,
            };
            let given_up_ms = notes.checkpoint().range_ms.clone();
            let batches = Batches { bucket: S3Lake::new(&config, bucket.name), function, given_up_ms };
            how.send(&config, &batches, archiver, notes).await
        }
        What::RuleErrors { bucket, how } => {
            let notes = how.notes(&format!("rule errors of {}", bucket.name))?;
            let received_ms = notes.checkpoint().range_ms.clone();
            let errors = RuleErrors { bucket: S3Lake::new(&config, bucket.name), received_ms };
            how.send(&config, &errors, None, notes).await
        }
        What::Lake { lake, shard, device, how } => {
            let notes = how.notes(&format!("the lake of {} {shard:?} {device:?}", lake.stream))?;
            let arrived_ms = notes.checkpoint().range_ms.clone();
            let selection = Selection { stream: lake.stream, arrived_ms, shard, device };
            let stretch = Stretch { lake: S3Lake::new(&config, lake.bucket), selection };
            how.send(&config, &stretch, None, notes).await
        }
    }
}

impl How {
    /// Where it begins, or goes on. What is only counted is noted nowhere.
    fn notes(&self, what: &str) -> Result<Notes> {
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            bail!("--rate must be above zero");
        }
        let to = self.to.as_deref().unwrap_or("where they were");
        let file = (!self.dry_run).then(|| self.checkpoint.clone());
        Notes::open(file, format!("{what} to {to}, {:?}", self.times), self.times.range(DEFAULT_RANGE)?)
    }

    async fn send(
        &self,
        config: &SdkConfig,
        parcels: &impl Parcels,
        archiver: Option<Archiver<S3Lake, DynamoDbHeads>>,
        mut notes: Notes,
    ) -> Result<()> {
        let open = |stream: &str| KinesisStream::new(config, stream);
        let target = match archiver {
            _ if self.dry_run => Target::Nowhere,
            Some(archiver) => Target::Lake(archiver),
            None => Target::Streams { to: self.to.clone(), open },
        };
        let progress = counting("objects");
        let report = Box::pin(replay::replay(parcels, &target, self.rate, &mut notes, &progress)).await;
        progress.finish_and_clear();
        self.print(&report?)?;
        notes.done()
    }

    fn print(&self, report: &Report) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(report)?);
        } else {
            println!("{}", report.to_text(self.dry_run));
        }
        Ok(())
    }
}
