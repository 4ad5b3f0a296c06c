//! Who may speak for a device: the one check, where a message meets the registry.
//!
//! A way in proves through which facility a message came, and from whom. The registry says where the device stands. What
//! came through another facility is refused before it counts for anything, so it can neither add a reading, nor spend the
//! id of one, nor make a silent device look alive.

use super::device::{ANYWHERE, Device};
use crate::ingest::message::{Role, Sender};
use crate::lake::dead_letter::{Problem, Reason};

/// Why a device does not take a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongFacility {
    /// It came through a facility where the device is not registered.
    #[error("device {device:?} is registered in {registered:?}, and {sender} sent this through {facility:?}")]
    Elsewhere {
        /// The device.
        device: String,
        /// Its facility; empty if it only roams.
        registered: String,
        /// The facility that the message came through.
        facility: String,
        /// Who sent it.
        sender: String,
    },
    /// The device has no facility.
    #[error("device {device:?} has no facility, so it sends only for itself, and {sender} sent this")]
    Nowhere {
        /// The device.
        device: String,
        /// Who sent it.
        sender: String,
    },
}

impl From<WrongFacility> for Problem {
    fn from(error: WrongFacility) -> Self {
        Self { reason: Reason::WrongFacility, detail: error.to_string() }
    }
}

impl Device {
    /// Checks whether the device takes a message that `sender` sent through `facility`. `sender` is `None` for a producer
    /// that puts messages on the stream itself.
    ///
    /// # Errors
    /// The device is not registered there; or it has no facility, and `sender` is not the device.
    pub fn takes_from(&self, facility: &str, sender: Option<Sender<'_>>) -> Result<(), WrongFacility> {
        let is_nowhere = self.facility.is_none() && self.roams.is_empty();
        let is_itself = sender.is_none_or(|sender| sender.role == Role::Device);
        let is_here = self.facility.as_deref() == Some(facility)
            || self.roams.iter().any(|place| place == facility || place == ANYWHERE);
        if is_here || (is_nowhere && is_itself) {
            return Ok(());
        }
        let device = self.device_id.clone();
        let sender = sender.map_or_else(|| "a producer".to_owned(), |sender| sender.to_string());
        Err(if is_nowhere {
            WrongFacility::Nowhere { device, sender }
        } else {
            let registered = self.facility.clone().unwrap_or_default();
            WrongFacility::Elsewhere { device, registered, facility: facility.to_owned(), sender }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(facility: Option<&str>, roams: &[&str]) -> Device {
        Device {
            device_id: "bed-17".to_owned(),
            profile: "vital".to_owned(),
            facility: facility.map(str::to_owned),
            roams: roams.iter().map(|&place| place.to_owned()).collect(),
        }
    }

    #[test]
    fn a_device_takes_messages_of_its_facility_and_of_those_that_it_roams() {
        let senders = [
            None,
            Some(Sender { role: Role::Device, id: "bed-17" }),
            Some(Sender { role: Role::Gateway, id: "hub-1" }),
            Some(Sender { role: Role::Unknown, id: "x" }),
        ];
        for sender in senders {
            let takes = |facility: Option<&str>, roams: &[&str], from: &str| {
                device(facility, roams).takes_from(from, sender).is_ok()
            };
            assert!(takes(Some("home-3"), &[], "home-3"));
            assert!(!takes(Some("home-3"), &[], "home-9"));
            assert!(!takes(Some("home-3"), &[], "home-33"));
            assert!(takes(Some("home-3"), &["home-8", "home-9"], "home-9"));
            assert!(!takes(Some("home-3"), &["home-8"], "home-9"));
            assert!(takes(Some("home-3"), &["*"], "home-9"));
            assert!(takes(None, &["home-9"], "home-9"));
            assert!(!takes(None, &["home-8"], "home-9"));
        }
    }

    #[test]
    fn only_the_device_itself_and_our_own_producers_send_for_a_device_without_a_facility() {
        let takes = |sender| device(None, &[]).takes_from("home-3", sender).is_ok();
        assert!(takes(None));
        for role in [Role::Device, Role::Gateway, Role::App, Role::Iam, Role::Client, Role::Unknown] {
            assert_eq!(takes(Some(Sender { role, id: "x" })), role == Role::Device, "{role:?}");
        }
    }

    #[test]
    fn the_error_names_the_device_both_facilities_and_the_sender() {
        let hub = Some(Sender { role: Role::Gateway, id: "hub-1" });
        let elsewhere = device(Some("home-9"), &[]).takes_from("home-1", hub).unwrap_err();
        assert_eq!(
            Problem::from(elsewhere).detail,
            r#"device "bed-17" is registered in "home-9", and gateway:hub-1 sent this through "home-1""#
        );
        let nowhere = device(None, &[]).takes_from("home-1", hub).unwrap_err();
        assert_eq!(
            nowhere.to_string(),
            r#"device "bed-17" has no facility, so it sends only for itself, and gateway:hub-1 sent this"#
        );
    }
}
