//! Counts what a run sent, by route.

use crate::traffic::{Mishap, Route};
use serde::Serialize;
use std::collections::BTreeMap;

/// The counts of messages.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Over MQTT.
    pub mqtt: usize,
    /// Over HTTP.
    pub http: usize,
    /// Items that were sent again over HTTP, because an answer was lost or asked for it.
    pub http_again: usize,
    /// In batches of gateways, over MQTT.
    pub gateways: usize,
    /// Batches of gateways.
    pub batches: usize,
    /// Batches that were published twice.
    pub batches_again: usize,
    /// In KPL aggregates.
    pub aggregated: usize,
    /// As plain records.
    pub records: usize,
    /// Acknowledged by the broker or the stream.
    pub acknowledged: usize,
    /// Given up by the producer.
    pub given_up: usize,
    /// Acknowledged by the broker and then dropped, because the rules were too slow. AWS IoT throttles in the same way.
    pub dropped: u64,
    /// Messages by what happened to them.
    pub mishaps: BTreeMap<Mishap, usize>,
}

impl Traffic {
    /// Counts one message.
    pub const fn count(&mut self, route: Route) {
        match route {
            Route::Mqtt => self.mqtt += 1,
            Route::Aggregate => self.aggregated += 1,
            Route::Record => self.records += 1,
            Route::Http => self.http += 1,
            Route::Gateway => self.gateways += 1,
        }
    }
}
