//! The fleet: decides which device sends next, and what goes wrong with its message.

use super::model::{Family, Model};
use super::{Mishap, Moment, Planned, Route, fault};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

const SECOND_MS: i64 = 1000;
const DAY_MS: i64 = 86_400 * SECOND_MS;
/// Only a device whose windows are full sends a reading that is too late for every window, so that the result is
/// certain.
const MESSAGES_TO_FILL_WINDOWS: u64 = 40;
/// One of this many devices has a clock that is days ahead, or was never set.
const EVERY_WRONG_CLOCK: usize = 17;
/// Devices in one facility.
const DEVICES_PER_FACILITY: usize = 40;

/// The settings of a fleet.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Decides everything that the times of calls do not decide.
    pub seed: u64,
    /// How many devices it has. With 20 or more, every model is among them.
    pub devices: usize,
}

/// A device as it must be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub device: String,
    /// The profile that decodes its messages.
    pub profile: &'static str,
    /// Its facility.
    pub facility: String,
    /// Whether nothing goes wrong with its messages, so that the times of its results depend on the pipeline alone.
    pub is_tidy: bool,
}

#[derive(Debug)]
struct Device {
    registration: Registration,
    model: Model,
    route: Route,
    /// How far its clock is ahead of the real time.
    clock_offset_ms: i64,
    /// Whether the offset is more than its profile allows.
    has_wrong_clock: bool,
    sequence: u64,
}

/// A fleet of devices that sends messages.
#[derive(Debug)]
pub struct Fleet {
    rng: StdRng,
    devices: Vec<Device>,
    number: usize,
    /// The messages that producers will send again, by time and by the number of the message.
    repetitions: BTreeMap<(i64, usize), Planned>,
}

impl Fleet {
    /// A fleet that has not sent a message yet.
    pub fn new(settings: Settings) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let devices = (0..settings.devices).map(|index| Device::new(&mut rng, index)).collect();
        Self { rng, devices, number: 0, repetitions: BTreeMap::new() }
    }

    /// The devices that must be registered.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.devices.iter().map(|device| &device.registration)
    }

    /// The message that is sent at `now_ms`, in milliseconds since the epoch.
    pub fn next(&mut self, now_ms: i64) -> Planned {
        let number = self.number;
        self.number += 1;
        if let Some(entry) = self.repetitions.first_entry()
            && entry.key().0 <= now_ms
        {
            let message = entry.remove();
            return Planned { number, made_at_ms: now_ms, repeats: Some(message.number), ..message };
        }
        let index = self.rng.random_range(0..self.devices.len());
        let mishap = self.mishap(index);
        let message = self.message(number, index, mishap, now_ms);
        if mishap == Some(Mishap::Repeated) {
            let due_ms = now_ms + self.rng.random_range(50..3 * SECOND_MS);
            self.repetitions.insert((due_ms, number), message.clone());
        }
        message
    }

    /// A message of some device of a family, sent at `now_ms`, with which nothing goes wrong. `None` if the family has
    /// no device.
    pub fn calm(&mut self, family: Family, now_ms: i64) -> Option<Planned> {
        let of_family = |device: &Device| device.model.family() == family;
        let count = self.devices.iter().filter(|device| of_family(device)).count();
        if count == 0 {
            return None;
        }
        let chosen = self.rng.random_range(0..count);
        let index = self.devices.iter().enumerate().filter(|(_, device)| of_family(device)).nth(chosen)?.0;
        let number = self.number;
        self.number += 1;
        Some(self.message(number, index, None, now_ms))
    }

    /// Decides what goes wrong with the next message of a device: about one message in six has a mishap.
    fn mishap(&mut self, index: usize) -> Option<Mishap> {
        let device = &self.devices[index];
        let roll = self.rng.random_range(0..1000);
        if device.registration.is_tidy {
            return None;
        }
        if device.has_wrong_clock {
            return Some(Mishap::WrongClock);
        }
        let absurd = matches!(device.model, Model::BandFormat1 | Model::Node);
        match roll {
            0..45 => Some(Mishap::Repeated),
            45..115 => Some(Mishap::OutOfOrder),
            115..160 => Some(Mishap::Late),
            160..165 if device.sequence >= MESSAGES_TO_FILL_WINDOWS => Some(Mishap::TooLate),
            165..173 if absurd => Some(Mishap::AbsurdTime),
            173..193 if device.model != Model::AppLog => Some(Mishap::OutOfRange),
            193..208 if device.model != Model::AppLog => Some(Mishap::Malformed),
            208..215 => Some(Mishap::UnknownDevice),
            215..225 => Some(Mishap::Foreign),
            _ => None,
        }
    }

    fn message(&mut self, number: usize, index: usize, mishap: Option<Mishap>, now_ms: i64) -> Planned {
        let Self { rng, devices, .. } = self;
        let device = &mut devices[index];
        let ago_ms = match mishap {
            Some(Mishap::OutOfOrder) => rng.random_range(SECOND_MS..8 * SECOND_MS),
            Some(Mishap::Late) => rng.random_range(10 * SECOND_MS..120 * SECOND_MS),
            // Too late for every window and its allowed lateness, but within the delay that every profile allows.
            Some(Mishap::TooLate) => rng.random_range(3_000 * SECOND_MS..3_400 * SECOND_MS),
            _ => rng.random_range(0..50),
        };
        let at_ms = match mishap {
            Some(Mishap::AbsurdTime) if rng.random_bool(0.5) => -DAY_MS,
            Some(Mishap::AbsurdTime) => 100_000 * DAY_MS,
            _ => now_ms + device.clock_offset_ms - ago_ms,
        };
        device.sequence += 1;
        let out_of_range = mishap == Some(Mishap::OutOfRange);
        let mut sent = device.model.message(rng, device.sequence, Moment { at_ms, out_of_range });
        let mut planned = Planned {
            number,
            made_at_ms: now_ms,
            device: device.registration.device.clone(),
            facility: device.registration.facility.clone(),
            kind: device.model.kind(),
            route: device.route,
            payload: Vec::new(),
            readings: Vec::new(),
            dead_letters: Vec::new(),
            mishap,
            repeats: None,
        };
        match mishap {
            Some(Mishap::WrongClock) => sent.replace_times(),
            Some(Mishap::AbsurdTime) => {
                sent.readings.clear();
                sent.dead_letters = vec!["time-beyond-belief"];
            }
            Some(Mishap::Malformed) => sent = fault::malformed(rng, device.model, sent),
            Some(Mishap::UnknownDevice) => {
                planned.device = format!("stranger-{number}");
                sent.readings.clear();
                sent.dead_letters = vec!["unknown-device"];
            }
            Some(Mishap::Foreign) => {
                planned.device = String::new();
                planned.route = Route::Record;
                sent = fault::foreign(rng, number);
            }
            _ => {}
        }
        Planned { payload: sent.payload, readings: sent.readings, dead_letters: sent.dead_letters, ..planned }
    }
}

impl Device {
    fn new(rng: &mut StdRng, index: usize) -> Self {
        let model = Model::of(index);
        let is_tidy = index.is_multiple_of(3);
        let has_wrong_clock = !is_tidy && model != Model::AppLog && index % EVERY_WRONG_CLOCK == 1;
        let clock_offset_ms = if has_wrong_clock {
            // At least two days ahead, which is more than any profile allows, or never set: in the last century.
            let days = if rng.random_bool(0.5) { rng.random_range(2..20) } else { -365 * rng.random_range(30..50) };
            days * DAY_MS
        } else if !is_tidy && rng.random_bool(0.1) {
            // Ahead, but within what every profile allows.
            rng.random_range(20 * SECOND_MS..45 * SECOND_MS)
        } else {
            rng.random_range(-200..200)
        };
        let route = match model {
            Model::AppLog => Route::Http,
            // A wristband that sends through a phone.
            Model::BandFormat1 if index % 4 == 1 => Route::Http,
            Model::Rooms => Route::Gateway,
            Model::Node if index.is_multiple_of(2) => Route::Aggregate,
            _ => Route::Mqtt,
        };
        let registration = Registration {
            device: format!("{}-{index:04}", model.name()),
            profile: model.profile(),
            facility: format!("home-{}", index / DEVICES_PER_FACILITY + 1),
            is_tidy,
        };
        Self { registration, model, route, clock_offset_ms, has_wrong_clock, sequence: 0 }
    }
}
