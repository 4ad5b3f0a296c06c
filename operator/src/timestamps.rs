//! The times of readings and of demand in files that people bring.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Numbers from here on are milliseconds since the epoch, and seconds below: as seconds it is the year 5138, as milliseconds 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// A time in milliseconds since the epoch: RFC 3339, `2015-02-26 21:42:53` in UTC, or seconds or milliseconds since the epoch. `None`
/// for anything else.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        let ms = if number.abs() < MILLISECONDS_FROM { number * 1_000.0 } else { number };
        // The years that can be shown.
        return Timestamp::from_millisecond(ms.round() as i64)
            .ok()
            .filter(|_| ms.is_finite())
            .map(Timestamp::as_millisecond);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let time: DateTime = text.parse().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_has_five_forms() {
        for text in
            ["2014-02-14 14:30:00", "2014-02-14T14:30:00Z", "2014-02-14T15:30:00+01:00", "1392388200", "1392388200000"]
        {
            assert_eq!(milliseconds(text), Some(1_392_388_200_000), "{text}");
        }
        assert_eq!(milliseconds("1392388200.25"), Some(1_392_388_200_250));
        assert_eq!(milliseconds("-60"), Some(-60_000));
    }

    #[test]
    fn what_is_not_a_time_is_none() {
        for text in ["", "noon", "14:30", "2014-02-30 00:00:00", "inf", "NaN", "1e300"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
