//! DynamoDB: tables in memory, with AWS's validation, conditional writes and batches.

use super::listener::Listener;
use anyhow::anyhow;
use dynoxide::Database;
use futures::FutureExt as _;

/// A DynamoDB server of this process; it ends when dropped.
pub struct DynamoDb {
    listener: Listener,
}

/// Starts a server on `port`, or on a free one for 0. Tables live in memory, and live through a [`stop`](DynamoDb::stop).
pub async fn start(port: u16) -> anyhow::Result<DynamoDb> {
    let database = Database::memory().map_err(|error| anyhow!("no database in memory: {error}"))?;
    let listener = Listener::start(port, move |socket, stopped| {
        let database = database.clone();
        async move {
            let stopped = async move { drop(stopped.await) };
            dynoxide::server::serve_with_shutdown(socket, database, stopped).await.map_err(|error| anyhow!(error))
        }
        .boxed()
    })
    .await?;
    Ok(DynamoDb { listener })
}

impl DynamoDb {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.listener.endpoint()
    }

    /// Refuses connections from now on; tables stay.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// Serves again, on the same port, what was there.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.listener.restart().await
    }
}
