//! The engine: applies the rules to messages.
//!
//! A message is handled at once. Messages that arrive while all calls are busy are handled together, in one call.

use super::action::{self, Action, Targets, new_uuid};
use super::rule::Rule;
use super::sql::{Event, Output};
use crate::servers::mqtt::PublishedMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use myaku::platform::errors::chain;
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Entry, PutOutcome, PutRecords as _};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

/// The most messages of a batch: what one PutRecords call takes.
const BATCH_MESSAGES_MAX: usize = 500;
/// The most bytes of one PutRecords call.
const CALL_BYTES_MAX: usize = 5 << 20;
/// Attempts to put a record before the error action gets its message.
const ATTEMPTS: u32 = 6;
/// The pause before the first retry; it doubles with each one.
const PAUSE: Duration = Duration::from_millis(100);
/// Concurrent jobs.
const JOBS_MAX: usize = 8;
/// Concurrent error actions of one failed call.
const ERROR_ACTIONS_MAX: usize = 16;
/// How long open jobs may take to finish when the stack stops.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// The running rules. They end, with all open jobs, when this is dropped.
pub struct Engine {
    task: JoinHandle<()>,
    /// One permit for each job that may start.
    permits: Arc<Semaphore>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A record to put on a stream, with what the error action needs if the put fails.
struct PendingRecord {
    message: usize,
    rule: usize,
    action: usize,
    output: Output,
    entry: Entry,
}

/// One unit of work on a batch of messages.
enum Job {
    /// Puts records on a stream.
    Put(String, Vec<PendingRecord>),
    /// Runs an action for one message, or the error action if the action could not be prepared.
    Run { message: usize, rule: usize, action: usize, output: Output, prepared: Result<(), String> },
}

impl Engine {
    /// Applies the rules to `messages` until there are no more.
    pub fn start(rules: Vec<Rule>, targets: Targets, mut messages: mpsc::Receiver<PublishedMessage>) -> Self {
        let streams = rules.iter().flat_map(|rule| rule.actions.iter().chain(&rule.error_action));
        let streams = streams.filter_map(|action| match action {
            Action::Kinesis { stream, .. } => Some((stream.clone(), targets.stream(stream))),
            Action::Lambda { .. } | Action::S3 { .. } => None,
        });
        let inner = Arc::new(Inner { streams: streams.collect(), rules, targets });
        let permits = Arc::new(Semaphore::new(JOBS_MAX));
        let job_permits = Arc::clone(&permits);
        let task = tokio::spawn(async move {
            let mut jobs = JoinSet::new();
            loop {
                let mut batch = Vec::new();
                if messages.recv_many(&mut batch, BATCH_MESSAGES_MAX).await == 0 {
                    break;
                }
                let batch = Arc::new(batch);
                for job in inner.jobs(&batch) {
                    // While no permit is free, messages gather, and the next batch has all of them.
                    let Ok(permit) = Arc::clone(&job_permits).acquire_owned().await else { return };
                    let (inner, batch) = (Arc::clone(&inner), Arc::clone(&batch));
                    jobs.spawn(async move {
                        inner.work(job, &batch).await;
                        drop(permit);
                    });
                }
                while jobs.try_join_next().is_some() {}
            }
            while jobs.join_next().await.is_some() {}
        });
        Self { task, permits }
    }

    /// Whether no job is under way. A message waits only while all jobs are busy.
    pub fn is_idle(&self) -> bool {
        self.permits.available_permits() == JOBS_MAX
    }

    /// Waits until all messages are handled, for a limited time. The sender of messages must have ended.
    pub async fn finish(mut self) {
        if tokio::time::timeout(FINISH_MAX, &mut self.task).await.is_err() {
            tracing::error!("the stack stopped before the rules had handled all messages");
        }
    }
}

struct Inner {
    rules: Vec<Rule>,
    streams: BTreeMap<String, KinesisStream>,
    targets: Targets,
}

impl Inner {
    /// The jobs for a batch. This only evaluates SQL, without I/O.
    fn jobs(&self, messages: &[PublishedMessage]) -> Vec<Job> {
        let mut streams: BTreeMap<&str, Vec<PendingRecord>> = BTreeMap::new();
        let mut jobs = Vec::new();
        for (message, published) in messages.iter().enumerate() {
            for (index, rule) in self.rules.iter().enumerate() {
                let Some(topic) = rule.topic(&published.topic) else { continue };
                let event = event(published, topic);
                let output = match rule.statement.evaluate(&event, &mut new_uuid) {
                    Ok(Some(output)) => output,
                    Ok(None) => continue,
                    // As on AWS, the message of a failed statement is dropped without an error action. (AWS counts it.)
                    Err(error) => {
                        tracing::error!(rule = rule.name, topic, %error, "a rule's statement failed on a message");
                        continue;
                    }
                };
                for (action, definition) in rule.actions.iter().enumerate() {
                    let output = output.clone();
                    let prepared = match definition {
                        Action::Kinesis { stream, partition_key } => {
                            match action::entry(partition_key, &event, &output) {
                                Ok(entry) => {
                                    let pending = PendingRecord { message, rule: index, action, output, entry };
                                    streams.entry(stream).or_default().push(pending);
                                    continue;
                                }
                                Err(error) => Err(chain(&error)),
                            }
                        }
                        Action::Lambda { .. } | Action::S3 { .. } => Ok(()),
                    };
                    jobs.push(Job::Run { message, rule: index, action, output, prepared });
                }
            }
        }
        for (stream, pending) in streams {
            jobs.extend(calls(pending).into_iter().map(|call| Job::Put(stream.to_owned(), call)));
        }
        jobs
    }

    async fn work(&self, job: Job, messages: &[PublishedMessage]) {
        match job {
            Job::Put(stream, pending) => self.put(&stream, pending, messages).await,
            Job::Run { message, rule, action, output, prepared } => {
                let (rule, published) = (&self.rules[rule], &messages[message]);
                let definition = &rule.actions[action];
                let ran = match prepared {
                    Ok(()) => {
                        let record = output.record.to_string().into_bytes();
                        self.run(rule, definition, published, &output, record)
                            .await
                            .map_err(|error| format!("{error:#}"))
                    }
                    Err(problem) => Err(problem),
                };
                if let Err(problem) = ran {
                    self.run_error_action(rule, definition, published, &output, &problem).await;
                }
            }
        }
    }

    /// Puts records on a stream. Retries those that are refused, and gives what is left to the error actions.
    async fn put(&self, stream: &str, mut pending: Vec<PendingRecord>, messages: &[PublishedMessage]) {
        let mut problem = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            }
            let entries: Vec<Entry> = pending.iter().map(|pending| pending.entry.clone()).collect();
            match self.stream(stream).put_records(&entries).await {
                Err(error) => problem = chain(&error),
                Ok(outcomes) => {
                    let mut outcomes = outcomes.into_iter();
                    // A missing outcome counts as refused: a duplicate message is better than a lost one.
                    pending.retain(|_| match outcomes.next() {
                        Some(PutOutcome::Put { .. }) => false,
                        Some(PutOutcome::Refused { code }) => {
                            problem = code;
                            true
                        }
                        None => true,
                    });
                }
            }
            if pending.is_empty() {
                return;
            }
        }
        let problem = problem.as_str();
        let error_actions =
            futures::stream::iter(pending).for_each_concurrent(ERROR_ACTIONS_MAX, |pending| async move {
                let rule = &self.rules[pending.rule];
                let published = &messages[pending.message];
                self.run_error_action(rule, &rule.actions[pending.action], published, &pending.output, problem).await;
            });
        error_actions.await;
    }

    /// The stream of an action. All streams have had a client since the start.
    fn stream(&self, name: &str) -> Cow<'_, KinesisStream> {
        self.streams.get(name).map_or_else(|| Cow::Owned(self.targets.stream(name)), Cow::Borrowed)
    }

    /// Runs an action on `body`.
    async fn run(
        &self,
        rule: &Rule,
        definition: &Action,
        published: &PublishedMessage,
        output: &Output,
        body: Vec<u8>,
    ) -> anyhow::Result<()> {
        let event = event(published, rule.topic(&published.topic).unwrap_or(&published.topic));
        match definition {
            Action::Lambda { arn } => self.targets.invoke(arn, Bytes::from(body)),
            Action::S3 { bucket, key } => {
                let key = key.fill(&event, &output.variables, &mut new_uuid)?;
                self.targets.put_object(bucket, &key, body).await
            }
            Action::Kinesis { stream, partition_key } => {
                let entry = Entry { data: body, ..action::entry(partition_key, &event, output)? };
                match self.stream(stream).put_records(&[entry]).await?.pop() {
                    Some(PutOutcome::Put { .. }) => Ok(()),
                    Some(PutOutcome::Refused { code }) => Err(anyhow::anyhow!(code)),
                    None => Err(anyhow::anyhow!("the answer to PutRecords is empty")),
                }
            }
        }
    }

    /// Runs the rule's error action for a message that an action failed on, with the original payload.
    async fn run_error_action(
        &self,
        rule: &Rule,
        failed: &Action,
        published: &PublishedMessage,
        output: &Output,
        problem: &str,
    ) {
        let (kind, resource) = failed.kind_and_target();
        tracing::error!(rule = rule.name, action = kind, resource, error = problem, "a rule's action failed");
        let Some(error_action) = &rule.error_action else { return };
        let body = json!({
            "ruleName": rule.name,
            "topic": published.topic,
            "clientId": &*published.client_id,
            "base64OriginalPayload": STANDARD.encode(&published.payload),
            "failures": [{ "failedAction": kind, "failedResource": resource, "errorMessage": problem }],
        });
        if let Err(error) = self.run(rule, error_action, published, output, body.to_string().into_bytes()).await {
            tracing::error!(
                rule = rule.name,
                error = format!("{error:#}"),
                "a rule's error action failed; the message is lost"
            );
        }
    }
}

fn event<'a>(published: &'a PublishedMessage, topic: &'a str) -> Event<'a> {
    Event { topic, client_id: &published.client_id, payload: &published.payload, received_at: published.received_at_ms }
}

/// Divides records into calls within the limits on records and bytes.
fn calls(pending: Vec<PendingRecord>) -> Vec<Vec<PendingRecord>> {
    let mut calls: Vec<Vec<PendingRecord>> = Vec::new();
    let mut bytes = 0;
    for one in pending {
        let size = one.entry.data.len() + one.entry.partition_key.len();
        match calls.last_mut() {
            Some(call) if call.len() < BATCH_MESSAGES_MAX && bytes + size <= CALL_BYTES_MAX => {
                bytes += size;
                call.push(one);
            }
            _ => {
                bytes = size;
                calls.push(vec![one]);
            }
        }
    }
    calls
}
