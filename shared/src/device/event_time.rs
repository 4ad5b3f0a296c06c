//! Chooses the time of a measurement: the device's, the receipt's or the arrival's.
//!
//! Clocks of devices are often wrong. A profile says which clock to trust and by how much it may differ from the
//! arrival.

use serde::{Deserialize, Serialize};

/// How far ahead of the arrival a device's time may be before it is rejected: a year and a day. A wrong clock explains
/// less than that; more means that the profile has the wrong unit, or that the message is damaged.
const MAX_AHEAD_MS: i64 = 366 * 24 * 3_600 * 1_000;

/// The clock that a time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// The device's own clock.
    Device,
    /// The time of receipt, set where the message entered the system.
    Ingest,
    /// The stream's time of arrival.
    Arrival,
}

/// Which clock is trusted, and within which bounds. The bounds are in milliseconds and not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRule {
    /// The trusted clock.
    pub trust: ClockSource,
    /// How far after the arrival its time may be.
    pub allowed_skew_ms: i64,
    /// How far before the arrival its time may be.
    pub allowed_delay_ms: i64,
}

/// The times of one measurement by each clock, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The device's time, if it sent one.
    pub device: Option<i64>,
    /// When the message was received.
    pub ingest: i64,
    /// When the record arrived at the stream.
    pub arrival: i64,
}

/// The time that was chosen for a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// In milliseconds since the epoch.
    pub at: i64,
    /// The clock that it comes from. If this is not the trusted clock, the trusted time was missing or out of bounds.
    pub clock: ClockSource,
}

/// A device's time that a wrong clock cannot explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImplausibleTime {
    /// Before 1970.
    #[error("the device's time is {0} ms, which is negative")]
    Negative(i64),
    /// More than a year and a day in the future.
    #[error("the device's time is {ahead_ms} ms ahead of the record's arrival, more than a year")]
    FarFuture {
        /// How far ahead of the arrival.
        ahead_ms: i64,
    },
}

impl ClockRule {
    /// Returns the trusted clock's time if it is within the allowed skew and delay of the arrival, else the arrival's
    /// time.
    ///
    /// If a record was received before it arrived (a producer that waited, a replay), its time may also be within these
    /// bounds of the receipt. So a time that was valid when the device sent it stays valid.
    ///
    /// A clock that was never set shows a time shortly after 1970. That is not an error: the measurement gets the
    /// arrival's time.
    ///
    /// # Errors
    /// The device's time is negative, or more than a year and a day ahead of the arrival.
    ///
    /// ```
    /// use myaku::device::event_time::{ClockRule, ClockSource, Times};
    /// let rule = ClockRule { trust: ClockSource::Device, allowed_skew_ms: 1_000, allowed_delay_ms: 60_000 };
    /// let times = Times { device: Some(95_000), ingest: 100_000, arrival: 100_100 };
    /// assert_eq!(rule.choose(&times)?.at, 95_000);
    /// let ahead = Times { device: Some(102_000), ..times };
    /// assert_eq!(rule.choose(&ahead)?.clock, ClockSource::Arrival);
    /// # Ok::<(), myaku::device::event_time::ImplausibleTime>(())
    /// ```
    pub fn choose(&self, times: &Times) -> Result<EventTime, ImplausibleTime> {
        let trusted = match self.trust {
            ClockSource::Device => times.device,
            ClockSource::Ingest => Some(times.ingest),
            ClockSource::Arrival => None,
        };
        if let Some(device) = times.device {
            check_plausible(device, times.arrival)?;
        }
        let arrival = EventTime { at: times.arrival, clock: ClockSource::Arrival };
        let receipt = times.ingest.min(times.arrival);
        Ok(trusted
            .filter(|at| self.allows(*at, times.arrival) || self.allows(*at, receipt))
            .map_or(arrival, |at| EventTime { at, clock: self.trust }))
    }

    const fn allows(&self, at: i64, reference: i64) -> bool {
        at <= reference.saturating_add(self.allowed_skew_ms) && at >= reference.saturating_sub(self.allowed_delay_ms)
    }
}

fn check_plausible(device: i64, arrival: i64) -> Result<(), ImplausibleTime> {
    let ahead_ms = device.saturating_sub(arrival);
    if device < 0 {
        Err(ImplausibleTime::Negative(device))
    } else if ahead_ms > MAX_AHEAD_MS {
        Err(ImplausibleTime::FarFuture { ahead_ms })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARRIVAL: i64 = 1_795_218_892_020;

    const fn rule(trust: ClockSource) -> ClockRule {
        ClockRule { trust, allowed_skew_ms: 1_000, allowed_delay_ms: 60_000 }
    }

    fn choose(trust: ClockSource, device: Option<i64>, ingest: i64) -> Result<EventTime, ImplausibleTime> {
        rule(trust).choose(&Times { device, ingest, arrival: ARRIVAL })
    }

    #[test]
    fn a_device_is_trusted_up_to_the_allowed_skew_and_delay_and_not_a_millisecond_more() {
        for (device, clock) in [
            (ARRIVAL + 1_000, ClockSource::Device),
            (ARRIVAL + 1_001, ClockSource::Arrival),
            (ARRIVAL - 60_000, ClockSource::Device),
            (ARRIVAL - 60_001, ClockSource::Arrival),
            (4_000, ClockSource::Arrival),
        ] {
            assert_eq!(choose(ClockSource::Device, Some(device), ARRIVAL).unwrap().clock, clock, "{device}");
        }
    }

    #[test]
    fn a_record_that_is_replayed_much_later_keeps_the_device_time_that_was_valid_at_its_receipt() {
        let sent = ARRIVAL - 90 * 24 * 3_600_000;
        let chosen = choose(ClockSource::Device, Some(sent), sent + 200).unwrap();
        assert_eq!(chosen, EventTime { at: sent, clock: ClockSource::Device });
        // A receipt after the arrival does not make a device's time valid.
        let ahead = ARRIVAL + 3_600_000;
        assert_eq!(choose(ClockSource::Device, Some(ahead), ahead).unwrap().clock, ClockSource::Arrival);
    }

    #[test]
    fn a_negative_or_far_future_device_time_is_an_error_whichever_clock_is_trusted() {
        for trust in [ClockSource::Device, ClockSource::Ingest, ClockSource::Arrival] {
            assert_eq!(choose(trust, Some(-1), ARRIVAL), Err(ImplausibleTime::Negative(-1)));
            let far = ARRIVAL + MAX_AHEAD_MS;
            assert!(choose(trust, Some(far), ARRIVAL).is_ok());
            assert_eq!(
                choose(trust, Some(far + 1), ARRIVAL),
                Err(ImplausibleTime::FarFuture { ahead_ms: MAX_AHEAD_MS + 1 })
            );
            assert!(choose(trust, Some(i64::MAX), ARRIVAL).is_err());
        }
    }

    #[test]
    fn without_a_device_time_the_arrivals_time_is_used() {
        let chosen = choose(ClockSource::Device, None, ARRIVAL - 5).unwrap();
        assert_eq!(chosen, EventTime { at: ARRIVAL, clock: ClockSource::Arrival });
    }

    #[test]
    fn the_time_of_receipt_is_trusted_unless_it_is_too_far_after_the_arrival() {
        let chosen = |ingest| choose(ClockSource::Ingest, None, ingest).unwrap();
        assert_eq!(chosen(ARRIVAL - 5), EventTime { at: ARRIVAL - 5, clock: ClockSource::Ingest });
        assert_eq!(chosen(ARRIVAL + 5_000), EventTime { at: ARRIVAL, clock: ClockSource::Arrival });
    }

    /// The same rule, written plainly for comparison, with integers that are wide enough not to saturate.
    fn reference(rule: &ClockRule, times: &Times) -> Option<EventTime> {
        let wide = |ms: i64| i128::from(ms);
        if times.device.is_some_and(|device| device < 0 || wide(device) - wide(times.arrival) > wide(MAX_AHEAD_MS)) {
            return None;
        }
        let trusted = match rule.trust {
            ClockSource::Device => times.device,
            ClockSource::Ingest => Some(times.ingest),
            ClockSource::Arrival => Some(times.arrival),
        };
        let mut references = vec![times.arrival];
        if times.ingest < times.arrival {
            references.push(times.ingest);
        }
        let fits = |at: i64| {
            references.iter().any(|reference| {
                let ahead = wide(at) - wide(*reference);
                -wide(rule.allowed_delay_ms) <= ahead && ahead <= wide(rule.allowed_skew_ms)
            })
        };
        match trusted {
            Some(at) if fits(at) => Some(EventTime { at, clock: rule.trust }),
            _ => Some(EventTime { at: times.arrival, clock: ClockSource::Arrival }),
        }
    }

    fn near(arrival: i64) -> impl Strategy<Value = i64> {
        prop_oneof![arrival - 100..arrival + 100, any::<i64>(), Just(arrival + MAX_AHEAD_MS), Just(i64::MAX)]
    }

    proptest! {
        #[test]
        fn the_choice_is_the_same_as_that_of_the_reference(
            trust in prop_oneof![Just(ClockSource::Device), Just(ClockSource::Ingest), Just(ClockSource::Arrival)],
            allowed_skew_ms in 0..50_i64,
            allowed_delay_ms in 0..50_i64,
            device in prop::option::of(near(ARRIVAL)),
            ingest in near(ARRIVAL),
        ) {
            let rule = ClockRule { trust, allowed_skew_ms, allowed_delay_ms };
            let times = Times { device, ingest, arrival: ARRIVAL };
            prop_assert_eq!(rule.choose(&times).ok(), reference(&rule, &times));
        }
    }
}
