//! Pending commands in memory, with a switch for the faults of a real store. For tests.

use super::{Command, Commands, CommandsWriter, Page};
use crate::platform::errors::{Remedy, RemoteError};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryCommands(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    commands: BTreeMap<String, Command>,
    down: bool,
}

impl MemoryCommands {
    /// Refuses every call from now on.
    pub fn fail(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).down = true;
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Command>) -> T) -> Result<T, RemoteError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.down {
            return Err(RemoteError::new("pending command", Remedy::Retry, "unavailable"));
        }
        Ok(f(&mut state.commands))
    }
}

impl Commands for MemoryCommands {
    async fn pending(&self, device_id: &str) -> Result<Option<Command>, RemoteError> {
        self.with(|commands| commands.get(device_id).cloned())
    }

    async fn remove(&self, device_id: &str, id: &str) -> Result<bool, RemoteError> {
        self.with(|commands| {
            let there = commands.get(device_id).is_some_and(|command| command.id == id);
            there && commands.remove(device_id).is_some()
        })
    }
}

impl CommandsWriter for MemoryCommands {
    async fn put(&self, command: &Command) -> Result<(), RemoteError> {
        self.with(|commands| drop(commands.insert(command.device_id.clone(), command.clone())))
    }

    async fn list(&self, after: Option<String>, limit: usize) -> Result<Page, RemoteError> {
        self.with(|commands| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let mut rest = commands.range((from, Bound::Unbounded)).map(|(_, command)| command.clone());
            let page: Vec<_> = rest.by_ref().take(limit.max(1)).collect();
            let next = rest.next().and_then(|_| page.last().map(|command| command.device_id.clone()));
            Page { commands: page, next }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn the_memory_store_conforms() {
        conformance::suite(&MemoryCommands::default()).await;
    }
}
