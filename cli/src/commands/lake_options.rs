//! The arguments that name a lake, for all commands that read one.

/// Arguments that name a lake and its stream.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "which_lake")]
pub(super) struct LakeOptions {
    // No doc comments: their markup would show in the help.
    #[arg(
        long,
        env = "LAKE_BUCKET",
        value_name = "NAME",
        help = "The lake's bucket (the stack's output LakeBucketName); set AWS_ENDPOINT_URL_S3 for a local stack"
    )]
    pub(super) bucket: String,
    #[arg(
        long,
        env = "INGEST_STREAM",
        value_name = "NAME",
        help = "The stream that was archived (the stack's output IngestStreamName)"
    )]
    pub(super) stream: String,
}
