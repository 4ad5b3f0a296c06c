//! Deliveries to subscribers: at once to a function's queue or the log, in the background over HTTP.

use super::notification::{Notification, confirmation};
use super::subscription::{Endpoint, Subscription};
use crate::clock::{Clock as _, TokioClock};
use anyhow::Context as _;
use bytes::Bytes;
use myaku::platform::clock::Now as _;
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;

/// The log target of mails: one line each, at level info.
const MAIL: &str = "myaku_local::mail";
/// Retries of an HTTP delivery, and the pause in front of each: SNS's default policy for HTTP endpoints.
const HTTP_RETRIES: u32 = 3;
const HTTP_RETRY_WAIT: Duration = Duration::from_secs(20);
/// A delivery that takes longer has failed.
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);

/// Delivers messages and requests for confirmation.
#[derive(Debug)]
pub(super) struct Courier {
    clock: TokioClock,
    http: reqwest::Client,
    /// The SNS server's base URL, for the links in messages.
    server: OnceLock<String>,
}

impl Courier {
    pub(super) fn new(clock: TokioClock) -> Self {
        Self { clock, http: reqwest::Client::new(), server: OnceLock::new() }
    }

    /// Sets the SNS server's base URL, once.
    pub(super) fn set_server(&self, url: &str) {
        self.server.get_or_init(|| url.to_owned());
    }

    fn server(&self) -> &str {
        self.server.get().map_or("", String::as_str)
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Asks an HTTP endpoint to confirm a subscription.
    pub(super) fn request_confirmation(&self, subscription: &Subscription) {
        if let (Endpoint::Http(url), Some(token)) = (&subscription.endpoint, subscription.confirmation_token) {
            let body = confirmation(subscription, token, self.server(), self.now_ms());
            self.post(url, "SubscriptionConfirmation", body);
        }
    }

    /// Delivers a message to a subscriber that has confirmed.
    pub(super) fn deliver(&self, notification: &Notification, subscription: &Subscription) {
        if !subscription.is_confirmed() {
            return;
        }
        match &subscription.endpoint {
            Endpoint::Lambda(function) => {
                let event = notification.lambda_event(subscription, self.server()).to_string();
                if let Err(error) = function.invoke_async(Bytes::from(event)) {
                    tracing::error!(
                        topic = notification.topic_arn,
                        function = function.name(),
                        %error,
                        "cannot deliver a message to a function"
                    );
                }
            }
            Endpoint::Http(url) => {
                self.post(url, "Notification", notification.http_body(subscription, self.server()));
            }
            Endpoint::Email(address) => tracing::info!(
                target: MAIL,
                to = address,
                subject = notification.publication.subject.as_deref().unwrap_or("AWS Notification Message"),
                text = notification.publication.text("email"),
                "a mail",
            ),
        }
    }

    /// Posts a body to an HTTP endpoint in the background, with retries.
    fn post(&self, url: &str, kind: &'static str, body: Value) {
        let (http, clock, url) = (self.http.clone(), self.clock, url.to_owned());
        tokio::spawn(async move {
            let mut retries = 0;
            while let Err(error) = try_post(&http, &url, kind, &body).await {
                if retries == HTTP_RETRIES {
                    tracing::error!(url, error = format!("{error:#}"), "cannot deliver a message to an HTTP endpoint");
                    return;
                }
                retries += 1;
                clock.sleep(HTTP_RETRY_WAIT).await;
            }
        });
    }
}

async fn try_post(http: &reqwest::Client, url: &str, kind: &str, body: &Value) -> anyhow::Result<()> {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let request = http.post(url).timeout(HTTP_TIMEOUT);
    let request = request
        .header("content-type", "text/plain; charset=UTF-8")
        .header("x-amz-sns-message-type", kind)
        .header("x-amz-sns-message-id", text("MessageId"))
        .header("x-amz-sns-topic-arn", text("TopicArn"));
    request.body(body.to_string()).send().await?.error_for_status().context("the endpoint answered with an error")?;
    Ok(())
}
