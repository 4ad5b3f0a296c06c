//! Messages through the rules: those that come close together are put on a stream together.

use super::action::{self, new_uuid};
use super::sql::{Event, Output};
use super::{Action, Rule, Targets};
use crate::servers::mqtt::Published;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use myaku::errors::chain;
use myaku::stream::kinesis::KinesisStream;
use myaku::stream::{Entry, Outcome, PutRecords as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Messages taken at a time: what one PutRecords call holds.
const TOGETHER: usize = 500;
/// Bytes of one PutRecords call.
const CALL_BYTES_MAX: usize = 5 << 20;
/// Tries of a record before the error action gets its message.
const TRIES: u32 = 6;
/// Between tries; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// The rules at work; it ends when dropped.
pub struct Engine(JoinHandle<()>);

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A message on its way into a stream, with what the error action needs if it does not get there.
struct Pending {
    message: usize,
    rule: usize,
    variables: Output,
    entry: Entry,
}

impl Engine {
    /// Rules on `messages` until there are no more.
    pub fn start(rules: Vec<Rule>, targets: Targets, mut messages: mpsc::Receiver<Published>) -> Self {
        let inner = Arc::new(Inner { rules, targets });
        Self(tokio::spawn(async move {
            let mut batch = Vec::with_capacity(TOGETHER);
            while messages.recv_many(&mut batch, TOGETHER).await > 0 {
                inner.rule_on(&batch).await;
                batch.clear();
            }
        }))
    }
}

struct Inner {
    rules: Vec<Rule>,
    targets: Targets,
}

impl Inner {
    async fn rule_on(self: &Arc<Self>, messages: &[Published]) {
        let mut streams: BTreeMap<&str, Vec<Pending>> = BTreeMap::new();
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
                for wanted in &rule.actions {
                    match wanted {
                        Action::Kinesis { stream, partition_key } => {
                            match action::entry(partition_key, &event, &output) {
                                Ok(entry) => streams.entry(stream).or_default().push(Pending {
                                    message,
                                    rule: rule_index,
                                    variables: output.clone(),
                                    entry,
                                }),
                                Err(error) => self.failed(rule, wanted, published, &output, &chain(&error)).await,
                            }
                        }
                        Action::Lambda { .. } | Action::S3 { .. } => {
                            self.spawn(rule_index, wanted.clone(), published.clone(), output.clone());
                        }
                    }
                }
            }
        }
        for (stream, pending) in streams {
            self.put(stream, pending, messages).await;
        }
    }

    /// Puts records on a stream, each refused one again, and hands what is left to the error actions.
    async fn put(&self, stream: &str, mut pending: Vec<Pending>, messages: &[Published]) {
        let port = KinesisStream::new(&self.targets.config, stream);
        let mut problem = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            }
            let mut refused = Vec::new();
            for call in calls(pending) {
                let entries: Vec<Entry> = call.iter().map(|pending| pending.entry.clone()).collect();
                match port.put_records(&entries).await {
                    Err(error) => {
                        problem = chain(&error);
                        refused.extend(call);
                    }
                    Ok(outcomes) => {
                        for (pending, outcome) in call.into_iter().zip(outcomes) {
                            if let Outcome::Refused { code } = outcome {
                                problem = code;
                                refused.push(pending);
                            }
                        }
                    }
                }
            }
            pending = refused;
            if pending.is_empty() {
                return;
            }
        }
        for Pending { message, rule, variables, .. } in pending {
            let rule = &self.rules[rule];
            let wanted =
                rule.actions.iter().find(|action| matches!(action, Action::Kinesis { stream: of, .. } if of == stream));
            if let Some(wanted) = wanted {
                self.failed(rule, wanted, &messages[message], &variables, &problem).await;
            }
        }
    }

    /// Runs an action that need not hold up the others.
    fn spawn(self: &Arc<Self>, rule: usize, wanted: Action, published: Published, output: Output) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let rule = &inner.rules[rule];
            let record = output.record.to_string().into_bytes();
            if let Err(error) = inner.run(rule, &wanted, &published, &output, record).await {
                inner.failed(rule, &wanted, &published, &output, &format!("{error:#}")).await;
            }
        });
    }

    /// Runs an action with `body` as its record.
    async fn run(
        &self,
        rule: &Rule,
        wanted: &Action,
        published: &Published,
        output: &Output,
        body: Vec<u8>,
    ) -> anyhow::Result<()> {
        let event = event(published, rule.topic(&published.topic).unwrap_or(&published.topic));
        match wanted {
            Action::Lambda { arn } => self.targets.invoke(arn, Bytes::from(body)).await,
            Action::S3 { bucket, key } => {
                let key = key.fill(&event, &output.variables, &mut new_uuid)?;
                self.targets.put_object(bucket, &key, body).await
            }
            Action::Kinesis { stream, partition_key } => {
                let entry = Entry { data: body, ..action::entry(partition_key, &event, output)? };
                match KinesisStream::new(&self.targets.config, stream).put_records(&[entry]).await?.pop() {
                    Some(Outcome::Put { .. }) => Ok(()),
                    Some(Outcome::Refused { code }) => Err(anyhow::anyhow!(code)),
                    None => Err(anyhow::anyhow!("an empty answer")),
                }
            }
        }
    }

    /// Hands a message that an action failed on to the rule's error action, with the original payload.
    async fn failed(&self, rule: &Rule, failed: &Action, published: &Published, output: &Output, problem: &str) {
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

fn event<'a>(published: &'a Published, topic: &'a str) -> Event<'a> {
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
