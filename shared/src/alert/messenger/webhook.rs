//! Messages to webhooks, signed as <https://www.standardwebhooks.com> says: whoever knows the secret can check that a request is ours, that
//! nothing in it was changed, and when it was made.
//!
//! The signature is that of `<webhook-id>.<webhook-timestamp>.<body>` by HMAC-SHA256, in base64 after `v1,`.

use super::{Contact, Message};
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::clock::{Now as _, SystemClock};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::redirect::Policy;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a secret is used before it is read again.
const SECRET_TTL_MS: i64 = 300_000;
/// What a secret begins with whose rest is base64.
const ENCODED: &str = "whsec_";

/// Webhooks, and their secrets in Secrets Manager. Needs the permission `secretsmanager:GetSecretValue`.
#[derive(Clone, Debug)]
pub(super) struct WebhookMessenger {
    secrets: Lazy<Client>,
    prefix: String,
    http: Arc<OnceLock<reqwest::Client>>,
    cache: Arc<Mutex<HashMap<String, (Secret, i64)>>>,
}

/// The key of a webhook.
#[derive(Clone)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl WebhookMessenger {
    /// Creates it. The secret of a contact is called `<prefix>/<its secret>`.
    pub(super) fn new(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        let secrets = Lazy::new(config, Client::new);
        Self { secrets, prefix: prefix.into(), http: Arc::default(), cache: Arc::default() }
    }

    /// The HTTP client, which the first call makes: it reads the system's certificates.
    fn http(&self) -> Result<&reqwest::Client, RemoteError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        // A redirect would take a signed message to where its contact did not say.
        let http =
            reqwest::Client::builder().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
        let http = http.build().map_err(|error| RemoteError::new("make an HTTP client", Remedy::Retry, error))?;
        Ok(self.http.get_or_init(|| http))
    }

    /// Posts the message as JSON. An answer other than 2xx is a failure.
    pub(super) async fn send(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        // The URL of a webhook may have a secret in it.
        let operation = || format!("POST to the webhook {} {}", contact.name, message.id);
        let give_up =
            |error: Box<dyn std::error::Error + Send + Sync>| RemoteError::new(operation(), Remedy::GiveUp, error);
        let url = contact.to.as_deref().unwrap_or_default();
        let name = contact.secret.as_deref().unwrap_or_default();
        let secret = self.secret(name).await?;
        let body = serde_json::to_string(message).map_err(|error| give_up(error.into()))?;
        let seconds = SystemClock.now_ms() / 1_000;
        let signature = sign(&secret, &message.id, seconds, &body).map_err(|error| give_up(error.into()))?;
        let request = self.http()?.post(url).header("content-type", "application/json");
        let request = request.header("webhook-id", &message.id).header("webhook-timestamp", seconds);
        let answer = request.header("webhook-signature", format!("v1,{signature}")).body(body).send().await;
        let answer = answer.map_err(|error| RemoteError::new(operation(), Remedy::Retry, error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        // The secret may have changed.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Err(RemoteError::new(operation(), remedy(status.as_u16()), format!("the answer is {status}")))
    }

    async fn secret(&self, name: &str) -> Result<Secret, RemoteError> {
        let now_ms = SystemClock.now_ms();
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((secret, _)) = cached.filter(|(_, read_ms)| now_ms - read_ms < SECRET_TTL_MS) {
            return Ok(secret);
        }
        let id = format!("{}/{name}", self.prefix);
        let operation = || format!("GetSecretValue {id}");
        let answer = self.secrets.get_secret_value().secret_id(&id).send().await;
        let answer = answer.map_err(|error| remote_error(operation(), error))?;
        let text = answer.secret_string().unwrap_or_default();
        let secret = Secret::parse(text).map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (secret.clone(), now_ms));
        Ok(secret)
    }
}

impl Secret {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let key = match text.strip_prefix(ENCODED) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| format!("what follows {ENCODED} is not base64"))?,
            None => text.as_bytes().to_vec(),
        };
        if key.len() < 16 { Err("the secret has fewer than 16 bytes".to_owned()) } else { Ok(Self(key)) }
    }
}

/// The signature of a request, in base64.
fn sign(secret: &Secret, id: &str, seconds: i64, body: &str) -> Result<String, hmac::digest::InvalidLength> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0)?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

/// What to do about an answer: a request that is wrong stays wrong.
fn remedy(status: u16) -> Remedy {
    match status {
        408 | 425 => Remedy::Retry,
        429 | 503 => Remedy::SlowDown,
        300..=499 => Remedy::GiveUp,
        _ => Remedy::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        // <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme>
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_text_or_base64_and_not_short() {
        assert_eq!(Secret::parse("0123456789abcdef\n").unwrap().0, b"0123456789abcdef");
        assert!(Secret::parse("short").unwrap_err().contains("16 bytes"));
        assert!(Secret::parse("whsec_?").unwrap_err().contains("base64"));
        assert_eq!(format!("{:?}", Secret::parse("0123456789abcdef").unwrap()), "Secret");
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        assert_eq!([500, 502, 503, 429, 408].map(remedy).map(|remedy| remedy != Remedy::GiveUp), [true; 5]);
        assert_eq!([301, 400, 401, 404, 410, 413].map(remedy), [Remedy::GiveUp; 6]);
    }
}
