//! Which windows a device's metrics have: the part of the master data that this function needs.

use myaku::device::profile::Profile;
use myaku::device::profile::WindowSpec;
use myaku::device::registry::{MasterData, Registry, Resolved};
use myaku::lake::dead_letter::Reason;
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::Arc;

/// The windows of one device's metrics.
pub trait MetricWindows: Send + Sync {
    /// The window of `metric`; `None` where its profile asks for none.
    fn window(&self, metric: &str) -> Option<&WindowSpec>;
}

/// What is known of a device.
#[derive(Clone, Debug)]
pub enum Found<W> {
    /// Its windows.
    Windows(W),
    /// It cannot be used: why, and the same in words.
    Nothing(Reason, String),
}

/// The port to the windows of devices.
pub trait Windows: Send + Sync {
    /// The windows of a device.
    type Device: MetricWindows;

    /// What is known of each of `devices`, all of them in the answer.
    fn resolve<'a>(
        &self,
        devices: &[&'a str],
    ) -> impl Future<Output = Result<HashMap<&'a str, Found<Self::Device>>, RemoteError>> + Send;
}

/// How many of `metrics` have no window. Neighbours are often the same one, which is looked up once.
pub(crate) fn without_window<'m>(windows: &impl MetricWindows, metrics: impl Iterator<Item = &'m str>) -> usize {
    let mut last: Option<(&str, bool)> = None;
    metrics
        .filter(|metric| match last {
            Some((known, without)) if known == *metric => without,
            _ => {
                let without = windows.window(metric).is_none();
                last = Some((metric, without));
                without
            }
        })
        .count()
}

impl MetricWindows for Arc<Profile> {
    fn window(&self, metric: &str) -> Option<&WindowSpec> {
        Profile::window(self, metric)
    }
}

impl<M: MasterData, N: Now> Windows for Registry<M, N> {
    type Device = Arc<Profile>;

    async fn resolve<'a>(&self, devices: &[&'a str]) -> Result<HashMap<&'a str, Found<Self::Device>>, RemoteError> {
        let resolved = Self::resolve(self, devices).await?;
        let found = resolved.into_iter().map(|(device, resolved)| {
            let found = match resolved {
                Resolved::Known(_, profile) => Found::Windows(profile),
                Resolved::UnknownDevice => {
                    Found::Nothing(Reason::UnknownDevice, "the registry has no such device any more".to_owned())
                }
                Resolved::InvalidDevice(problems) => Found::Nothing(Reason::InvalidDevice, problems.to_string()),
                Resolved::UnknownProfile(name) => {
                    Found::Nothing(Reason::UnknownProfile, format!("the registry has no profile {name}"))
                }
                Resolved::InvalidProfile(problems) => Found::Nothing(Reason::InvalidProfile, problems.to_string()),
            };
            (device, found)
        });
        Ok(found.collect())
    }
}
