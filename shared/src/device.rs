//! Turns the messages of devices into readings, and tracks which devices are connected and which are silent.
//!
//! Devices of many makers send many formats, in many units, by clocks that are often wrong. This room is the only place
//! that knows about these differences: everything after it sees readings of one form.
//!
//! In reading order:
//!
//! - [`profile`]: describes a kind of device: its formats and their versions, calibration, units, ranges, which clock
//!   to trust, and the window of each metric. A profile decodes messages.
//! - [`registry`]: says which devices exist and which profile each has. It reads them through caches; a change takes
//!   effect within a minute.
//! - [`event_time`]: chooses the time of a measurement when the device's clock and the arrival disagree.
//! - [`reading`]: the uniform [`Reading`](reading::Reading), which every format becomes.
//! - [`decoding`]: decodes a record of the stream `ingest`, with what the registry knows of its device.
//! - [`presence`]: which devices are connected, and which have sent nothing for too long.
//!
//! A profile turns a message into readings:
//!
//! ```
//! use myaku::device::event_time::ClockSource;
//! use myaku::device::profile::Profile;
//! use myaku::device::reading::Value;
//! use myaku::ingest::message::MessageRef;
//!
//! let document = r#"{
//!     "id": "thermometer",
//!     "metrics": {"temperature": {"unit": "°C", "range": {"min": -40, "max": 80}}},
//!     "versions": [{
//!         "name": "1", "format": "json", "time": {"from": "ts", "unit": "s"},
//!         "fields": [{"metric": "temperature", "from": "temp", "unit": "°F"}]
//!     }]
//! }"#;
//! let profile = Profile::parse(document.as_bytes()).map_err(|problems| problems[0].to_string())?;
//! let message = MessageRef {
//!     delivery_id: "7d0c",
//!     device_id: "room-4",
//!     facility: "home-3",
//!     kind: "climate",
//!     client_id: None,
//!     received_at: 1_795_218_892_020,
//!     payload: br#"{"ts": 1795218890, "temp": 68}"#,
//!     message_id: None,
//!     sender: None,
//! };
//! let decoded = profile.decode(message, 1_795_218_892_120);
//! let reading = &decoded.readings[0];
//! let Value::Number(celsius) = reading.value else { unreachable!("temperature is a number") };
//! assert!((celsius - 20.0).abs() < 1e-9 && reading.unit == "°C");
//! assert_eq!((reading.at, reading.clock), (1_795_218_890_000, ClockSource::Device));
//! # Ok::<(), String>(())
//! ```

pub mod decoding;
pub mod event_time;
pub mod presence;
pub mod profile;
pub mod reading;
pub mod registry;
