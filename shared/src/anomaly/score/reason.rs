//! Which view of a series spoke, and its words for people.

use std::fmt;

/// A view of a series: a value that follows from its readings, whose extremes are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The reading itself.
    Value,
    /// The mean over 8 readings.
    Mean8,
    /// The mean over 32 readings.
    Mean32,
    /// The distance from the mean over 64 readings.
    From64,
    /// The distance from the mean over 256 readings.
    From256,
    /// The distance from the mean over 64 readings in units of its usual size, smoothed over 8 readings.
    Departure8,
    /// The root mean square of the distance from the mean over 64 readings, over 64 readings.
    Spread,
    /// The distance from the mean of the hour of the day.
    Hour,
    /// That distance, smoothed over 8 readings.
    HourMean8,
    /// That distance, smoothed over 16 readings.
    HourMean16,
    /// How rare the level is after the one before it.
    Step,
    /// That rarity, smoothed over 4 readings.
    Step4,
    /// How rare the level is at this hour of the day.
    LevelAtHour,
}

impl View {
    /// How many views there are.
    pub(super) const COUNT: usize = 13;
}

/// How a view is used.
pub(super) struct Use {
    pub(super) view: View,
    /// By which its scores are multiplied.
    pub(super) weight: f64,
    /// Whether its values lie around the level of the series, and not around zero.
    pub(super) is_level: bool,
    /// Whether it counts only where the time of day explains enough.
    pub(super) needs_day: bool,
}

/// All views, in the order in which they are compared. Views of order are noisy, and the smoothed rest of the day is calm; their
/// weights make up for that.
pub(super) const VIEWS: [Use; View::COUNT] = {
    const fn of(view: View, weight: f64) -> Use {
        Use { view, weight, is_level: false, needs_day: false }
    }
    [
        Use { is_level: true, ..of(View::Value, 1.0) },
        Use { is_level: true, ..of(View::Mean8, 1.0) },
        Use { is_level: true, ..of(View::Mean32, 1.0) },
        of(View::From64, 1.0),
        of(View::From256, 1.0),
        of(View::Departure8, 1.0),
        of(View::Spread, 1.0),
        Use { needs_day: true, ..of(View::Hour, 1.0) },
        Use { needs_day: true, ..of(View::HourMean8, 1.0) },
        Use { needs_day: true, ..of(View::HourMean16, 2.0) },
        of(View::Step, 0.7),
        of(View::Step4, 1.0),
        of(View::LevelAtHour, 0.7),
    ]
};

/// How many of the views, the first ones, do without the order of levels.
pub(super) const WITHOUT_ORDER: usize = View::COUNT - 3;

/// The side on which a view left its ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above its usual peaks.
    High,
    /// Below its usual lows.
    Low,
}

/// Why a reading is unusual: the view that spoke, and the side on which it left its ordinary. Its `Display` says it in words, after
/// [`Reason::subject`] and a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The view.
    pub view: View,
    /// The side.
    pub side: Side,
}

impl Reason {
    /// What is unusual, in a word or two: `level`, `change`, `spread`, `time of day` or `order`.
    pub const fn subject(self) -> &'static str {
        match self.view {
            View::Value | View::Mean8 | View::Mean32 => "level",
            View::From64 | View::From256 | View::Departure8 => "change",
            View::Spread => "spread",
            View::Hour | View::HourMean8 | View::HourMean16 | View::LevelAtHour => "time of day",
            View::Step | View::Step4 => "order",
        }
    }

    const fn words(self) -> &'static str {
        use Side::{High, Low};
        match (self.view, self.side) {
            (View::Value, High) => "the value is above its usual peaks",
            (View::Value, Low) => "the value is below its usual lows",
            (View::Mean8, High) => "the mean of the last 8 readings or so is above its usual peaks",
            (View::Mean8, Low) => "the mean of the last 8 readings or so is below its usual lows",
            (View::Mean32, High) => "the mean of the last 32 readings or so is above its usual peaks",
            (View::Mean32, Low) => "the mean of the last 32 readings or so is below its usual lows",
            (View::From64, High) => "the value is further above the last 64 readings or so than it usually gets",
            (View::From64, Low) => "the value is further below the last 64 readings or so than it usually gets",
            (View::From256, High) => "the value is further above the last 256 readings or so than it usually gets",
            (View::From256, Low) => "the value is further below the last 256 readings or so than it usually gets",
            (View::Departure8, High) => {
                "several readings together are further above the recent level than they usually get"
            }
            (View::Departure8, Low) => {
                "several readings together are further below the recent level than they usually get"
            }
            (View::Spread, High) => "the last 64 readings or so vary more than they usually do",
            (View::Spread, Low) => "the last 64 readings or so vary less than they usually do",
            (View::Hour, High) => "the value is further above that of this hour than it usually gets",
            (View::Hour, Low) => "the value is further below that of this hour than it usually gets",
            (View::HourMean8 | View::HourMean16, High) => {
                "several readings together are further above those of this hour than they usually get"
            }
            (View::HourMean8 | View::HourMean16, Low) => {
                "several readings together are further below those of this hour than they usually get"
            }
            (View::Step, High) => "this level seldom follows the one before it",
            (View::Step, Low) => "the levels follow one another more evenly than they usually do",
            (View::Step4, High) => "the last levels seldom follow one another",
            (View::Step4, Low) => "the last levels follow one another more evenly than they usually do",
            (View::LevelAtHour, High) => "this level is seldom seen at this hour",
            (View::LevelAtHour, Low) => "this level is seen at this hour more often than any other usually is",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject(), self.words())
    }
}
