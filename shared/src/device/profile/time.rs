//! Reads the times that a device sends, in whatever way it writes them.

use super::document::{Epoch, Relative, TimeUnit};
use super::source::{Getter, View};
use super::value::{Fault, Raw};
use crate::lake::dead_letter::Reason;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Below this number of seconds, a time of SenML is relative (RFC 8428, section 4.5.3).
const SENML_RELATIVE_MS: f64 = 268_435_456_000.0;

/// A time by the device's clock, in milliseconds since the epoch; `None` if the device sent none.
pub(super) type DeviceTime = Result<Option<i64>, Fault>;

/// Where the device's time is, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Time {
    pub(super) getter: Getter,
    pub(super) unit: TimeUnit,
    pub(super) text: bool,
    pub(super) epoch: Epoch,
    pub(super) relative: Option<Relative>,
    /// The zone of a local time, and how it is written.
    pub(super) local: Option<(TimeZone, Option<String>)>,
    /// When the device's counter begins again, in milliseconds.
    pub(super) wraps_ms: Option<i64>,
}

/// What times are relative to, in milliseconds since the epoch. `None`: not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base {
    /// The message's time.
    pub(super) message: Option<i64>,
    /// The time of the record before.
    pub(super) previous: Option<i64>,
    /// What the device's clock showed when it sent the message.
    pub(super) sent: Option<i64>,
    /// When the message was received.
    pub(super) received: Option<i64>,
}

impl Time {
    /// Reads the device's time, in milliseconds since the epoch. `None` if the device sent no time, or one that is relative
    /// to something that is not known.
    pub(super) fn read(&self, view: View<'_>, base: Base) -> DeviceTime {
        let of_time = |fault: Fault| Fault { detail: format!("the device's time: {}", fault.detail), ..fault };
        self.getter.get(view).and_then(|raw| self.of(&raw, base)).map_err(of_time)
    }

    /// Whether the time depends on when the message was received.
    pub(super) const fn follows_receipt(&self) -> bool {
        matches!(self.relative, Some(Relative::BeforeReceipt | Relative::Senml)) || self.local.is_some()
    }

    fn of(&self, raw: &Raw<'_>, base: Base) -> DeviceTime {
        let text = match (raw, self.unit.milliseconds()) {
            (Raw::Absent, _) => return Ok(None),
            (_, Some(unit_ms)) => return Ok(self.counted(raw.number(self.text)? * unit_ms, base)),
            (Raw::Text(text), None) => text.trim(),
            (other, None) => {
                return Err(Fault::new(Reason::Undecodable, format!("it is {}, not a text", other.kind())));
            }
        };
        match &self.local {
            Some((zone, pattern)) => local(text, zone, pattern.as_deref(), base.received).map(Some),
            None => match text.parse::<jiff::Timestamp>() {
                Ok(time) => Ok(Some(time.as_millisecond())),
                Err(_) => Err(Fault::new(
                    Reason::Undecodable,
                    "it is not an ISO 8601 time with date, time and offset".to_owned(),
                )),
            },
        }
    }

    /// The time of a number of milliseconds.
    fn counted(&self, ms: f64, base: Base) -> Option<i64> {
        // The casts saturate. The clock rule rejects such extreme times.
        let whole = ms.round() as i64;
        let from = |base: Option<i64>, by: i64| base.map(|base| base.saturating_add(by));
        match self.relative {
            None => {
                let at = whole.saturating_add(self.epoch.milliseconds());
                Some(match (self.wraps_ms, base.sent) {
                    // More than half a round after the sending is before it, in the round before. The message was sent in the
                    // second round.
                    (Some(wraps_ms), Some(sent)) if at.saturating_sub(sent) <= wraps_ms / 2 => {
                        at.saturating_add(wraps_ms)
                    }
                    _ => at,
                })
            }
            Some(Relative::AfterMessage) => from(base.message, whole),
            Some(Relative::BeforeMessage) => from(base.message, whole.saturating_neg()),
            Some(Relative::AfterPrevious) => from(base.previous.or(base.message), whole),
            Some(Relative::BeforeReceipt) => from(base.received, whole.saturating_neg()),
            Some(Relative::Senml) if ms < SENML_RELATIVE_MS => from(base.received, whole),
            Some(Relative::Senml) => Some(whole),
        }
    }
}

/// The time of a text without an offset. An hour that comes twice, when clocks are put back, is the one nearer to the receipt.
fn local(text: &str, zone: &TimeZone, pattern: Option<&str>, received: Option<i64>) -> Result<i64, Fault> {
    let undecodable = |detail: String| Fault::new(Reason::Undecodable, detail);
    let time = match pattern {
        Some(pattern) => DateTime::strptime(pattern, text),
        None => text.parse(),
    };
    let time = time.map_err(|_| undecodable("it is not a date and a time as the profile says".to_owned()))?;
    let at = |offset: jiff::tz::Offset| {
        let timestamp = offset.to_timestamp(time).map(jiff::Timestamp::as_millisecond);
        timestamp.map_err(|_| undecodable("it is beyond the times that can be represented".to_owned()))
    };
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset),
        AmbiguousOffset::Fold { before, after } => {
            let (first, second) = (at(before)?, at(after)?);
            let is_second = received.is_some_and(|received| received.abs_diff(second) < received.abs_diff(first));
            Ok(if is_second { second } else { first })
        }
        AmbiguousOffset::Gap { .. } => {
            Err(undecodable("there is no such time in its zone: the clocks are put forward".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::profile::path::Path;
    use crate::device::profile::tree::Node;

    const AT: i64 = 1_795_218_892_020;

    fn time(unit: TimeUnit) -> Time {
        let getter = Getter::Path(Path::parse("@").unwrap());
        Time { getter, unit, text: false, epoch: Epoch::Unix, relative: None, local: None, wraps_ms: None }
    }

    fn read(time: &Time, json: &str, base: Base) -> DeviceTime {
        time.read(View::Tree(&Node::json(json.as_bytes()).unwrap()), base)
    }

    fn known() -> Base {
        Base { message: Some(AT), previous: Some(AT + 500), sent: None, received: Some(AT + 80) }
    }

    #[test]
    fn times_are_read_in_each_unit() {
        for (json, unit) in [
            ("1795218892.02", TimeUnit::Seconds),
            ("1795218892020", TimeUnit::Milliseconds),
            ("1795218892020400", TimeUnit::Microseconds),
            ("1795218892020000000", TimeUnit::Nanoseconds),
            ("\"2026-11-20T23:54:52.020Z\"", TimeUnit::Iso8601),
            ("\"2026-11-21T08:54:52.02+09:00\"", TimeUnit::Iso8601),
        ] {
            assert_eq!(read(&time(unit), json, Base::default()), Ok(Some(AT)), "{json}");
        }
        assert_eq!(read(&time(TimeUnit::Iso8601), "null", known()), Ok(None));
        assert_eq!(read(&time(TimeUnit::Seconds), "1e300", known()), Ok(Some(i64::MAX)));
        for bad in ["2026-11-21", "2026-11-21T00:34:52", "yesterday", ""] {
            let fault = read(&time(TimeUnit::Iso8601), &format!("\"{bad}\""), known()).unwrap_err();
            assert_eq!(fault.reason, Reason::Undecodable, "{bad}");
        }
        assert_eq!(read(&time(TimeUnit::Seconds), "\"17\"", known()).unwrap_err().reason, Reason::NotANumber);
        assert_eq!(read(&Time { text: true, ..time(TimeUnit::Seconds) }, "\"17\"", known()), Ok(Some(17_000)));
    }

    #[test]
    fn numbers_count_from_their_epoch() {
        let from = |epoch| Time { epoch, ..time(TimeUnit::Seconds) };
        // 2026-11-20T23:54:52Z is second 1,479,254,110 of GPS, 18 leap seconds included.
        assert_eq!(read(&from(Epoch::Gps), "1479254110", known()), Ok(Some(1_795_218_892_000)));
        assert_eq!(read(&from(Epoch::Year2000), "848534092", known()), Ok(Some(1_795_218_892_000)));
    }

    #[test]
    fn numbers_are_relative_to_what_the_profile_says() {
        let by = |relative| Time { relative: Some(relative), ..time(TimeUnit::Seconds) };
        for (relative, json, expected) in [
            (Relative::AfterMessage, "-3", Some(AT - 3_000)),
            (Relative::BeforeMessage, "3", Some(AT - 3_000)),
            (Relative::AfterPrevious, "2", Some(AT + 2_500)),
            (Relative::BeforeReceipt, "60", Some(AT + 80 - 60_000)),
            (Relative::Senml, "-5", Some(AT + 80 - 5_000)),
            (Relative::Senml, "1795218892.02", Some(AT)),
        ] {
            assert_eq!(read(&by(relative), json, known()), Ok(expected), "{relative:?}");
        }
        let first = Base { previous: None, ..known() };
        assert_eq!(read(&by(Relative::AfterPrevious), "2", first), Ok(Some(AT + 2_000)));
        assert_eq!(read(&by(Relative::BeforeReceipt), "60", Base::default()), Ok(None));
        assert!(by(Relative::Senml).follows_receipt() && !by(Relative::BeforeMessage).follows_receipt());
    }

    #[test]
    fn a_counter_that_has_not_begun_again_since_is_in_its_second_round() {
        let counter = Time { wraps_ms: Some(4_294_967_296), ..time(TimeUnit::Milliseconds) };
        let sent = Base { sent: Some(1_000), ..known() };
        assert_eq!(read(&counter, "4294966296", sent), Ok(Some(4_294_966_296)));
        assert_eq!(read(&counter, "400", sent), Ok(Some(4_294_967_296 + 400)));
        // A sample that the counter places right after the sending is not of the round before.
        assert_eq!(read(&counter, "1001", sent), Ok(Some(4_294_967_296 + 1_001)));
    }

    #[test]
    fn a_local_time_that_comes_twice_is_the_one_nearer_to_the_receipt() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let local = |pattern: Option<&str>| Time {
            local: Some((zone.clone(), pattern.map(ToOwned::to_owned))),
            ..time(TimeUnit::Local)
        };
        let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let at = |received: &str| Base { received: Some(ms(received)), ..Base::default() };
        let read = |time: &Time, text: &str, base| read(time, &format!("\"{text}\""), base);
        let twice = "2026-10-25 02:30:00";
        let first = ms("2026-10-25T00:30:00Z");
        assert_eq!(read(&local(None), twice, at("2026-10-25T00:31:00Z")), Ok(Some(first)));
        assert_eq!(read(&local(None), twice, at("2026-10-25T01:31:00Z")), Ok(Some(first + 3_600_000)));
        assert_eq!(read(&local(None), twice, Base::default()), Ok(Some(first)));
        let never = read(&local(None), "2026-03-29 02:30:00", at("2026-03-29T02:00:00Z")).unwrap_err();
        assert!(never.detail.contains("there is no such time in its zone"), "{}", never.detail);
        let german = local(Some("%d.%m.%Y %H:%M:%S"));
        assert_eq!(read(&german, "21.11.2026 00:54:52", known()), Ok(Some(1_795_218_892_000)));
        assert!(read(&german, "2026-11-21 00:54:52", known()).is_err());
    }
}
