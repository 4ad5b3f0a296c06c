//! CloudWatch: metrics by the minute, and alarms that act when their state changes.
//!
//! The server speaks what AWS's SDKs speak: Smithy RPC v2 CBOR, with or without compression, and the same documents as
//! JSON. It does not speak the older query protocol. It keeps metrics as statistic sets, so there are no percentiles.
//! Its clock may run faster than the machine's.

mod alarm;
mod monitoring;
mod notification;
mod protocol;
mod refusal;
mod series;
#[cfg(test)]
mod tests;
mod wire;

pub use monitoring::Monitoring;
pub use notification::Action;
pub use refusal::Refusal;
pub use series::{MINUTE_MS, Statistics};
pub use wire::Alarm;

use super::Server;
use std::sync::Arc;

/// A CloudWatch server of this process. It ends when dropped.
pub struct CloudWatch {
    server: Server,
}

/// Starts a server of `monitoring` on `port` (0 for a free one). Metrics and alarms survive a [`stop`](Server::stop).
pub async fn start(port: u16, monitoring: Arc<Monitoring>) -> anyhow::Result<CloudWatch> {
    Ok(CloudWatch { server: Server::app(port, protocol::app(monitoring)).await? })
}

impl CloudWatch {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The server, to stop and restart.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
