//! An issuer of tokens (JWT, RS256): a new key at each start, the discovery document and key set of `OpenID` Connect,
//! and tokens with any claims.
//!
//! It stands in for an identity provider, so that an API that is closed by default can be used unchanged. It signs for
//! every program on this machine.

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

/// How long a token is valid if its claims have no `exp`, in seconds.
const LIFETIME_SECONDS: i64 = 12 * 3_600;

/// An issuer of this process. It ends when dropped.
pub struct Issuer {
    server: Server,
    key: Arc<Key>,
}

/// The state that requests are answered from.
#[derive(Clone)]
struct IssuerState {
    key: Arc<Key>,
    url: Arc<std::sync::OnceLock<String>>,
}

/// Starts an issuer with a new key on `port` (0 for a free one).
pub async fn start(port: u16) -> anyhow::Result<Issuer> {
    let key = Arc::new(Key::new()?);
    let state = IssuerState { key: Arc::clone(&key), url: Arc::default() };
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(async |State(state): State<IssuerState>| Json(state.key.public_set())))
        .route("/token", post(token))
        .with_state(state.clone());
    let server = Server::app(port, app).await?;
    state.url.get_or_init(|| server.endpoint());
    Ok(Issuer { server, key })
}

impl Issuer {
    /// The server. Its URL is the issuer's name: `iss`.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The key, to verify tokens.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// A token with these claims, and with `iss`, `iat` and `exp` if they are missing.
    pub fn token(&self, claims: Map<String, Value>) -> Result<String, KeyError> {
        self.key.sign(&with_defaults(claims, &self.server.endpoint(), SystemClock.now_ms() / 1_000))
    }
}

/// Adds the claims of every token if they are missing. `now_s` is in seconds since the epoch.
fn with_defaults(claims: Map<String, Value>, issuer: &str, now_s: i64) -> Map<String, Value> {
    let mut all = Map::from_iter([
        ("iss".to_owned(), json!(issuer)),
        ("iat".to_owned(), json!(now_s)),
        ("exp".to_owned(), json!(now_s + LIFETIME_SECONDS)),
    ]);
    all.extend(claims);
    all
}

async fn discovery(State(state): State<IssuerState>) -> Json<Value> {
    let url = state.url.get().map_or("", String::as_str);
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn token(State(state): State<IssuerState>, Json(claims): Json<Map<String, Value>>) -> Response {
    let url = state.url.get().map_or("", String::as_str);
    match state.key.sign(&with_defaults(claims, url, SystemClock.now_ms() / 1_000)) {
        Ok(token) => token.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
