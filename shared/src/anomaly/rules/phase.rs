//! When an incident begins, and when it is over.

/// After a loss, so many calm readings end what may be open. One is not enough: an incident may have been reported for a later reading
/// of a batch that comes again, and what is older than that does not end it.
pub(super) const UNSURE: u8 = 8;

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No incident of the rule is open.
    Calm {
        /// 0 if that is certain. It is not after a loss: an incident may be open that the state has lost. Then, how many calm readings
        /// end it.
        unsure: u8,
        /// Since when the condition holds, in milliseconds since the epoch: not for long enough yet.
        since_ms: Option<i64>,
    },
    /// An incident is open.
    Open {
        /// When it began, in milliseconds since the epoch.
        since_ms: i64,
        /// Since when the condition does not hold any more: not for long enough yet.
        calm_ms: Option<i64>,
    },
}

/// What a reading changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// An incident begins, which began at this time.
    Begins(i64),
    /// The incident of the rule is over, if one is open.
    Ends,
}

impl Phase {
    /// The phase of a rule that is new, on a device whose readings may have been lost before.
    pub(super) const fn new(is_lost: bool) -> Self {
        Self::Calm { unsure: if is_lost { UNSURE } else { 0 }, since_ms: None }
    }

    /// Whether an incident is open.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Advances the phase by a reading of `at_ms` for which the condition holds or does not. If it holds, it does so since
    /// `since_ms`, or since an earlier reading.
    pub(super) fn advance(
        &mut self,
        holds: bool,
        since_ms: i64,
        at_ms: i64,
        [for_ms, clear_ms]: [i64; 2],
    ) -> Option<Change> {
        match *self {
            Self::Calm { unsure, since_ms: before } if holds => {
                let since_ms = before.unwrap_or(since_ms);
                if at_ms.saturating_sub(since_ms) >= for_ms {
                    *self = Self::Open { since_ms, calm_ms: None };
                    return Some(Change::Begins(since_ms));
                }
                *self = Self::Calm { unsure, since_ms: Some(since_ms) };
                None
            }
            Self::Calm { unsure, .. } => {
                *self = Self::Calm { unsure: unsure.saturating_sub(1), since_ms: None };
                (unsure > 0).then_some(Change::Ends)
            }
            Self::Open { since_ms, .. } if holds => {
                *self = Self::Open { since_ms, calm_ms: None };
                None
            }
            Self::Open { since_ms, calm_ms } => {
                let calm_ms = calm_ms.unwrap_or(at_ms);
                if at_ms.saturating_sub(calm_ms) >= clear_ms {
                    *self = Self::new(false);
                    return Some(Change::Ends);
                }
                *self = Self::Open { since_ms, calm_ms: Some(calm_ms) };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens at each second, from whether the condition holds there.
    fn run(mut phase: Phase, holds: &[bool], times: [i64; 2]) -> Vec<(i64, Change)> {
        let at = |(second, &holds)| {
            let second = second as i64;
            phase.advance(holds, second, second, times).map(|change| (second, change))
        };
        holds.iter().enumerate().filter_map(at).collect()
    }

    #[test]
    fn an_incident_begins_after_its_time_and_ends_after_the_time_to_clear() {
        let (t, f) = (true, false);
        let changes = run(Phase::new(false), &[f, t, t, f, t, t, t, f, t, f, f, f, f], [2, 2]);
        assert_eq!(changes, [(6, Change::Begins(4)), (11, Change::Ends)], "a short pause changes neither");
        assert_eq!(run(Phase::new(false), &[t, t, f, f], [0, 0]), [(0, Change::Begins(0)), (2, Change::Ends)]);
    }

    #[test]
    fn after_a_loss_the_first_calm_readings_end_whatever_is_open() {
        let (t, f) = (true, false);
        let ends = |seconds: std::ops::Range<i64>| seconds.map(|second| (second, Change::Ends)).collect::<Vec<_>>();
        assert_eq!(run(Phase::new(true), &[f; 20], [1, 0]), ends(0..i64::from(UNSURE)));
        assert_eq!(run(Phase::new(true), &[t, f, f], [1, 0]), ends(1..3), "not yet an incident of its own");
        assert_eq!(run(Phase::new(true), &[t, t, f], [1, 0]), [(1, Change::Begins(0)), (2, Change::Ends)]);
    }
}
