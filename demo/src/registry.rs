//! Fills the registry with the fleet's master data: the sample profiles and the devices.

use crate::traffic::Registration;
use anyhow::{Context as _, Result, anyhow};
use aws_config::SdkConfig;
use myaku::device::profile::Problem;
use myaku::device::registry::{
    Device, DynamoDb, MasterDataWriter as _, device_document, parse_profile, profile_document,
};

/// The sample profiles of `events/profiles`, as JSON.
pub const PROFILES: [&str; 5] = [
    include_str!("../../events/profiles/app-log.json"),
    include_str!("../../events/profiles/facility-cbor.json"),
    include_str!("../../events/profiles/smart-bed.json"),
    include_str!("../../events/profiles/thermistor-node.json"),
    include_str!("../../events/profiles/vital-band.json"),
];

/// Puts the sample profiles and `devices` into the registry `table`.
pub async fn fill<'a>(config: &SdkConfig, table: &str, devices: impl Iterator<Item = &'a Registration>) -> Result<()> {
    let mut documents = Vec::new();
    for json in PROFILES {
        documents.push(parse_profile(json).and_then(|profile| profile_document(&profile)).map_err(describe)?);
    }
    for registration in devices {
        let device = Device::new(&registration.device, registration.profile, Some(&registration.facility));
        documents.push(device_document(&device).map_err(describe)?);
    }
    DynamoDb::new(config, table).put(&documents).await.with_context(|| format!("cannot write to the registry {table}"))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
fn describe(problems: Vec<Problem>) -> anyhow::Error {
    let descriptions = problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message));
    anyhow!("invalid master data: {}", descriptions.collect::<Vec<_>>().join("; "))
}
