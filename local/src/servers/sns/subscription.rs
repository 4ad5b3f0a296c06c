//! The subscriptions of a topic, and their endpoints.

use crate::function::Function;
use uuid::Uuid;

/// Where a subscription's messages go.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A function, which is invoked asynchronously.
    Lambda(Function),
    /// An `http:` or `https:` URL, which gets a POST request.
    Http(String),
    /// A mailbox: a mail to it is a line in the log.
    Email(String),
}

/// An endpoint that cannot be subscribed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// An unsupported protocol.
    #[error("the protocol {0} does not run on this machine; use lambda, http, https or email")]
    Protocol(String),
    /// An endpoint that does not fit its protocol.
    #[error("{endpoint} is not an endpoint of the protocol {protocol}")]
    Endpoint {
        /// The protocol.
        protocol: String,
        /// The endpoint.
        endpoint: String,
    },
}

impl Endpoint {
    /// The endpoint at an address of a protocol. `function` finds a function by its ARN.
    pub(super) fn new(
        protocol: &str,
        address: &str,
        function: impl FnOnce(&str) -> Option<Function>,
    ) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint::Endpoint { protocol: protocol.to_owned(), endpoint: address.to_owned() };
        match protocol {
            "lambda" => function(address).map(Self::Lambda).ok_or_else(invalid),
            "http" | "https" if address.starts_with(&format!("{protocol}://")) => Ok(Self::Http(address.to_owned())),
            "email" if address.contains('@') => Ok(Self::Email(address.to_owned())),
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

    /// The address: an ARN, a URL or a mail address.
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
    /// The ARN: the topic's ARN and an id.
    pub arn: String,
    /// Where the messages go.
    pub endpoint: Endpoint,
    /// The token that the endpoint must send to confirm the subscription; none after it has.
    pub(super) confirmation_token: Option<Uuid>,
}

impl Subscription {
    /// A subscription to `topic_arn`. HTTP endpoints must confirm it. A mailbox is confirmed at once: a mail
    /// is a line in the log, where there is no link to click.
    pub(super) fn new(topic_arn: &str, endpoint: Endpoint) -> Self {
        let confirmation_token = matches!(endpoint, Endpoint::Http(_)).then(Uuid::new_v4);
        Self { arn: format!("{topic_arn}:{}", Uuid::new_v4()), endpoint, confirmation_token }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmation_token.is_none()
    }

    pub(super) fn topic_arn(&self) -> &str {
        self.arn.rsplit_once(':').map_or("", |(topic, _)| topic)
    }

    pub(super) fn unsubscribe_url(&self, server: &str) -> String {
        format!("{server}/?Action=Unsubscribe&SubscriptionArn={}", self.arn)
    }
}
