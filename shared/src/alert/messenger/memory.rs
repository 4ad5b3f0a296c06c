//! A messenger in memory, for tests.

use super::{Contact, Message, Messenger};
use crate::platform::errors::{Remedy, RemoteError};
use std::sync::{Mutex, PoisonError};

/// A messenger in memory.
#[derive(Debug, Default)]
pub struct MemoryMessenger(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sent: Vec<(Contact, Message)>,
    fails: Option<Remedy>,
}

impl MemoryMessenger {
    /// Makes every call fail from now on, or none.
    pub fn fail(&self, fails: Option<Remedy>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fails = fails;
    }

    /// All that was sent, in its order.
    pub fn sent(&self) -> Vec<(Contact, Message)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sent.clone()
    }
}

impl Messenger for MemoryMessenger {
    async fn send(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remedy) = state.fails {
            return Err(RemoteError::new("send", remedy, "the way is closed"));
        }
        state.sent.push((contact.clone(), message.clone()));
        Ok(())
    }
}
