//! Whether a caller may speak for the devices of a request.
//!
//! An app's token names facilities; an item names its device and, if it is not clear, its facility. What counts in the
//! end is where the registry says that the device stands, so that naming another facility opens no door.

use crate::answer::{Answer, Status};
use crate::caller::{Caller, Facilities};
use myaku::device::registry::{MasterData, Registry, Resolved};
use myaku::ingest::submission::{Item, RefusedItem};
use myaku::platform::clock::Now;
use myaku::platform::errors::chain;

/// A device and where it stands, for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) device_id: String,
    pub(crate) facility: String,
}

/// The place of each item, in their order.
///
/// # Errors
/// The answer that says which items are not the caller's to send.
pub(crate) async fn places<M: MasterData, N: Now>(
    caller: &Caller,
    items: &[Item],
    registry: &Registry<M, N>,
) -> Result<Vec<Place>, Answer> {
    let (mut places, mut refused) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match place(caller, item) {
            Ok(place) => places.push(place),
            Err(problem) => refused.push(problem),
        }
    }
    if !refused.is_empty() {
        let forbidden = refused.iter().any(|(status, _)| *status == Status::Forbidden);
        let status = if forbidden { Status::Forbidden } else { Status::BadRequest };
        let refused: Vec<_> = refused.into_iter().map(|(_, problem)| problem).collect();
        return Err(Answer::refused(status, &refused));
    }
    if let Caller::App(facilities @ Facilities::Some(_)) = caller {
        stand_there(facilities, items, &places, registry).await?;
    }
    Ok(places)
}

/// Where an item belongs, by what it says and who sends it. Pure.
fn place(caller: &Caller, item: &Item) -> Result<Place, (Status, RefusedItem)> {
    let wrong = |status, field: &str, problem: &str| (status, RefusedItem::field(item.index, field, problem));
    let missing = |field| wrong(Status::BadRequest, field, "it is missing");
    let forbidden = |field, problem| wrong(Status::Forbidden, field, problem);
    match caller {
        Caller::Device { device_id, facility } => {
            if item.device_id.as_ref().is_some_and(|named| named != device_id) {
                return Err(forbidden("deviceId", "it is not the device of the token"));
            }
            if item.facility.as_ref().is_some_and(|named| named != facility) {
                return Err(forbidden("facility", "it is not the facility of the token"));
            }
            Ok(Place { device_id: device_id.clone(), facility: facility.clone() })
        }
        Caller::App(facilities) => {
            let device_id = item.device_id.clone().ok_or_else(|| missing("deviceId"))?;
            let facility = item.facility.as_deref().or(facilities.only()).ok_or_else(|| missing("facility"))?;
            if !facilities.contain(facility) {
                return Err(forbidden("facility", "it is none of the caller's"));
            }
            Ok(Place { device_id, facility: facility.to_owned() })
        }
    }
}

/// Checks registered devices against the registry. A device that it does not know goes on, and to the dead letters
/// of those who decode.
async fn stand_there<M: MasterData, N: Now>(
    facilities: &Facilities,
    items: &[Item],
    places: &[Place],
    registry: &Registry<M, N>,
) -> Result<(), Answer> {
    let devices: Vec<&str> = places.iter().map(|place| place.device_id.as_str()).collect();
    let resolved = registry.resolve(&devices).await.map_err(|error| {
        tracing::error!(error = chain(&error), "where devices stand cannot be read");
        Answer::error(Status::ServiceUnavailable, "the register of devices does not answer: send it again later")
    })?;
    let elsewhere = |device: &str| match resolved.get(device) {
        Some(Resolved::Known(device, _)) => {
            device.facility.as_deref().is_some_and(|facility| !facilities.contain(facility))
        }
        _ => false,
    };
    let refused: Vec<_> = items
        .iter()
        .zip(places)
        .filter(|(_, place)| elsewhere(&place.device_id))
        .map(|(item, _)| RefusedItem::field(item.index, "deviceId", "the device stands in no facility of the caller's"))
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(Answer::refused(Status::Forbidden, &refused)) }
}
