//! SNS: topics in memory, the query protocol that SDKs speak, and delivery to functions, HTTP endpoints and mailboxes.
//!
//! A mail is a line in the log. A topic keeps its last messages, so that a test or a person can read them. Messages are
//! not signed here: an HTTP endpoint that checks signatures refuses them.

mod delivery;
mod notification;
mod publication;
mod query;
mod subscription;
#[cfg(test)]
mod tests;
mod topics;

pub use notification::{MessageId, Notification};
pub use publication::{Attribute, InvalidPublication, PUBLICATION_BYTES_MAX, Publication};
pub use subscription::{Endpoint, InvalidEndpoint, Subscription};
pub use topics::{Topics, UnknownTopic};

use super::Server;
use crate::clock::TokioClock;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;

/// The largest request: ten messages as a form, where a byte can take three characters.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// An SNS server of this process. It ends when dropped.
pub struct Sns {
    server: Server,
    topics: Topics,
}

/// Starts a server on `port` (0 for a free one). Topics are in memory, and survive a [`stop`](Server::stop).
/// The `clock` stamps messages, and times the retries of HTTP deliveries.
pub async fn start(port: u16, clock: TokioClock) -> anyhow::Result<Sns> {
    let topics = Topics::new(clock);
    let app = Router::new()
        .route("/", get(query::link).post(query::call))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(topics.clone());
    let server = Server::app(port, app).await?;
    topics.set_server(&server.endpoint());
    Ok(Sns { server, topics })
}

impl Sns {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The topics, for publishers within this process.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The server, to stop and restart.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
