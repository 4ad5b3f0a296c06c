//! A rule's actions on a record: Kinesis, Lambda, S3.

use super::sql::{Event, Output, SqlFailure, Substitution};
use crate::function::Function;
use anyhow::{Context as _, bail};
use aws_config::SdkConfig;
use bytes::Bytes;
use myaku::stream::producer::Entry;
use myaku::stream::producer::kinesis::KinesisStream;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// An action of a rule.
#[derive(Clone, Debug)]
pub enum Action {
    /// Puts the record on a stream.
    Kinesis {
        /// The stream's name.
        stream: String,
        /// The partition key.
        partition_key: Substitution,
    },
    /// Invokes a function asynchronously.
    Lambda {
        /// The function's ARN.
        arn: String,
    },
    /// Puts an object.
    S3 {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: Substitution,
    },
}

/// The targets of actions. The clients keep their connections: a new connection for each message would cost more than
/// the call.
#[derive(Clone, Debug)]
pub struct Targets {
    config: SdkConfig,
    objects: aws_sdk_s3::Client,
    functions: BTreeMap<String, Function>,
}

impl Action {
    /// The action in the template: a map with one key, the action's kind.
    pub(super) fn from_properties(action: &Value) -> anyhow::Result<Self> {
        let (kind, settings) =
            action.as_object().and_then(|action| action.iter().next()).context("an action has no kind")?;
        let text = |name: &str| settings[name].as_str().with_context(|| format!("the action {kind} has no {name}"));
        Ok(match kind.as_str() {
            // Without a partition key, the service generates one.
            "Kinesis" => Self::Kinesis {
                stream: text("StreamName")?.to_owned(),
                partition_key: Substitution::parse(settings["PartitionKey"].as_str().unwrap_or("${newuuid()}"))?,
            },
            "Lambda" => Self::Lambda { arn: text("FunctionArn")?.to_owned() },
            "S3" => Self::S3 { bucket: text("BucketName")?.to_owned(), key: Substitution::parse(text("Key")?)? },
            other => bail!("the action {other} does not run on this machine; use Kinesis, Lambda or S3"),
        })
    }

    /// The kind and target of this action in the message to the error action.
    pub(super) fn kind_and_target(&self) -> (&'static str, &str) {
        match self {
            Self::Kinesis { stream, .. } => ("KinesisAction", stream),
            Self::Lambda { arn } => ("LambdaAction", arn),
            Self::S3 { bucket, .. } => ("S3Action", bucket),
        }
    }
}

/// The entry that a Kinesis action puts.
pub(super) fn entry(partition_key: &Substitution, event: &Event<'_>, output: &Output) -> Result<Entry, SqlFailure> {
    Ok(Entry {
        partition_key: partition_key.fill(event, &output.variables, &mut new_uuid)?,
        explicit_hash_key: None,
        data: output.record.to_string().into_bytes(),
    })
}

pub(super) fn new_uuid() -> String {
    Uuid::new_v4().to_string()
}

impl Targets {
    /// Targets on the servers of `config`, and functions by ARN.
    pub fn new(config: SdkConfig, functions: BTreeMap<String, Function>) -> Self {
        Self { objects: aws_sdk_s3::Client::new(&config), config, functions }
    }

    /// A stream with its own client.
    pub(super) fn stream(&self, name: &str) -> KinesisStream {
        KinesisStream::new(&self.config, name)
    }

    /// Puts an object.
    pub(super) async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) -> anyhow::Result<()> {
        self.objects.put_object().bucket(bucket).key(key).body(body.into()).send().await?;
        Ok(())
    }

    /// Adds an event to a function's queue. AWS IoT invokes functions asynchronously, so only a refused event is an
    /// error; a failed invocation is not.
    pub(super) fn invoke(&self, arn: &str, payload: Bytes) -> anyhow::Result<()> {
        let function = self.functions.get(arn).with_context(|| format!("the function {arn} does not exist"))?;
        function.invoke_async(payload)?;
        Ok(())
    }
}
