//! `myaku replay`: sends again what failed, or a part of the lake.

use super::lake_options::LakeOptions;
use super::progress::counting;
use super::times::Times;
use anyhow::{Result, bail};
use aws_config::SdkConfig;
use clap::Subcommand;
use myaku::lake::archive::{Archiver, Compression, DynamoDbHeads, S3Lake};
use myaku::lake::dead_letter::Reason;
use myaku::stream::producer::kinesis::KinesisStream;
use myaku_operator::replay::{self, Batches, Letters, Notes, Parcels, Report, RuleErrors, Stretch, Target};
use myaku_operator::selection::Selection;
use std::path::PathBuf;

/// Arguments of `myaku replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Send dead letters, chosen by reason and time of arrival. Remove their cause first: correct the profile, or
    /// register the device.
    Letters {
        #[command(flatten)]
        bucket: DeadLetterBucket,
        /// Send only letters with this reason, for example unknown-device or undecodable. Can be given several times.
        #[arg(long = "reason", value_name = "REASON", value_parser = reason)]
        reasons: Vec<Reason>,
        #[command(flatten)]
        options: Options,
    },
    /// Send the batches that a function's event source mapping gave up, chosen by the time when it gave them up.
    Batches {
        #[command(flatten)]
        bucket: DeadLetterBucket,
        /// Send only batches of functions with this text in their name.
        #[arg(long, value_name = "PART")]
        function: Option<String>,
        /// Archive the batches instead of sending them. Use this for batches of the archiver, and only for them.
        /// Records that are in the lake already stay as they are.
        #[arg(long, conflicts_with = "to", requires_all = ["lake", "heads"])]
        into_lake: bool,
        #[arg(
            long = "lake-bucket",
            env = "LAKE_BUCKET",
            value_name = "NAME",
            help = "The lake's bucket, for --into-lake (the stack's output LakeBucketName)"
        )]
        lake: Option<String>,
        #[arg(
            long,
            env = "HEADS_TABLE",
            value_name = "NAME",
            help = "The table of heads, for --into-lake (the stack's output HeadsTableName)"
        )]
        heads: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Send the messages that the IoT rule could not put on the stream, chosen by the time when it received them.
    RuleErrors {
        #[command(flatten)]
        bucket: DeadLetterBucket,
        #[command(flatten)]
        options: Options,
    },
    /// Send a part of the lake, chosen by time of arrival. With --to it goes to another stream, to try something new on
    /// it.
    Lake {
        #[command(flatten)]
        lake: LakeOptions,
        /// Send only the records of this shard.
        #[arg(long, value_name = "ID")]
        shard: Option<String>,
        /// Send only the records of this device, or of this source for records that are not messages.
        #[arg(long, value_name = "ID")]
        device: Option<String>,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Debug, clap::Args)]
struct DeadLetterBucket {
    #[arg(
        id = "dead_letter_bucket",
        long = "bucket",
        env = "DEAD_LETTER_BUCKET",
        value_name = "NAME",
        help = "The bucket of dead letters (the stack's output DeadLetterBucketName); \
                set AWS_ENDPOINT_URL_S3 for a local stack"
    )]
    name: String,
}

#[derive(Debug, clap::Args)]
struct Options {
    #[command(flatten)]
    times: Times<24>,
    /// Send everything to this stream. If not given, each record goes to the stream that it was on. The lake then gets
    /// it again, as a new record; its message still counts once.
    #[arg(long, value_name = "STREAM")]
    to: Option<String>,
    /// The most records to send in a second.
    #[arg(long, default_value_t = 500.0, value_name = "RECORDS")]
    rate: f64,
    /// The file that keeps the progress. If the replay stops, run the same command to resume it. The file is deleted
    /// when everything is sent.
    #[arg(long, default_value = "myaku-replay.json", value_name = "FILE")]
    checkpoint: PathBuf,
    /// Count what would be sent, but send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn reason(text: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.map(Reason::name).join(", ");
    Reason::ALL
        .into_iter()
        .find(|reason| reason.name() == text)
        .ok_or_else(|| format!("unknown reason; choose from {}", known()))
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<()> {
    let config = myaku::platform::aws::config().await;
    match args.source {
        Source::Letters { bucket, reasons, options } => {
            let names: Vec<_> = reasons.iter().map(|reason| reason.name()).collect();
            let notes = options.notes(&format!("letters of {} {names:?}", bucket.name))?;
            let arrived_ms = notes.checkpoint().range_ms.clone();
            let letters = Letters { bucket: S3Lake::new(&config, bucket.name), reasons, arrived_ms };
            options.send(&config, &letters, None, notes).await
        }
        Source::Batches { bucket, function, into_lake, lake, heads, options } => {
            let whose = function.as_deref().unwrap_or("any function");
            let notes = options.notes(&format!("batches of {} of {whose}, into the lake: {into_lake}", bucket.name))?;
            let archiver = match (into_lake, lake, heads) {
                (true, Some(lake), Some(heads)) => {
                    let lake = S3Lake::new(&config, lake);
                    Some(Archiver::new(lake, DynamoDbHeads::new(&config, heads), Compression::default()))
                }
                _ => None,
            };
            let given_up_ms = notes.checkpoint().range_ms.clone();
            let batches = Batches { bucket: S3Lake::new(&config, bucket.name), function, given_up_ms };
            options.send(&config, &batches, archiver, notes).await
        }
        Source::RuleErrors { bucket, options } => {
            let notes = options.notes(&format!("rule errors of {}", bucket.name))?;
            let received_ms = notes.checkpoint().range_ms.clone();
            let errors = RuleErrors { bucket: S3Lake::new(&config, bucket.name), received_ms };
            options.send(&config, &errors, None, notes).await
        }
        Source::Lake { lake, shard, device, options } => {
            let notes = options.notes(&format!("the lake of {} {shard:?} {device:?}", lake.stream))?;
            let arrived_ms = notes.checkpoint().range_ms.clone();
            let selection = Selection { stream: lake.stream, arrived_ms, shard, device };
            let stretch = Stretch { lake: S3Lake::new(&config, lake.bucket), selection };
            options.send(&config, &stretch, None, notes).await
        }
    }
}

impl Options {
    /// Opens the notes of the replay. A dry run keeps none.
    fn notes(&self, what: &str) -> Result<Notes> {
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            bail!("--rate is {}, and must be a number above zero", self.rate);
        }
        let to = self.to.as_deref().unwrap_or("where they were");
        let file = (!self.dry_run).then(|| self.checkpoint.clone());
        Notes::open(file, format!("{what} to {to}, {:?}", self.times), self.times.range()?)
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
