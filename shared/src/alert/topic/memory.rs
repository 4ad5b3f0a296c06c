//! A topic in memory, for tests and simulations.

use super::{Alert, Topic};
use crate::platform::errors::{Remedy, RemoteError};
use std::sync::{Mutex, PoisonError};

/// A topic in memory.
#[derive(Debug, Default)]
pub struct MemoryTopic(Mutex<(Vec<Alert>, bool)>);

impl MemoryTopic {
    /// Makes every call fail from now on, or none.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = is_down;
    }

    /// All published alerts, in their order.
    pub fn alerts(&self) -> Vec<Alert> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Topic for MemoryTopic {
    async fn publish(&self, alert: &Alert) -> Result<(), RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.1 {
            return Err(RemoteError::new("publish", Remedy::SlowDown, "the topic is down"));
        }
        state.0.push(alert.clone());
        Ok(())
    }
}
