//! The topics themselves: what is subscribed to them, and what they were told.

use super::notification::{MessageId, Notification};
use super::publication::Publication;
use super::subscription::{Endpoint, InvalidEndpoint, Subscription};
use crate::clock::TokioClock;
use crate::function::Function;
use myaku::platform::clock::Now as _;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use uuid::Uuid;

/// Where mails are logged: a line each, at the level of information.
pub(super) const MAIL: &str = "myaku_local::mail";
/// Messages of a topic that are kept to look at.
const MESSAGES_KEPT: usize = 1_000;

/// The topics of a server: a handle that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Topics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: TokioClock,
    http: reqwest::Client,
    /// The server's base URL, for the links in messages.
    server: OnceLock<String>,
    /// Functions by ARN: those that can be subscribed.
    functions: OnceLock<BTreeMap<String, Function>>,
    topics: Mutex<BTreeMap<String, Topic>>,
}

#[derive(Debug, Default)]
struct Topic {
    display_name: String,
    subscriptions: Vec<Subscription>,
    messages: VecDeque<Arc<Notification>>,
}

/// There is no such topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no topic {0}")]
pub struct UnknownTopic(pub String);

impl Topics {
    pub(super) fn new(clock: TokioClock) -> Self {
        Self(Arc::new(Inner {
            clock,
            http: reqwest::Client::new(),
            server: OnceLock::new(),
            functions: OnceLock::new(),
            topics: Mutex::default(),
        }))
    }

    /// Notes the server's base URL.
    pub(super) fn reached_at(&self, server: &str) {
        self.0.server.get_or_init(|| server.to_owned());
    }

    pub(super) fn server(&self) -> &str {
        self.0.server.get().map_or("", String::as_str)
    }

    /// Makes functions known, by their ARNs, so that they can be subscribed. It counts once.
    pub fn connect(&self, functions: impl IntoIterator<Item = Function>) {
        self.0.functions.get_or_init(|| functions.into_iter().map(|function| (function.arn(), function)).collect());
    }

    pub(super) fn function(&self, arn: &str) -> Option<Function> {
        self.0.functions.get()?.get(arn).cloned()
    }

    /// Makes a topic, unless it is there.
    pub fn create(&self, topic_arn: &str, display_name: &str) {
        let mut topics = self.topics();
        let topic = topics.entry(topic_arn.to_owned()).or_default();
        if !display_name.is_empty() {
            display_name.clone_into(&mut topic.display_name);
        }
    }

    /// The ARNs of all topics.
    pub fn list(&self) -> Vec<String> {
        self.topics().keys().cloned().collect()
    }

    /// Publishes a message: every subscriber that has confirmed gets it.
    pub fn publish(&self, topic_arn: &str, publication: Publication) -> Result<MessageId, UnknownTopic> {
        let notification = Arc::new(Notification {
            id: MessageId(Uuid::new_v4()),
            topic_arn: topic_arn.to_owned(),
            published_at_ms: self.now_ms(),
            publication,
        });
        let subscriptions = self.with(topic_arn, |topic| {
            if topic.messages.len() == MESSAGES_KEPT {
                topic.messages.pop_front();
            }
            topic.messages.push_back(Arc::clone(&notification));
            topic.subscriptions.clone()
        })?;
        for subscription in subscriptions {
            subscription.deliver(&notification, self);
        }
        Ok(notification.id)
    }

    /// The last messages of a topic, oldest first.
    pub fn messages(&self, topic_arn: &str) -> Result<Vec<Arc<Notification>>, UnknownTopic> {
        self.with(topic_arn, |topic| topic.messages.iter().cloned().collect())
    }

    /// Subscribes an endpoint; one that is subscribed already stays as it is. An HTTP endpoint is asked to confirm.
    pub fn subscribe(&self, topic_arn: &str, endpoint: Endpoint) -> Result<Subscription, UnknownTopic> {
        let (subscription, is_new) = self.with(topic_arn, |topic| {
            let same = |it: &&Subscription| {
                it.endpoint.protocol() == endpoint.protocol() && it.endpoint.address() == endpoint.address()
            };
            if let Some(known) = topic.subscriptions.iter().find(same) {
                return (known.clone(), false);
            }
            let subscription = Subscription::new(topic_arn, endpoint);
            topic.subscriptions.push(subscription.clone());
            (subscription, true)
        })?;
        if is_new {
            subscription.clone().ask(self);
        }
        Ok(subscription)
    }

    /// The endpoint that a protocol and an address name.
    pub fn endpoint(&self, protocol: &str, address: &str) -> Result<Endpoint, InvalidEndpoint> {
        Endpoint::new(protocol, address, self)
    }

    /// Confirms the subscription of a topic that has this token; none if there is none.
    pub(super) fn confirm(&self, topic_arn: &str, token: &str) -> Result<Option<Subscription>, UnknownTopic> {
        self.with(topic_arn, |topic| {
            let asked = |it: &&mut Subscription| it.unconfirmed.is_some_and(|asked| asked.to_string() == token);
            topic.subscriptions.iter_mut().find(asked).map(|subscription| {
                subscription.unconfirmed = None;
                subscription.clone()
            })
        })
    }

    /// Ends a subscription; false if there is none.
    pub fn unsubscribe(&self, subscription_arn: &str) -> bool {
        let mut topics = self.topics();
        let Some((topic_arn, _)) = subscription_arn.rsplit_once(':') else { return false };
        let Some(topic) = topics.get_mut(topic_arn) else { return false };
        let before = topic.subscriptions.len();
        topic.subscriptions.retain(|subscription| subscription.arn != subscription_arn);
        topic.subscriptions.len() < before
    }

    /// The subscriptions of a topic, in the order in which they were made.
    pub fn subscriptions(&self, topic_arn: &str) -> Result<Vec<Subscription>, UnknownTopic> {
        self.with(topic_arn, |topic| topic.subscriptions.clone())
    }

    /// The name that mails of a topic come from.
    pub(super) fn display_name(&self, topic_arn: &str) -> Result<String, UnknownTopic> {
        self.with(topic_arn, |topic| topic.display_name.clone())
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    pub(super) fn clock(&self) -> &TokioClock {
        &self.0.clock
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    fn with<T>(&self, topic_arn: &str, act: impl FnOnce(&mut Topic) -> T) -> Result<T, UnknownTopic> {
        self.topics().get_mut(topic_arn).map(act).ok_or_else(|| UnknownTopic(topic_arn.to_owned()))
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        // No critical section stops half way.
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
