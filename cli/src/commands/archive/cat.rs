//! `myaku archive cat`.

use crate::commands::lake_options::LakeOptions;
use crate::commands::times::Times;
use anyhow::Result;
use clap::ValueEnum;
use myaku::lake::archive::S3Lake;
use myaku_operator::cat;
use myaku_operator::selection::Selection;
use std::io::{self, BufWriter};

/// Arguments of `myaku archive cat`.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    lake: LakeOptions,
    #[command(flatten)]
    times: Times<1>,
    /// Print only the records of this shard.
    #[arg(long, value_name = "ID")]
    shard: Option<String>,
    /// Print only the records of this device, or of this source for records that are not messages.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// How each record is printed.
    #[arg(long, value_enum, default_value_t = Form::Record)]
    form: Form,
}

/// How a record is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// On one line: JSON as it was sent, anything else as `{"b64":"…"}`.
    Record,
    /// On one line: the record with its position in the stream, its partition key and its time of arrival.
    Line,
    /// On one line: the message with its payload decoded to JSON or text, if it is JSON or text.
    Payload,
    /// The bytes of the record, with nothing between two records.
    Raw,
}

impl From<Form> for cat::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Record => Self::Record,
            Form::Line => Self::Line,
            Form::Payload => Self::Payload,
            Form::Raw => Self::Raw,
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<()> {
    let lake = S3Lake::new(&myaku::platform::aws::config().await, &args.lake.bucket);
    let selection =
        Selection { stream: args.lake.stream, arrived_ms: args.times.range()?, shard: args.shard, device: args.device };
    let mut out = BufWriter::new(io::stdout().lock());
    cat::cat(&lake, &selection, args.form.into(), &mut out).await
}
