//! What the function writes about one metric and hour.

use myaku::results::{Fields, Outcome, RowNames};

/// How warm an hour was.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WarmHour {
    /// The degree hours above the limit: 2 degrees too warm for half an hour are 1.
    pub(crate) degree_hours: f64,
    /// How much of the hour is known, in seconds.
    pub(crate) known_seconds: f64,
    /// Whether readings of the hour may be missing, because the state was lost.
    pub(crate) partial: bool,
}

impl Outcome for WarmHour {
    const NAMES: RowNames = RowNames { latest: "degree-hours", history: "degree-hours-history" };

    fn fields(&self) -> Fields {
        Fields::default()
            .with("degreeHours", self.degree_hours)
            .with("knownSeconds", self.known_seconds)
            .with("partial", self.partial)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            degree_hours: fields.number("degreeHours")?,
            known_seconds: fields.number("knownSeconds")?,
            partial: fields.flag("partial")?,
        })
    }
}
