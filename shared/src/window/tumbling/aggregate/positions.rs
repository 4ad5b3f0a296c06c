//! The aggregate of positions.

use super::{Timed, read_count};
use crate::keyed::bytes::{CorruptedState, Reader, put_varint};
use std::cmp::Ordering;

/// The mean radius of the Earth in metres (IUGG), <https://doi.org/10.1007/s001900050278>. On a sphere, distances are
/// within 0.6 % of those on the ellipsoid.
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// Differences in longitude below this many degrees come from rounding.
const ROUNDING: f64 = 1e-9;

/// Longitude and latitude in degrees.
type Position = [f64; 2];

/// What positions come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Positions {
    count: u64,
    distance_m: f64,
    first: Option<Timed<Position>>,
    /// The last reading or, before there is one, what was carried in.
    held: Option<Timed<Position>>,
    /// The bounds; of no meaning without readings.
    longitudes: Arc,
    south: f64,
    north: f64,
}

/// Longitudes from `west` eastwards to `east`, in degrees. Where `east` is less than `west`, they cross ±180°.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Arc {
    west: f64,
    east: f64,
}

/// Statistics of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionsSummary {
    /// How many readings.
    pub count: u64,
    /// The distance from each position to the next, in metres.
    pub distance_m: f64,
    /// The first by time: longitude and latitude in degrees.
    pub first: Timed<Position>,
    /// The last by time.
    pub last: Timed<Position>,
    /// The bounds in degrees: west, south, east, north, as in RFC 7946. If east is less than west, they cross ±180°.
    pub bounds: [f64; 4],
}

impl Positions {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn carry(&mut self, held: Timed<Position>) {
        self.held = Some(held);
    }

    pub(super) fn fold(&mut self, reading: Timed<Position>) {
        let [longitude, latitude] = reading.value;
        if self.count == 0 {
            self.first = Some(reading);
            self.longitudes = Arc { west: longitude, east: longitude };
            (self.south, self.north) = (latitude, latitude);
        }
        if let Some(held) = self.held {
            self.distance_m += distance_m(held.value, reading.value);
        }
        self.longitudes = self.longitudes.with(longitude);
        (self.south, self.north) = (self.south.min(latitude), self.north.max(latitude));
        self.count += 1;
        self.held = Some(reading);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.distance_m += other.distance_m;
        self.first = self.first.into_iter().chain(other.first).min_by(order);
        self.held = self.held.into_iter().chain(other.held).max_by(order);
        self.longitudes = self.longitudes.union(other.longitudes);
        (self.south, self.north) = (self.south.min(other.south), self.north.max(other.north));
    }

    pub(super) fn summary(&self) -> Option<PositionsSummary> {
        let (first, last) = self.first.zip(self.held)?;
        Some(PositionsSummary {
            count: self.count,
            distance_m: self.distance_m,
            first,
            last,
            bounds: [self.longitudes.west, self.south, self.longitudes.east, self.north],
        })
    }

    /// Appends the bytes: `count(v) held(0 | 1 at[8] position[16])` and, if there are readings, `first(at[8] position[16])
    /// distance[8] west[8] south[8] east[8] north[8]`.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        out.push(self.held.is_some().into());
        for timed in self.held.iter().chain(&self.first) {
            out.extend(timed.at.to_le_bytes());
            timed.value.iter().for_each(|degrees| out.extend(degrees.to_le_bytes()));
        }
        if self.count > 0 {
            let Arc { west, east } = self.longitudes;
            for number in [self.distance_m, west, self.south, east, self.north] {
                out.extend(number.to_le_bytes());
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let timed = |reader: &mut Reader<'_>| {
            Ok::<_, CorruptedState>(Timed { at: reader.i64()?, value: [reader.f64()?, reader.f64()?] })
        };
        let count = read_count(reader)?;
        let held = reader.option(timed)?;
        if count == 0 {
            return Ok(Self { held, ..Self::default() });
        }
        let first = Some(timed(reader)?);
        let [distance_m, west, south, east, north] =
            [reader.f64()?, reader.f64()?, reader.f64()?, reader.f64()?, reader.f64()?];
        if held.is_none() || distance_m < 0.0 || south > north {
            return Err(CorruptedState("an aggregate of positions contradicts itself"));
        }
        Ok(Self { count, distance_m, first, held, longitudes: Arc { west, east }, south, north })
    }
}

fn order(left: &Timed<Position>, right: &Timed<Position>) -> Ordering {
    let ([x, y], [other_x, other_y]) = (left.value, right.value);
    left.at.cmp(&right.at).then(x.total_cmp(&other_x)).then(y.total_cmp(&other_y))
}

/// The distance between two positions along a great circle in metres, by the haversine formula.
fn distance_m([longitude, latitude]: Position, [other_longitude, other_latitude]: Position) -> f64 {
    let (from, to) = (latitude.to_radians(), other_latitude.to_radians());
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let h = half(other_latitude - latitude) + from.cos() * to.cos() * half(other_longitude - longitude);
    2.0 * EARTH_RADIUS_M * h.clamp(0.0, 1.0).sqrt().asin()
}

/// How many degrees east of `from` a longitude is.
fn eastwards(from: f64, to: f64) -> f64 {
    (to - from).rem_euclid(360.0)
}

impl Arc {
    const ALL: Self = Self { west: -180.0, east: 180.0 };

    fn width(self) -> f64 {
        if self == Self::ALL { 360.0 } else { eastwards(self.west, self.east) }
    }

    fn covers(self, other: Self) -> bool {
        self == Self::ALL || eastwards(self.west, other.west) + other.width() <= self.width() + ROUNDING
    }

    /// The arc, grown to the nearer side where it lacks a longitude.
    fn with(self, longitude: f64) -> Self {
        let (to_east, to_west) = (eastwards(self.east, longitude), eastwards(longitude, self.west));
        if self.covers(Self { west: longitude, east: longitude }) {
            self
        } else if to_east <= to_west {
            Self { east: longitude, ..self }
        } else {
            Self { west: longitude, ..self }
        }
    }

    /// The narrowest arc that covers both.
    fn union(self, other: Self) -> Self {
        let across = [Self { west: self.west, east: other.east }, Self { west: other.west, east: self.east }];
        let candidates = [self, other].into_iter().chain(across);
        let covering = candidates.filter(|arc| arc.covers(self) && arc.covers(other));
        covering.min_by(|left, right| left.width().total_cmp(&right.width())).unwrap_or(Self::ALL)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "bounds are copied and not computed")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(positions: &[Position]) -> Positions {
        let mut aggregate = Positions::default();
        for (at, value) in (0..).zip(positions) {
            aggregate.fold(Timed { at, value: *value });
        }
        aggregate
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-6 * (1.0 + right.abs())
    }

    #[test]
    fn a_path_has_its_length_along_great_circles() {
        // A quarter of a meridian, and back.
        let quarter = std::f64::consts::FRAC_PI_2 * EARTH_RADIUS_M;
        let summary = of(&[[0.0, 0.0], [0.0, 90.0], [17.0, 0.0]]).summary().unwrap();
        assert!(close(summary.distance_m, 2.0 * quarter), "{summary:?}");
        // Tokyo to Osaka is about 400 km (geodesic: 396.9 km on the ellipsoid).
        let summary = of(&[[139.6917, 35.6895], [135.5023, 34.6937]]).summary().unwrap();
        assert!((summary.distance_m / 396_900.0 - 1.0).abs() < 0.006, "{summary:?}");
    }

    #[test]
    fn bounds_cross_the_antimeridian_where_that_is_shorter() {
        let bounds = |positions: &[Position]| of(positions).summary().unwrap().bounds;
        assert_eq!(bounds(&[[179.5, -17.0], [-179.0, -18.0], [178.0, -16.0]]), [178.0, -18.0, -179.0, -16.0]);
        assert_eq!(bounds(&[[-1.0, 0.0], [2.0, 1.0]]), [-1.0, 0.0, 2.0, 1.0]);
        assert_eq!(bounds(&[[7.0, 50.0]]), [7.0, 50.0, 7.0, 50.0]);
        let (mut left, right) = (of(&[[170.0, 0.0], [175.0, 0.0]]), of(&[[-170.0, 0.0], [-175.0, 0.0]]));
        left.merge(&right);
        assert_eq!(left.summary().unwrap().bounds, [170.0, 0.0, -170.0, 0.0]);
    }

    proptest! {
        #[test]
        fn bounds_contain_every_position_however_they_were_merged(
            positions in prop::collection::vec((-180..=180_i32, -90..=90_i32), 2..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let positions: Vec<Position> = positions.into_iter().map(|(x, y)| [x.into(), y.into()]).collect();
            let (left, right) = positions.split_at(1 + cut.index(positions.len() - 1));
            let mut merged = of(left);
            merged.merge(&of(right));
            for aggregate in [merged, of(&positions)] {
                for [longitude, latitude] in &positions {
                    let point = Arc { west: *longitude, east: *longitude };
                    prop_assert!(aggregate.longitudes.covers(point), "{point:?} {aggregate:?}");
                    prop_assert!((aggregate.south..=aggregate.north).contains(latitude));
                }
            }
        }
    }
}
