//! Checks whether a caller may send for the devices of a request.
//!
//! A token names facilities, or one device in one of them. An item names its device and, if the token names several
//! facilities, its facility. Then the registry decides, as it does again when the message is decoded: a caller cannot send
//! for a device of another facility by naming one of its own.

use crate::answer::{Answer, Status};
use myaku::device::registry::{MasterData, Registry};
use myaku::http::{Caller, Right};
use myaku::ingest::submission::{Item, RefusedItem};
use myaku::platform::clock::Now;
use myaku::platform::errors::chain;

/// The device of an item, and its facility.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemDevice {
    pub(crate) device_id: String,
    pub(crate) facility: String,
    /// Whether the registry knows the device.
    pub(crate) is_registered: bool,
}

/// Returns the device of each item, in the order of the items, if the caller may send for all of them.
///
/// # Errors
/// The answer that names the items that the caller may not send.
pub(crate) async fn admit<M: MasterData, N: Now>(
    caller: &Caller,
    items: &[Item],
    registry: &Registry<M, N>,
) -> Result<Vec<ItemDevice>, Answer> {
    let (mut devices, mut refused) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match item_device(caller, item) {
            Ok(device) => devices.push(device),
            Err(problem) => refused.push(problem),
        }
    }
    if !refused.is_empty() {
        let forbidden = refused.iter().any(|(status, _)| *status == Status::Forbidden);
        let status = if forbidden { Status::Forbidden } else { Status::BadRequest };
        let refused: Vec<_> = refused.into_iter().map(|(_, problem)| problem).collect();
        return Err(Answer::refused(status, &refused));
    }
    check_registered(caller, items, &mut devices, registry).await?;
    Ok(devices)
}

/// The device and facility of an item, from its fields and its caller. Pure.
fn item_device(caller: &Caller, item: &Item) -> Result<ItemDevice, (Status, RefusedItem)> {
    let wrong = |status, field: &str, problem: &str| (status, RefusedItem::field(item.index, field, problem));
    let missing = |field| wrong(Status::BadRequest, field, "it is missing");
    let forbidden = |field, problem| wrong(Status::Forbidden, field, problem);
    match &caller.right {
        Right::Device { device_id, facility } => {
            if item.device_id.as_ref().is_some_and(|named| named != device_id) {
                return Err(forbidden("deviceId", "it is not the device of the token"));
            }
            if item.facility.as_ref().is_some_and(|named| named != facility) {
                return Err(forbidden("facility", "it is not the facility of the token"));
            }
            Ok(ItemDevice { device_id: device_id.clone(), facility: facility.clone(), is_registered: false })
        }
        Right::App(facilities) | Right::Iam(facilities) => {
            let device_id = item.device_id.clone().ok_or_else(|| missing("deviceId"))?;
            let facility = item.facility.as_deref().or(facilities.only()).ok_or_else(|| missing("facility"))?;
            if !facilities.contain(facility) {
                return Err(forbidden("facility", "the caller may not send for it"));
            }
            Ok(ItemDevice { device_id, facility: facility.to_owned(), is_registered: false })
        }
    }
}

/// Checks that the registered devices take messages of the caller through these facilities. A device that is not
/// registered is accepted, and becomes a dead letter when its message is decoded.
async fn check_registered<M: MasterData, N: Now>(
    caller: &Caller,
    items: &[Item],
    devices: &mut [ItemDevice],
    registry: &Registry<M, N>,
) -> Result<(), Answer> {
    let ids: Vec<String> = devices.iter().map(|device| device.device_id.clone()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let registered = registry.devices(&ids).await.map_err(|error| {
        tracing::error!(error = chain(&error), "cannot read the facilities of devices");
        Answer::error(Status::ServiceUnavailable, "the registry of devices does not answer: send it again later")
    })?;
    let mut refused = Vec::new();
    for (item, device) in items.iter().zip(devices) {
        let Some(known) = registered.get(device.device_id.as_str()) else { continue };
        device.is_registered = true;
        if known.takes_from(&device.facility, Some(caller.sender())).is_err() {
            let problem = "the device does not take messages of the caller through this facility";
            refused.push(RefusedItem::field(item.index, "deviceId", problem));
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Answer::refused(Status::Forbidden, &refused)) }
}
