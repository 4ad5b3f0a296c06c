//! Master data for the fleet: the sample profiles, and its devices.

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
        documents.push(parse_profile(json).and_then(|profile| profile_document(&profile)).map_err(in_words)?);
    }
    for registration in devices {
        let device = Device {
            device_id: registration.device.clone(),
            profile: registration.profile.to_owned(),
            facility: Some(registration.facility.clone()),
        };
        documents.push(device_document(&device).map_err(in_words)?);
    }
    DynamoDb::new(config, table).put(&documents).await.with_context(|| format!("the registry {table} cannot be filled"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn in_words(problems: Vec<Problem>) -> anyhow::Error {
    let words = problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message));
    anyhow!("master data is wrong: {}", words.collect::<Vec<_>>().join("; "))
}
