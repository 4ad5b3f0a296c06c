//! Messages through the rules: a message goes out at once, and those that come while all calls are busy go together.

use super::action::{self, new_uuid};
use super::sql::{Event, Output};
use super::{Action, Rule, Targets};
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

/// Messages taken at a time: what one PutRecords call holds.
const TOGETHER: usize = 500;
/// Bytes of one PutRecords call.
const CALL_BYTES_MAX: usize = 5 << 20;
/// Tries of a record before the error action gets its message.
const TRIES: u32 = 6;
/// Between tries; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// Calls at the same time.
const JOBS_MAX: usize = 8;
/// Error actions at the same time, of one failed call.
const ERROR_ACTIONS: usize = 16;
/// For what is under way when the stack stops.
const FINISH: Duration = Duration::from_secs(5);

/// The rules at work; it ends when dropped, with what is under way.
pub struct Engine {
    task: JoinHandle<()>,
    /// One for each job that may begin.
    permits: Arc<Semaphore>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message on its way into a stream, with what the error action needs if it does not get there.
struct Pending {
    message: usize,
    rule: usize,
    action: usize,
    output: Output,
    entry: Entry,
}

/// What is done about some messages at a time.
enum Job {
    /// Puts their records on a stream.
    Put(String, Vec<Pending>),
    /// Runs an action for one of them, or the error action if the rule cannot even begin with it.
    Run { message: usize, rule: usize, action: usize, output: Output, begun: Result<(), String> },
}

impl Engine {
    /// Rules on `messages` until there are no more.
    pub fn start(rules: Vec<Rule>, targets: Targets, mut messages: mpsc::Receiver<PublishedMessage>) -> Self {
        let streams = rules.iter().flat_map(|rule| rule.actions.iter().chain(&rule.error_action));
        let streams = streams.filter_map(|action| match action {
            Action::Kinesis { stream, .. } => Some((stream.clone(), targets.stream(stream))),
            Action::Lambda { .. } | Action::S3 { .. } => None,
        });
        let inner = Arc::new(Inner { streams: streams.collect(), rules, targets });
        let permits = Arc::new(Semaphore::new(JOBS_MAX));
        let taken = Arc::clone(&permits);
        let task = tokio::spawn(async move {
            let mut jobs = JoinSet::new();
            loop {
                let mut batch = Vec::new();
                if messages.recv_many(&mut batch, TOGETHER).await == 0 {
                    break;
                }
                let batch = Arc::new(batch);
                for job in inner.rule_on(&batch) {
                    // While all are busy messages gather, and go out together.
                    let Ok(permit) = Arc::clone(&taken).acquire_owned().await else { return };
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

    /// Whether nothing is under way. What waits for its turn waits for what is.
    pub fn is_idle(&self) -> bool {
        self.permits.available_permits() == JOBS_MAX
    }

    /// Waits, within bounds, until the messages that it has are ruled on. There must come no more.
    pub async fn finish(mut self) {
        if tokio::time::timeout(FINISH, &mut self.task).await.is_err() {
            tracing::error!("messages were left in the rules when the stack stopped");
        }
    }
}

struct Inner {
    rules: Vec<Rule>,
    streams: BTreeMap<String, KinesisStream>,
    targets: Targets,
}

impl Inner {
    /// What is to be done about messages: SQL only, no I/O.
    fn rule_on(&self, messages: &[PublishedMessage]) -> Vec<Job> {
        let mut streams: BTreeMap<&str, Vec<Pending>> = BTreeMap::new();
        let mut jobs = Vec::new();
        for (message, published) in messages.iter().enumerate() {
            for (rule_index, rule) in self.rules.iter().enumerate() {
                let Some(topic) = rule.topic(&published.topic) else { continue };
                let event = event(published, topic);
                let output = match rule.statement.evaluate(&event, &mut new_uuid) {
                    Ok(Some(output)) => output,
                    Ok(None) => continue,
                    // As on AWS, a failed statement is counted and its message dropped: no error action sees it.
                    Err(error) => {
                        tracing::error!(rule = rule.name, topic, error = %error, "the statement failed");
                        continue;
                    }
                };
                for (action, wanted) in rule.actions.iter().enumerate() {
                    let output = output.clone();
                    let begun = match wanted {
                        Action::Kinesis { stream, partition_key } => {
                            match action::entry(partition_key, &event, &output) {
                                Ok(entry) => {
                                    let pending = Pending { message, rule: rule_index, action, output, entry };
                                    streams.entry(stream).or_default().push(pending);
                                    continue;
                                }
                                Err(error) => Err(chain(&error)),
                            }
                        }
                        Action::Lambda { .. } | Action::S3 { .. } => Ok(()),
                    };
                    jobs.push(Job::Run { message, rule: rule_index, action, output, begun });
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
            Job::Run { message, rule, action, output, begun } => {
                let (rule, published) = (&self.rules[rule], &messages[message]);
                let wanted = &rule.actions[action];
                let ran = match begun {
                    Ok(()) => {
                        let record = output.record.to_string().into_bytes();
                        self.run(rule, wanted, published, &output, record).await.map_err(|error| format!("{error:#}"))
                    }
                    Err(problem) => Err(problem),
                };
                if let Err(problem) = ran {
                    self.failed(rule, wanted, published, &output, &problem).await;
                }
            }
        }
    }

    /// Puts records on a stream, each refused one again, and hands what is left to the error actions.
    async fn put(&self, stream: &str, mut pending: Vec<Pending>, messages: &[PublishedMessage]) {
        let mut problem = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            }
            let entries: Vec<Entry> = pending.iter().map(|pending| pending.entry.clone()).collect();
            match self.stream(stream).put_records(&entries).await {
                Err(error) => problem = chain(&error),
                Ok(outcomes) => {
                    let mut outcomes = outcomes.into_iter();
                    // An outcome that is missing counts as refused: a message twice is better than none.
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
        let failures = futures::stream::iter(pending).for_each_concurrent(ERROR_ACTIONS, |pending| async move {
            let rule = &self.rules[pending.rule];
            let published = &messages[pending.message];
            self.failed(rule, &rule.actions[pending.action], published, &pending.output, problem).await;
        });
        failures.await;
    }

    /// A stream of a rule: all of them have a client since the start.
    fn stream(&self, name: &str) -> Cow<'_, KinesisStream> {
        self.streams.get(name).map_or_else(|| Cow::Owned(self.targets.stream(name)), Cow::Borrowed)
    }

    /// Runs an action with `body` as its record.
    async fn run(
        &self,
        rule: &Rule,
        wanted: &Action,
        published: &PublishedMessage,
        output: &Output,
        body: Vec<u8>,
    ) -> anyhow::Result<()> {
        let event = event(published, rule.topic(&published.topic).unwrap_or(&published.topic));
        match wanted {
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
                    None => Err(anyhow::anyhow!("an empty answer")),
                }
            }
        }
    }

    /// Hands a message that an action failed on to the rule's error action, with the original payload.
    async fn failed(&self, rule: &Rule, failed: &Action, published: &PublishedMessage, output: &Output, problem: &str) {
        let (kind, resource) = failed.names();
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
                "the error action failed: a message is lost"
            );
        }
    }
}

fn event<'a>(published: &'a PublishedMessage, topic: &'a str) -> Event<'a> {
    Event { topic, client_id: &published.client_id, payload: &published.payload, received_at: published.received_at_ms }
}

/// Cuts records into calls within the limit on bytes.
fn calls(pending: Vec<Pending>) -> Vec<Vec<Pending>> {
    let mut calls: Vec<Vec<Pending>> = Vec::new();
    let mut bytes = 0;
    for one in pending {
        let size = one.entry.data.len() + one.entry.partition_key.len();
        match calls.last_mut() {
            Some(call) if call.len() < TOGETHER && bytes + size <= CALL_BYTES_MAX => {
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
