//! Who gets a topic's messages.

use super::Topics;
use super::notification::{self, Notification};
use crate::clock::Clock as _;
use crate::function::Function;
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// Tries of an HTTP delivery after the first, and between them: SNS's default policy for HTTP endpoints.
const HTTP_RETRIES: u32 = 3;
const HTTP_RETRY_WAIT: Duration = Duration::from_secs(20);
/// An endpoint that takes longer has not taken the message.
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);

/// A subscriber's place.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A function, which is invoked asynchronously.
    Lambda(Function),
    /// An `http:` or `https:` URL, which is sent a POST request.
    Http(String),
    /// A mailbox: a mail to it is a line in the log.
    Email(String),
}

/// A subscriber that cannot be served here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// No such protocol.
    #[error("the protocol {0} does not run on this machine, only lambda, http, https and email")]
    Protocol(String),
    /// The endpoint is none of its protocol.
    #[error("{endpoint} is no endpoint for the protocol {protocol}")]
    Endpoint {
        /// The protocol.
        protocol: String,
        /// The endpoint.
        endpoint: String,
    },
}

impl Endpoint {
    /// The endpoint of a protocol; functions are found among those of `topics`.
    pub(super) fn new(protocol: &str, endpoint: &str, topics: &Topics) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint::Endpoint { protocol: protocol.to_owned(), endpoint: endpoint.to_owned() };
        match protocol {
            "lambda" => topics.function(endpoint).map(Self::Lambda).ok_or_else(invalid),
            "http" | "https" if endpoint.starts_with(&format!("{protocol}://")) => Ok(Self::Http(endpoint.to_owned())),
            "email" if endpoint.contains('@') => Ok(Self::Email(endpoint.to_owned())),
            "http" | "https" | "email" => Err(invalid()),
            other => Err(InvalidEndpoint::Protocol(other.to_owned())),
        }
    }

    /// The protocol's name.
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Lambda(_) => "lambda",
            Self::Http(url) if url.starts_with("https:") => "https",
            Self::Http(_) => "http",
            Self::Email(_) => "email",
        }
    }

    /// The endpoint as it was subscribed.
    pub fn address(&self) -> String {
        match self {
            Self::Lambda(function) => function.arn(),
            Self::Http(address) | Self::Email(address) => address.clone(),
        }
    }
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its ARN: the topic's, and an id.
    pub arn: String,
    /// Who is subscribed.
    pub endpoint: Endpoint,
    /// Set until the endpoint has said that it wants the messages: what it must say.
    pub(super) unconfirmed: Option<Uuid>,
}

impl Subscription {
    /// A subscription of `topic_arn`. HTTP endpoints must confirm it; a mailbox here has, as nobody can click in it.
    pub(super) fn new(topic_arn: &str, endpoint: Endpoint) -> Self {
        let unconfirmed = matches!(endpoint, Endpoint::Http(_)).then(Uuid::new_v4);
        Self { arn: format!("{topic_arn}:{}", Uuid::new_v4()), endpoint, unconfirmed }
    }

    pub(super) fn topic_arn(&self) -> &str {
        self.arn.rsplit_once(':').map_or("", |(topic, _)| topic)
    }

    pub(super) fn unsubscribe_url(&self, server: &str) -> String {
        format!("{server}/?Action=Unsubscribe&SubscriptionArn={}", self.arn)
    }

    /// Asks an HTTP endpoint whether it wants the messages.
    pub(super) fn ask(self, topics: &Topics) {
        if let (Endpoint::Http(url), Some(token)) = (&self.endpoint, self.unconfirmed) {
            let body = notification::confirmation(&self, token, topics.server(), topics.now_ms());
            tokio::spawn(post(url.clone(), "SubscriptionConfirmation", body, topics.clone()));
        }
    }

    /// Delivers a message: at once to a function's queue or the log, in the background over HTTP.
    pub(super) fn deliver(&self, notification: &Notification, topics: &Topics) {
        if self.unconfirmed.is_some() {
            return;
        }
        match &self.endpoint {
            Endpoint::Lambda(function) => {
                let event = notification.lambda_event(self, topics.server()).to_string();
                if let Err(error) = function.invoke_async(Bytes::from(event)) {
                    tracing::error!(topic = notification.topic_arn, function = function.name(), %error, "not delivered");
                }
            }
            Endpoint::Http(url) => {
                let body = notification.http_body(self, topics.server());
                tokio::spawn(post(url.clone(), "Notification", body, topics.clone()));
            }
            Endpoint::Email(address) => tracing::info!(
                target: super::topics::MAIL,
                to = address,
                subject = notification.publication.subject.as_deref().unwrap_or("AWS Notification Message"),
                text = notification.publication.text("email"),
                "a mail",
            ),
        }
    }
}

/// Sends a body to an HTTP endpoint, again when it does not take it.
async fn post(url: String, kind: &'static str, body: Value, topics: Topics) {
    let mut retries = 0;
    while let Err(error) = try_post(&url, kind, &body, &topics).await {
        if retries == HTTP_RETRIES {
            tracing::error!(url, error = format!("{error:#}"), "an HTTP endpoint did not take a message");
            return;
        }
        retries += 1;
        topics.clock().sleep(HTTP_RETRY_WAIT).await;
    }
}

async fn try_post(url: &str, kind: &str, body: &Value, topics: &Topics) -> anyhow::Result<()> {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let request = topics.http().post(url).timeout(HTTP_TIMEOUT);
    let request = request
        .header("content-type", "text/plain; charset=UTF-8")
        .header("x-amz-sns-message-type", kind)
        .header("x-amz-sns-message-id", text("MessageId"))
        .header("x-amz-sns-topic-arn", text("TopicArn"));
    request.body(body.to_string()).send().await?.error_for_status().context("it answered with an error")?;
    Ok(())
}
