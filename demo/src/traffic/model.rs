//! The device models of the fleet, and what each of them sends.

use super::{Moment, Sent, band, bed, node, room};
use rand::rngs::StdRng;

/// The model of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    BandFormat1,
    BandFormat2,
    BedFirmware1,
    BedFirmware2,
    Node,
    Rooms,
    AppLog,
}

impl Model {
    /// The mix: of 20 devices, 5 wristbands of format 1, and so on.
    pub(super) fn of(index: usize) -> Self {
        match index % 20 {
            0..=4 => Self::BandFormat1,
            5..=8 => Self::BandFormat2,
            9..=10 => Self::BedFirmware1,
            11..=13 => Self::BedFirmware2,
            14..=16 => Self::Node,
            17..=18 => Self::Rooms,
            _ => Self::AppLog,
        }
    }

    /// The profile that decodes its messages.
    pub(super) const fn profile(self) -> &'static str {
        match self {
            Self::BandFormat1 | Self::BandFormat2 => "vital-band",
            Self::BedFirmware1 | Self::BedFirmware2 => "smart-bed",
            Self::Node => "thermistor-node",
            Self::Rooms => "facility-cbor",
            Self::AppLog => "app-log",
        }
    }

    /// The prefix of its device ids.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BandFormat1 | Self::BandFormat2 => "band",
            Self::BedFirmware1 | Self::BedFirmware2 => "bed",
            Self::Node => "node",
            Self::Rooms => "rooms",
            Self::AppLog => "app",
        }
    }

    /// The last level of its topic.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::BandFormat1 | Self::BandFormat2 | Self::BedFirmware1 | Self::BedFirmware2 => "vital",
            Self::Node | Self::Rooms => "environment",
            Self::AppLog => "log",
        }
    }

    /// The family that sends for it.
    pub(super) const fn family(self) -> Family {
        match self {
            Self::BandFormat1 | Self::BandFormat2 | Self::BedFirmware1 | Self::BedFirmware2 => Family::Sensor,
            Self::Node | Self::Rooms => Family::Facility,
            Self::AppLog => Family::App,
        }
    }

    /// Its next message.
    pub(super) fn message(self, rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
        match self {
            Self::BandFormat1 => band::format_1(rng, sequence, moment),
            Self::BandFormat2 => band::format_2(rng, sequence, moment),
            Self::BedFirmware1 => bed::firmware_1(rng, sequence, moment),
            Self::BedFirmware2 => bed::firmware_2(rng, sequence, moment),
            Self::Node => node::volts(rng, sequence, moment),
            Self::Rooms => room::air(rng, sequence, moment),
            Self::AppLog => room::log(rng, sequence, moment),
        }
    }
}

/// Groups of devices, by what sends their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Apps on phones.
    App,
    /// Sensors of vital signs.
    Sensor,
    /// Sensors of buildings.
    Facility,
}
