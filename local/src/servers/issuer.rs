//! An issuer of tokens (JWT, RS256) for this machine: a key made at the start, the discovery document and key set of
//! `OpenID` Connect, and tokens with whatever claims are asked for.
//!
//! It signs for whoever reaches it, which is whoever is on this machine: it stands in for an identity provider, so that
//! an API that is closed by default can be tried as it is.

mod key;

pub use key::{InvalidToken, Key, KeyError};

use super::Server;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use myaku::platform::clock::{Now as _, SystemClock};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How long a token holds where its claims don't say, in seconds.
const LIFETIME_SECONDS: i64 = 12 * 3_600;

/// An issuer of this process; it ends when dropped.
pub struct Issuer {
    server: Server,
    key: Arc<Key>,
}

/// What its requests are answered from.
#[derive(Clone)]
struct Answers {
    key: Arc<Key>,
    url: Arc<std::sync::OnceLock<String>>,
}

/// Starts an issuer on `port`, or on a free one for 0, with a new key.
pub async fn start(port: u16) -> anyhow::Result<Issuer> {
    let key = Arc::new(Key::new()?);
    let answers = Answers { key: Arc::clone(&key), url: Arc::default() };
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(async |State(answers): State<Answers>| Json(answers.key.public_set())))
        .route("/token", post(token))
        .with_state(answers.clone());
    let server = Server::app(port, app).await?;
    answers.url.get_or_init(|| server.endpoint());
    Ok(Issuer { server, key })
}

impl Issuer {
    /// Where it listens, which is also its name: `iss`.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its key, for those who check tokens.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// A token with these claims, and with `iss`, `iat` and `exp` where they don't say.
    pub fn token(&self, claims: Map<String, Value>) -> Result<String, KeyError> {
        self.key.sign(&completed(claims, &self.server.endpoint(), SystemClock.now_ms() / 1_000))
    }
}

/// Claims with what every token has; `now_s` in seconds since the epoch.
fn completed(claims: Map<String, Value>, issuer: &str, now_s: i64) -> Map<String, Value> {
    let mut all = Map::from_iter([
        ("iss".to_owned(), json!(issuer)),
        ("iat".to_owned(), json!(now_s)),
        ("exp".to_owned(), json!(now_s + LIFETIME_SECONDS)),
    ]);
    all.extend(claims);
    all
}

async fn discovery(State(answers): State<Answers>) -> Json<Value> {
    let url = answers.url.get().map_or("", String::as_str);
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn token(State(answers): State<Answers>, Json(claims): Json<Map<String, Value>>) -> Response {
    let url = answers.url.get().map_or("", String::as_str);
    match answers.key.sign(&completed(claims, url, SystemClock.now_ms() / 1_000)) {
        Ok(token) => token.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
