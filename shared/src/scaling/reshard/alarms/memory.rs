//! Alarms in memory.

use super::AlarmStore;
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::{AlarmChange, AlarmState, ExistingAlarm};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Alarms in memory, which are never evaluated; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryAlarms(Arc<Mutex<BTreeMap<String, ExistingAlarm>>>);

impl MemoryAlarms {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ExistingAlarm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets an alarm's state, as an evaluation would.
    pub fn set(&self, name: &str, state: AlarmState) {
        if let Some(alarm) = self.lock().get_mut(name) {
            alarm.state = state;
        }
    }
}

impl AlarmStore for MemoryAlarms {
    async fn describe(&self, names: &[String]) -> Result<Vec<ExistingAlarm>, RemoteError> {
        let alarms = self.lock();
        Ok(names.iter().filter_map(|name| alarms.get(name)).cloned().collect())
    }

    async fn change(&self, change: &AlarmChange) -> Result<(), RemoteError> {
        let mut alarms = self.lock();
        match change {
            AlarmChange::Put(definition) => {
                let state = alarms.get(&definition.name).map_or_else(AlarmState::default, |known| known.state);
                alarms.insert(definition.name.clone(), ExistingAlarm { definition: definition.clone(), state });
            }
            AlarmChange::Reset(name) => {
                let alarm = alarms.get_mut(name);
                let alarm = alarm
                    .ok_or_else(|| RemoteError::new("SetAlarmState", Remedy::GiveUp, "the alarm does not exist"))?;
                alarm.state = AlarmState::InsufficientData;
            }
        }
        Ok(())
    }

    async fn delete(&self, names: &[String]) -> Result<(), RemoteError> {
        self.lock().retain(|name, _| !names.contains(name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_memory_alarms_conform() {
        crate::scaling::reshard::alarms::conformance::suite(&super::MemoryAlarms::default()).await;
    }
}
