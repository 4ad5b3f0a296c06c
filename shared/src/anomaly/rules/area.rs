//! Whether a position is inside an area, and whether a time is within one of the day.

use crate::device::profile::{Between, Zone};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The mean radius of the earth, in metres.
const EARTH_M: f64 = 6_371_008.8;

/// Whether a zone's condition holds for a position at a time, in milliseconds since the epoch.
pub(super) fn holds(zone: &Zone, position: [f64; 2], at_ms: i64, time_zone: &TimeZone) -> bool {
    let is_inside = match &zone.circle {
        Some(circle) => distance_m(circle.at, position) <= circle.radius_m,
        None => is_in_polygon(&zone.polygon, position),
    };
    is_inside != zone.outside && zone.between.is_none_or(|between| is_between(between, at_ms, time_zone))
}

/// The distance of two positions on the globe, in metres.
fn distance_m([longitude_a, latitude_a]: [f64; 2], [longitude_b, latitude_b]: [f64; 2]) -> f64 {
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let along = latitude_a.to_radians().cos() * latitude_b.to_radians().cos() * half(longitude_a, longitude_b);
    2.0 * EARTH_M * (half(latitude_a, latitude_b) + along).sqrt().min(1.0).asin()
}

/// Whether a line from the position to the east crosses the sides of the polygon an odd number of times.
fn is_in_polygon(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let sides = corners.iter().zip(corners.iter().cycle().skip(1));
    let crosses = |(a, b): &(&[f64; 2], &[f64; 2])| {
        (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]
    };
    sides.filter(crosses).count() % 2 == 1
}

/// Whether a time is within a time of the day, which may go over midnight. Times that no calendar has are not.
fn is_between(between: Between, at_ms: i64, zone: &TimeZone) -> bool {
    let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
    let time = zone.to_datetime(at).time();
    if between.from <= between.to {
        (between.from..between.to).contains(&time)
    } else {
        time >= between.from || time < between.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;

    fn zone(json: &str) -> Zone {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_circle_has_its_radius_in_metres_in_each_direction() {
        let circle = zone(r#"{"circle": {"at": [139.7, 35.6], "radiusM": 100}}"#);
        let is_inside = |position| holds(&circle, position, 0, &TimeZone::UTC);
        // A degree of latitude has 111,195 m; one of longitude here 90,412 m.
        for (east_m, north_m, expected) in
            [(0.0, 99.0, true), (0.0, -101.0, false), (99.0, 0.0, true), (-101.0, 0.0, false)]
        {
            assert_eq!(
                is_inside([139.7 + east_m / 90_412.0, 35.6 + north_m / 111_195.0]),
                expected,
                "{east_m} {north_m}"
            );
        }
        let pacific = zone(r#"{"circle": {"at": [179.9999, 0], "radiusM": 100}}"#);
        assert!(holds(&pacific, [-179.9999, 0.0], 0, &TimeZone::UTC), "it goes over the 180th meridian");
    }

    #[test]
    fn a_polygon_may_have_a_dent_and_its_outside_is_everything_else() {
        // A U, open to the north.
        let json = r#"{"polygon": [[0, 0], [3, 0], [3, 3], [2, 3], [2, 1], [1, 1], [1, 3], [0, 3]]"#;
        let (inside, outside) = (zone(&format!("{json}}}")), zone(&format!(r#"{json}, "outside": true}}"#)));
        for (position, expected) in
            [([0.5, 2.0], true), ([1.5, 2.0], false), ([2.5, 2.0], true), ([1.5, 0.5], true), ([4.0, 0.5], false)]
        {
            assert_eq!(holds(&inside, position, 0, &TimeZone::UTC), expected, "{position:?}");
            assert_eq!(holds(&outside, position, 0, &TimeZone::UTC), !expected, "{position:?}");
        }
    }

    #[test]
    fn a_time_of_the_day_is_that_of_the_zone_and_may_go_over_midnight() {
        let tokyo = TimeZoneDatabase::bundled().get("Asia/Tokyo").unwrap();
        let night = zone(r#"{"circle": {"at": [0, 0], "radiusM": 1}, "between": {"from": "22:00", "to": "06:00"}}"#);
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (text, expected) in [
            ("2026-11-30T12:59:59Z", false),
            ("2026-11-30T13:00:00Z", true),
            ("2026-11-30T20:59:59Z", true),
            ("2026-11-30T21:00:00Z", false),
        ] {
            assert_eq!(holds(&night, [0.0, 0.0], at(text), &tokyo), expected, "{text}");
        }
    }
}
