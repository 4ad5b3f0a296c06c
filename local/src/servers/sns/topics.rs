//! The topics: their subscriptions, and the last messages of each.

use super::delivery::Courier;
use super::notification::{MessageId, Notification};
use super::publication::{InvalidPublication, Publication};
use super::subscription::{Endpoint, InvalidEndpoint, Subscription};
use crate::clock::TokioClock;
use crate::function::Function;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use uuid::Uuid;

/// How many messages a topic keeps.
const MESSAGES_KEPT: usize = 1_000;

/// The topics of a server: a handle that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Topics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    courier: Courier,
    /// The functions that can be subscribed, by ARN.
    functions: OnceLock<BTreeMap<String, Function>>,
    topics: Mutex<BTreeMap<String, Topic>>,
    /// The last text messages, oldest first: the number and the text.
    texts: Mutex<VecDeque<(String, String)>>,
}

#[derive(Debug, Default)]
struct Topic {
    display_name: String,
    subscriptions: Vec<Subscription>,
    messages: VecDeque<Arc<Notification>>,
}

/// No topic has this ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic {0} does not exist")]
pub struct UnknownTopic(pub String);

impl Topics {
    pub(super) fn new(clock: TokioClock) -> Self {
        let courier = Courier::new(clock);
        Self(Arc::new(Inner { courier, functions: OnceLock::new(), topics: Mutex::default(), texts: Mutex::default() }))
    }

    /// Sets the server's base URL, for the links in messages.
    pub(super) fn set_server(&self, url: &str) {
        self.0.courier.set_server(url);
    }

    /// Sets the functions that can be subscribed. Only the first call counts.
    pub fn connect(&self, functions: impl IntoIterator<Item = Function>) {
        self.0.functions.get_or_init(|| functions.into_iter().map(|function| (function.arn(), function)).collect());
    }

    /// Creates a topic if it does not exist.
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

    /// Publishes a message to every subscriber that has confirmed.
    pub fn publish(&self, topic_arn: &str, publication: Publication) -> Result<MessageId, UnknownTopic> {
        let notification = Arc::new(Notification {
            id: MessageId(Uuid::new_v4()),
            topic_arn: topic_arn.to_owned(),
            published_at_ms: self.0.courier.now_ms(),
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
            self.0.courier.deliver(&notification, &subscription);
        }
        Ok(notification.id)
    }

    /// Sends a text message: a line in the log.
    pub(super) fn text(&self, number: &str, publication: &Publication) -> Result<MessageId, InvalidPublication> {
        let digits = number.strip_prefix('+').unwrap_or_default();
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPublication(format!("PhoneNumber Reason: {number} is not valid to publish to")));
        }
        tracing::info!(number, text = publication.message, "a text message");
        let mut texts = self.0.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() == MESSAGES_KEPT {
            texts.pop_front();
        }
        texts.push_back((number.to_owned(), publication.message.clone()));
        Ok(MessageId(Uuid::new_v4()))
    }

    /// The last text messages, oldest first: the number and the text.
    pub fn texts(&self) -> Vec<(String, String)> {
        self.0.texts.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The last messages of a topic, oldest first.
    pub fn messages(&self, topic_arn: &str) -> Result<Vec<Arc<Notification>>, UnknownTopic> {
        self.with(topic_arn, |topic| topic.messages.iter().cloned().collect())
    }

    /// Subscribes an endpoint, and asks an HTTP endpoint to confirm. An endpoint that is already subscribed keeps its
    /// subscription.
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
            self.0.courier.request_confirmation(&subscription);
        }
        Ok(subscription)
    }

    /// The endpoint at an address of a protocol.
    pub fn endpoint(&self, protocol: &str, address: &str) -> Result<Endpoint, InvalidEndpoint> {
        Endpoint::new(protocol, address, |arn| self.0.functions.get()?.get(arn).cloned())
    }

    /// Confirms the subscription that has this token; none if no subscription of the topic has it.
    pub(super) fn confirm(&self, topic_arn: &str, token: &str) -> Result<Option<Subscription>, UnknownTopic> {
        self.with(topic_arn, |topic| {
            let has_token = |it: &&mut Subscription| it.confirmation_token.is_some_and(|own| own.to_string() == token);
            topic.subscriptions.iter_mut().find(has_token).map(|subscription| {
                subscription.confirmation_token = None;
                subscription.clone()
            })
        })
    }

    /// Ends a subscription; false if it does not exist.
    pub fn unsubscribe(&self, subscription_arn: &str) -> bool {
        let mut topics = self.topics();
        let Some((topic_arn, _)) = subscription_arn.rsplit_once(':') else { return false };
        let Some(topic) = topics.get_mut(topic_arn) else { return false };
        let before = topic.subscriptions.len();
        topic.subscriptions.retain(|subscription| subscription.arn != subscription_arn);
        topic.subscriptions.len() < before
    }

    /// The subscriptions of a topic, oldest first.
    pub fn subscriptions(&self, topic_arn: &str) -> Result<Vec<Subscription>, UnknownTopic> {
        self.with(topic_arn, |topic| topic.subscriptions.clone())
    }

    /// The sender's name in a topic's mails.
    pub(super) fn display_name(&self, topic_arn: &str) -> Result<String, UnknownTopic> {
        self.with(topic_arn, |topic| topic.display_name.clone())
    }

    fn with<T>(&self, topic_arn: &str, act: impl FnOnce(&mut Topic) -> T) -> Result<T, UnknownTopic> {
        self.topics().get_mut(topic_arn).map(act).ok_or_else(|| UnknownTopic(topic_arn.to_owned()))
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        // No critical section panics half way.
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
