//! Kinesis Data Streams: every operation, with the throughput limits of each shard enforced.

mod turns;

use super::listener::Listener;
use super::{ACCOUNT, REGION};
use ferrokinesis::store::StoreOptions;
use futures::FutureExt as _;

/// Open shards of all streams together. The real quota is 20,000 in the large regions.
const SHARD_LIMIT: u32 = 10_000;
/// A stream or a reshard is ready after this long, in milliseconds; AWS takes some seconds.
const TRANSITION_MS: u64 = 50;
/// How often records past their retention are dropped, in seconds.
const RETENTION_CHECK_SECONDS: u64 = 60;

/// A Kinesis server of this process; it ends when dropped.
pub struct Kinesis {
    listener: Listener,
}

/// Starts a server on `port`, or on a free one for 0. Streams live in memory, and live through a [`stop`](Kinesis::stop).
pub async fn start(port: u16) -> anyhow::Result<Kinesis> {
    let (app, _store) = ferrokinesis::create_app(StoreOptions {
        create_stream_ms: TRANSITION_MS,
        delete_stream_ms: TRANSITION_MS,
        update_stream_ms: TRANSITION_MS,
        shard_limit: SHARD_LIMIT,
        retention_check_interval_secs: RETENTION_CHECK_SECONDS,
        enforce_limits: true,
        aws_account_id: ACCOUNT.into(),
        aws_region: REGION.into(),
        ..StoreOptions::default()
    });
    let app = turns::in_turns(app);
    let listener = Listener::start(port, move |socket, stopped| {
        let app = app.clone();
        async move {
            let stopped = async move { drop(stopped.await) };
            Ok(ferrokinesis::serve_plain_http(socket, app, stopped).await?)
        }
        .boxed()
    })
    .await?;
    Ok(Kinesis { listener })
}

impl Kinesis {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.listener.endpoint()
    }

    /// Refuses connections from now on; streams and records stay.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// Serves again, on the same port, what was there.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.listener.restart().await
    }
}
