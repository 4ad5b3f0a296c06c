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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// The device's own clock.
    Device,
    /// The time of receipt, set where the message entered the system.
    Ingest,
    /// The stream's time of arrival.
    Arrival,
}

impl ClockSource {
    /// The name in readings and rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Ingest => "ingest",
            Self::Arrival => "arrival",
        }
    }

    /// The clock of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Device, Self::Ingest, Self::Arrival].into_iter().find(|clock| clock.name() == name)
    }
}

/// Which clock is trusted, and within which bounds. The spans are in milliseconds and not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRule {
    /// The trusted clock.
    pub trust: ClockSource,
    /// How far after the arrival its time may be.
    pub allowed_skew_ms: i64,
    /// How far before the arrival its time may be before the message is late.
    pub allowed_delay_ms: i64,
    /// The earliest time that a clock which was set can show, in milliseconds since the epoch.
    pub not_before_ms: i64,
    /// What happens to a message that is late.
    pub late: Late,
    /// Whether the newest time of a message stands for the time of its receipt.
    pub newest_is_now: bool,
}

/// What happens to a message whose newest time is before the allowed delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// It keeps its times. A window by time that has moved on leaves them out.
    #[default]
    Keep,
    /// Its values become a dead letter.
    Reject,
}

/// When a message was received, and when its record arrived at the stream, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When the message was received.
    pub ingest: i64,
    /// When the record arrived at the stream.
    pub arrival: i64,
}

/// What is believed of the device's clock in one message. All times of the message are judged alike, so that they keep
/// their order and their distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// Its times are those of the measurements.
    Right,
    /// Its times are before the allowed delay, and such messages are rejected.
    Late {
        /// How long before the allowed delay the newest one is, in milliseconds.
        by_ms: i64,
    },
    /// Its clock was not set, or is ahead.
    Wrong {
        /// The newest time.
        newest: i64,
    },
    /// Its clock differs from the clock of the receipt by a known span.
    Offset {
        /// What its times lack, in milliseconds.
        by_ms: i64,
    },
}

/// The time that was chosen for a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// In milliseconds since the epoch.
    pub at: i64,
    /// The clock that it comes from. If this is not the trusted clock, the trusted time was missing or cannot be true.
    pub clock: ClockSource,
}

/// Why a device's time cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongTime {
    /// Before 1970, which no wrong clock explains.
    #[error("the device's time is {0} ms, which is negative")]
    Negative(i64),
    /// More than a year and a day in the future, which no wrong clock explains.
    #[error("the device's time is {ahead_ms} ms ahead of the record's arrival, more than a year")]
    FarFuture {
        /// How far ahead of the arrival.
        ahead_ms: i64,
    },
    /// Before the allowed delay, and the profile rejects such messages.
    #[error("the message is {by_ms} ms later than the profile allows")]
    Late {
        /// How long before the allowed delay its newest time is.
        by_ms: i64,
    },
}

impl ClockRule {
    /// Says what to believe of the device's times in one message.
    ///
    /// The newest of `times` decides. If it is ahead by more than the allowed skew, or from before a clock could show it,
    /// then the clock is wrong. Times that no wrong clock explains do not count. If a record was received before it
    /// arrived (a producer that waited, a replay), the allowed delay is measured from the receipt.
    ///
    /// `sent` is what the device's clock showed when it sent the message, if the message says so. Then, and with
    /// `newest_is_now`, the clock's offset is known, and nothing has to be believed.
    pub fn judge(&self, times: impl Iterator<Item = i64>, sent: Option<i64>, receipt: Receipt) -> Belief {
        let newest = times.filter(|at| check_plausible(*at, receipt.arrival).is_ok()).max();
        let Some(newest) = newest.filter(|_| self.trust == ClockSource::Device) else { return Belief::Right };
        let received = receipt.ingest.min(receipt.arrival);
        let latest = receipt.arrival.saturating_add(self.allowed_skew_ms);
        let can_be_true = |at: i64| (self.not_before_ms..=latest).contains(&at);
        let offset = sent.or(self.newest_is_now.then_some(newest)).map(|now| received.saturating_sub(now));
        // An offset that leads nowhere is not used.
        let offset = offset.filter(|by_ms| can_be_true(newest.saturating_add(*by_ms)));
        let (newest, belief) = match offset {
            Some(by_ms) => (newest.saturating_add(by_ms), Belief::Offset { by_ms }),
            None if can_be_true(newest) => (newest, Belief::Right),
            None => return Belief::Wrong { newest },
        };
        let since = received.saturating_sub(self.allowed_delay_ms);
        if newest < since && self.late == Late::Reject {
            return Belief::Late { by_ms: since.saturating_sub(newest) };
        }
        belief
    }

    /// Returns the time of one measurement, whose time by the device's clock is `device`, if it sent one.
    ///
    /// It is the trusted clock's. Where that cannot be true, it is the arrival's: if the device's clock is wrong, its
    /// newest time becomes the arrival's, and the other ones of the message keep their distance to it.
    ///
    /// # Errors
    /// The device's time is negative, or more than a year and a day ahead of the arrival, or late where the profile
    /// rejects that.
    ///
    /// ```
    /// use myaku::device::event_time::{Belief, ClockRule, ClockSource, Late, Receipt};
    /// let rule = ClockRule {
    ///     trust: ClockSource::Device,
    ///     allowed_skew_ms: 1_000,
    ///     allowed_delay_ms: 60_000,
    ///     not_before_ms: 10_000,
    ///     late: Late::Keep,
    ///     newest_is_now: false,
    /// };
    /// let receipt = Receipt { ingest: 100_000, arrival: 100_100 };
    /// let belief = rule.judge([95_000].into_iter(), None, receipt);
    /// assert_eq!(rule.time(belief, Some(95_000), receipt)?.at, 95_000);
    /// // The clock is ahead: its newest time becomes the arrival's.
    /// let belief = rule.judge([400_000, 402_000].into_iter(), None, receipt);
    /// assert_eq!(rule.time(belief, Some(402_000), receipt)?.at, 100_100);
    /// let before = rule.time(belief, Some(400_000), receipt)?;
    /// assert_eq!((before.at, before.clock), (98_100, ClockSource::Arrival));
    /// # Ok::<(), myaku::device::event_time::WrongTime>(())
    /// ```
    pub fn time(&self, belief: Belief, device: Option<i64>, receipt: Receipt) -> Result<EventTime, WrongTime> {
        let arrival = EventTime { at: receipt.arrival, clock: ClockSource::Arrival };
        let latest = receipt.arrival.saturating_add(self.allowed_skew_ms);
        let within = |at: i64, clock| {
            if (self.not_before_ms..=latest).contains(&at) { EventTime { at, clock } } else { arrival }
        };
        if let Some(device) = device {
            check_plausible(device, receipt.arrival)?;
        }
        match (self.trust, device) {
            (ClockSource::Arrival, _) | (ClockSource::Device, None) => Ok(arrival),
            (ClockSource::Ingest, _) => {
                let at = receipt.ingest;
                Ok(if at <= latest { EventTime { at, clock: ClockSource::Ingest } } else { arrival })
            }
            (ClockSource::Device, Some(device)) => match belief {
                Belief::Right => Ok(within(device, ClockSource::Device)),
                Belief::Late { by_ms } => Err(WrongTime::Late { by_ms }),
                Belief::Wrong { newest } => {
                    let before = newest.saturating_sub(device);
                    Ok(within(receipt.arrival.saturating_sub(before), ClockSource::Arrival))
                }
                Belief::Offset { by_ms } => Ok(within(device.saturating_add(by_ms), ClockSource::Ingest)),
            },
        }
    }
}

fn check_plausible(device: i64, arrival: i64) -> Result<(), WrongTime> {
    let ahead_ms = device.saturating_sub(arrival);
    if device < 0 {
        Err(WrongTime::Negative(device))
    } else if ahead_ms > MAX_AHEAD_MS {
        Err(WrongTime::FarFuture { ahead_ms })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARRIVAL: i64 = 1_795_218_892_020;
    const RECEIPT: Receipt = Receipt { ingest: ARRIVAL, arrival: ARRIVAL };
    const HOUR: i64 = 3_600_000;

    const fn rule(trust: ClockSource) -> ClockRule {
        ClockRule {
            trust,
            allowed_skew_ms: 1_000,
            allowed_delay_ms: 60_000,
            not_before_ms: 1_577_836_800_000,
            late: Late::Keep,
            newest_is_now: false,
        }
    }

    fn choose(rule: &ClockRule, times: &[i64], receipt: Receipt) -> Vec<Result<EventTime, WrongTime>> {
        let belief = rule.judge(times.iter().copied(), None, receipt);
        times.iter().map(|at| rule.time(belief, Some(*at), receipt)).collect()
    }

    /// The times of a message by the rule that trusts the device.
    fn by_device(times: &[i64]) -> Vec<(i64, ClockSource)> {
        let chosen = choose(&rule(ClockSource::Device), times, RECEIPT);
        chosen.into_iter().map(|time| time.map(|EventTime { at, clock }| (at, clock)).unwrap()).collect()
    }

    #[test]
    fn a_device_is_trusted_up_to_the_allowed_skew_and_not_a_millisecond_more() {
        assert_eq!(by_device(&[ARRIVAL + 1_000]), [(ARRIVAL + 1_000, ClockSource::Device)]);
        assert_eq!(by_device(&[ARRIVAL + 1_001]), [(ARRIVAL, ClockSource::Arrival)]);
    }

    #[test]
    fn a_late_time_stays_what_it_is() {
        for at in [ARRIVAL - 60_001, ARRIVAL - 2 * HOUR, 1_577_836_800_000] {
            assert_eq!(by_device(&[at]), [(at, ClockSource::Device)]);
        }
    }

    #[test]
    fn a_clock_that_was_never_set_gets_the_arrivals_time() {
        for at in [4_000, 315_964_800_000, 946_684_800_000, 1_577_836_799_999] {
            assert_eq!(by_device(&[at]), [(ARRIVAL, ClockSource::Arrival)]);
        }
    }

    #[test]
    fn a_message_is_judged_by_its_newest_time_and_keeps_the_distances_of_its_times() {
        let minutes = |newest: i64| (0..15).map(|n| newest - n * 60_000).collect::<Vec<_>>();
        // It straddles the allowed delay.
        let right = by_device(&minutes(ARRIVAL));
        assert!(right.iter().zip(minutes(ARRIVAL)).all(|(time, at)| *time == (at, ClockSource::Device)));
        // It straddles the allowed skew, or was never set.
        for newest in [ARRIVAL + 2_000, ARRIVAL + 5 * HOUR, 2 * HOUR] {
            let wrong = by_device(&minutes(newest));
            assert!(
                wrong.iter().zip(minutes(ARRIVAL)).all(|(time, at)| *time == (at, ClockSource::Arrival)),
                "{newest}"
            );
        }
    }

    #[test]
    fn one_time_from_before_clocks_were_set_costs_only_itself() {
        assert_eq!(by_device(&[ARRIVAL - 5, 7]), [(ARRIVAL - 5, ClockSource::Device), (ARRIVAL, ClockSource::Arrival)]);
    }

    #[test]
    fn a_late_message_is_rejected_where_the_profile_says_so() {
        let rule = ClockRule { late: Late::Reject, ..rule(ClockSource::Device) };
        let late = Err(WrongTime::Late { by_ms: 1 });
        assert_eq!(choose(&rule, &[ARRIVAL - 60_001, ARRIVAL - HOUR], RECEIPT), [late, late]);
        assert!(choose(&rule, &[ARRIVAL - 60_000, ARRIVAL - HOUR], RECEIPT).iter().all(Result::is_ok));
        // A replay of it is not later than it was.
        let replayed = Receipt { ingest: ARRIVAL, arrival: ARRIVAL + 90 * 24 * HOUR };
        assert!(choose(&rule, &[ARRIVAL - 60_000], replayed)[0].is_ok());
        assert_eq!(choose(&rule, &[ARRIVAL - 60_001], replayed), [late]);
    }

    #[test]
    fn a_negative_or_far_future_time_is_an_error_whichever_clock_is_trusted_and_costs_only_itself() {
        for trust in [ClockSource::Device, ClockSource::Ingest, ClockSource::Arrival] {
            let far = ARRIVAL + MAX_AHEAD_MS;
            let chosen = choose(&rule(trust), &[-1, far + 1, i64::MAX, ARRIVAL], RECEIPT);
            assert_eq!(chosen[0], Err(WrongTime::Negative(-1)));
            assert_eq!(chosen[1], Err(WrongTime::FarFuture { ahead_ms: MAX_AHEAD_MS + 1 }));
            assert!(chosen[2].is_err());
            assert_eq!(chosen[3].map(|time| time.at), Ok(ARRIVAL));
            assert!(choose(&rule(trust), &[far], RECEIPT)[0].is_ok());
        }
    }

    #[test]
    fn without_a_device_time_the_arrivals_time_is_used() {
        let chosen = rule(ClockSource::Device).time(Belief::Right, None, Receipt { ingest: ARRIVAL - 5, ..RECEIPT });
        assert_eq!(chosen, Ok(EventTime { at: ARRIVAL, clock: ClockSource::Arrival }));
    }

    #[test]
    fn the_offset_of_a_clock_is_what_it_showed_when_it_sent_or_its_newest_time() {
        let device = rule(ClockSource::Device);
        let judged = |rule: &ClockRule, sent| rule.judge([5_000, 9_000].into_iter(), sent, RECEIPT);
        assert_eq!(judged(&device, Some(12_000)), Belief::Offset { by_ms: ARRIVAL - 12_000 });
        let newest = ClockRule { newest_is_now: true, ..device };
        assert_eq!(judged(&newest, None), Belief::Offset { by_ms: ARRIVAL - 9_000 });
        assert_eq!(judged(&newest, Some(12_000)), Belief::Offset { by_ms: ARRIVAL - 12_000 });
        assert_eq!(judged(&rule(ClockSource::Ingest), Some(12_000)), Belief::Right);
        // What it showed at sending cannot be true, so it is not used.
        let absurd = device.judge([ARRIVAL - 5_000].into_iter(), Some(0), RECEIPT);
        assert_eq!(absurd, Belief::Right);
        let fresh = ClockRule { late: Late::Reject, ..device };
        let late = fresh.judge([HOUR].into_iter(), Some(2 * HOUR), RECEIPT);
        assert_eq!(late, Belief::Late { by_ms: HOUR - 60_000 }, "it was an hour old when it was sent");
    }

    #[test]
    fn an_offset_is_added_and_a_time_that_cannot_be_true_even_so_becomes_the_arrivals() {
        let rule = rule(ClockSource::Device);
        let time = |device: i64| {
            let time = rule.time(Belief::Offset { by_ms: -HOUR }, Some(device), RECEIPT).unwrap();
            (time.at, time.clock)
        };
        assert_eq!(time(ARRIVAL + HOUR - 5), (ARRIVAL - 5, ClockSource::Ingest));
        assert_eq!(time(ARRIVAL + 2 * HOUR), (ARRIVAL, ClockSource::Arrival));
        assert_eq!(time(HOUR), (ARRIVAL, ClockSource::Arrival));
    }

    #[test]
    fn the_time_of_receipt_is_trusted_unless_it_is_too_far_after_the_arrival() {
        let rule = rule(ClockSource::Ingest);
        let chosen = |ingest| rule.time(Belief::Right, None, Receipt { ingest, arrival: ARRIVAL }).unwrap();
        for ingest in [ARRIVAL - 5, ARRIVAL - 90 * 24 * HOUR] {
            assert_eq!(chosen(ingest), EventTime { at: ingest, clock: ClockSource::Ingest });
        }
        assert_eq!(chosen(ARRIVAL + 5_000), EventTime { at: ARRIVAL, clock: ClockSource::Arrival });
    }

    fn near(arrival: i64) -> impl Strategy<Value = i64> {
        prop_oneof![arrival - 100..arrival + 100, any::<i64>(), Just(arrival + MAX_AHEAD_MS), Just(i64::MAX)]
    }

    proptest! {
        #[test]
        fn no_time_is_ahead_and_those_of_one_clock_keep_their_order(
            times in prop::collection::vec(near(ARRIVAL), 0..6),
            ingest in near(ARRIVAL),
        ) {
            let rule = rule(ClockSource::Device);
            let chosen = choose(&rule, &times, Receipt { ingest, arrival: ARRIVAL });
            let chosen: Vec<_> = times.iter().zip(chosen).filter_map(|(at, time)| Some((*at, time.ok()?))).collect();
            for (at, time) in &chosen {
                prop_assert!((rule.not_before_ms..=ARRIVAL + 1_000).contains(&time.at));
                prop_assert!(time.clock != ClockSource::Device || time.at == *at);
            }
            for (a, one) in &chosen {
                for (b, other) in &chosen {
                    let replaced = |time: &EventTime| time.at == ARRIVAL && time.clock == ClockSource::Arrival;
                    prop_assert!(a > b || one.at <= other.at || replaced(one));
                }
            }
        }
    }
}
