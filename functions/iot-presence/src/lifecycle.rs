//! Handles one lifecycle event: updates what is stored about its client.

use crate::{Context, HandleError, Ports};
use myaku::device::presence::store::{Presences, Written};
use myaku::device::presence::{Lifecycle, observe};
use myaku::platform::clock::Now;
use myaku::platform::errors::{Remedy, RemoteError};
use myaku::platform::telemetry::{Metric, count};

/// How often the write is tried. Few invocations handle one client at the same time, and each failed write means that
/// another one succeeded.
const TRIES: usize = 8;

pub(crate) async fn handle<P: Ports>(context: &Context<P>, event: &[u8]) -> Result<(), HandleError> {
    let now_ms = context.clock.now_ms();
    let event = Lifecycle::parse(event, now_ms)?;
    count(Metric::Records, 1);
    for _ in 0..TRIES {
        let known = context.presences.get(&event.client_id).await?;
        let presence = known.as_ref().map(|known| &known.presence);
        let Some(changed) = observe(presence, &event, now_ms, context.grace) else {
            count(Metric::Duplicates, 1);
            return Ok(());
        };
        match context.presences.put(&changed, known.map(|known| known.revision)).await? {
            Written::Done => return Ok(()),
            Written::Conflict => count(Metric::Conflicts, 1),
        }
    }
    let conflict = format!("other invocations changed the same client {TRIES} times in between");
    Err(RemoteError::new("store a lifecycle event", Remedy::Retry, conflict).into())
}
