//! Where windows begin and end.

use crate::device::profile::Size;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The time of one window, in milliseconds since the epoch: from its beginning until before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// The beginning.
    pub from_ms: i64,
    /// The end, which belongs to the next window. Of a session, the time of its last reading.
    pub to_ms: i64,
}

/// Days are counted from a Monday, so that windows of seven days are weeks.
const MONDAY: Date = date(1969, 12, 29);

/// The windows that a time belongs to, the earliest first. Sessions have none: they follow from the readings.
///
/// A day of a time zone has 23 or 25 hours where the clocks change. Days beyond the year 9998 do not exist.
///
/// ```
/// use myaku::device::profile::Size;
/// use myaku::window::tumbling::{Interval, intervals};
///
/// let size = Size::Fixed { length_ms: 3_600_000, step_ms: 1_800_000 };
/// let of = intervals(&size, 4_000_000);
/// assert_eq!(of[0], Interval { from_ms: 1_800_000, to_ms: 5_400_000 });
/// assert_eq!(of[1], Interval { from_ms: 3_600_000, to_ms: 7_200_000 });
/// ```
pub fn intervals(size: &Size, at: i64) -> Vec<Interval> {
    match size {
        Size::Fixed { length_ms, step_ms } => {
            let newest = at.div_euclid(*step_ms) * step_ms;
            let overlapping = (newest + length_ms - at - 1).div_euclid(*step_ms);
            (0..=overlapping)
                .rev()
                .map(|n| newest - n * step_ms)
                .map(|from_ms| Interval { from_ms, to_ms: from_ms + length_ms })
                .collect()
        }
        Size::Days { days, zone } => days_at(*days, zone, at).into_iter().collect(),
        Size::Session { .. } => Vec::new(),
    }
}

fn days_at(days: u32, zone: &TimeZone, at: i64) -> Option<Interval> {
    let date = zone.to_datetime(Timestamp::from_millisecond(at).ok()?).date();
    let days = i64::from(days);
    let since = i64::from(date.since(MONDAY).ok()?.get_days());
    let midnight = |since: i64| {
        let day = MONDAY.checked_add(since.days()).ok()?;
        Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
    };
    let first = since.div_euclid(days) * days;
    Some(Interval { from_ms: midnight(first)?, to_ms: midnight(first + days)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock::MAX_MS;

    fn of(size: &Size, at: &str) -> (String, String, i64) {
        let at: Timestamp = at.parse().unwrap();
        let Interval { from_ms, to_ms } = intervals(size, at.as_millisecond())[0];
        let text = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
        (text(from_ms), text(to_ms), (to_ms - from_ms) / 3_600_000)
    }

    fn days(days: u32, zone: &str) -> Size {
        Size::Days { days, zone: jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap() }
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        let tokyo = of(&days(1, "Asia/Tokyo"), "2026-11-30T16:00:00Z");
        assert_eq!(tokyo, ("2026-11-30T15:00:00Z".to_owned(), "2026-12-01T15:00:00Z".to_owned(), 24));
        assert_eq!(of(&days(1, "UTC"), "2026-11-30T23:59:59.999Z").1, "2026-12-01T00:00:00Z");
        assert_eq!(of(&days(1, "UTC"), "2026-12-01T00:00:00Z").0, "2026-12-01T00:00:00Z");
    }

    #[test]
    fn a_day_has_23_or_25_hours_where_the_clocks_change() {
        let berlin = days(1, "Europe/Berlin");
        assert_eq!(of(&berlin, "2026-03-29T12:00:00Z").2, 23);
        assert_eq!(of(&berlin, "2026-10-25T12:00:00Z").2, 25);
        // In Beirut, the clocks change at midnight, and the day begins at one o'clock.
        let beirut = of(&days(1, "Asia/Beirut"), "2026-03-29T12:00:00Z");
        assert_eq!(beirut, ("2026-03-28T22:00:00Z".to_owned(), "2026-03-29T21:00:00Z".to_owned(), 23));
        assert_eq!(of(&days(1, "Asia/Beirut"), "2026-03-28T21:59:59Z").1, "2026-03-28T22:00:00Z", "without a gap");
    }

    #[test]
    fn seven_days_are_a_week_from_monday() {
        let week = of(&days(7, "UTC"), "2026-11-29T23:00:00Z");
        assert_eq!(week, ("2026-11-23T00:00:00Z".to_owned(), "2026-11-30T00:00:00Z".to_owned(), 168));
    }

    #[test]
    fn hopping_windows_overlap_as_often_as_their_step_fits() {
        let window = Size::Fixed { length_ms: 60_000, step_ms: 25_000 };
        let from = |at| intervals(&window, at).into_iter().map(|of| of.from_ms).collect::<Vec<_>>();
        assert_eq!(from(51_000), [0, 25_000, 50_000]);
        assert_eq!(from(60_000), [25_000, 50_000], "an end does not belong to its window");
        assert_eq!(from(-1), [-50_000, -25_000]);
    }

    #[test]
    fn every_time_that_a_reading_can_have_is_in_an_interval_or_in_none() {
        for at in [0, MAX_MS] {
            assert_eq!(intervals(&Size::Fixed { length_ms: 1_000, step_ms: 1_000 }, at).len(), 1);
            let _ = intervals(&days(31, "Pacific/Kiritimati"), at);
        }
    }
}
