//! Which settings a device has: the part of the master data that a rule needs.

use crate::device::profile::Profile;
use crate::device::registry::{MasterData, Registry};
use crate::lake::dead_letter::Problem;
use crate::platform::clock::Now;
use crate::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of each device that was asked for: its settings, or why it has none.
pub type Found<'a, S> = HashMap<&'a str, Result<S, Problem>>;

/// The port to the settings of devices.
pub trait SettingsSource: Send + Sync {
    /// The settings of a device.
    type Settings: Send + Sync;

    /// The settings of each of `devices`, all of them in the answer.
    fn resolve<'a>(
        &self,
        devices: &[&'a str],
    ) -> impl Future<Output = Result<Found<'a, Self::Settings>, RemoteError>> + Send;
}

impl<M: MasterData, N: Now> SettingsSource for Registry<M, N> {
    type Settings = Arc<Profile>;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<Found<'a, Arc<Profile>>, RemoteError> {
        let resolved = Self::resolve(self, devices).await?;
        let settings = resolved.into_iter().map(|(device, resolved)| {
            let profile = resolved.known(device).map(|(_, profile)| Arc::clone(profile));
            (device, profile)
        });
        Ok(settings.collect())
    }
}
