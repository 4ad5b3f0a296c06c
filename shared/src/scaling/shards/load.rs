//! Metrics by period, and the load of a stream in records and bytes.

/// A metric by period, oldest first. Each value is the statistic over its period; `None` without a data point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The end of the newest period, in milliseconds since the epoch. A period is left out until it is over and its
    /// data points have had time to arrive.
    pub end_ms: i64,
    /// The length of a period, in milliseconds.
    pub period_ms: i64,
    /// The values, the newest last.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// One-minute values that end at `end_ms`.
    pub const fn minutes(end_ms: i64, values: Vec<Option<f64>>) -> Self {
        Self { end_ms, period_ms: 60_000, values }
    }

    /// The newest `count` values; fewer if the series is shorter.
    pub fn newest(&self, count: usize) -> &[Option<f64>] {
        &self.values[self.values.len().saturating_sub(count)..]
    }

    /// The value of the period that ends at `end_ms`.
    pub fn ending_at(&self, end_ms: i64) -> Option<f64> {
        let back = self.end_ms.checked_sub(end_ms)?;
        if back < 0 || self.period_ms <= 0 || back % self.period_ms != 0 {
            return None;
        }
        let back = usize::try_from(back / self.period_ms).ok()?;
        self.values.len().checked_sub(back + 1).and_then(|index| self.values[index])
    }

    /// The end of the period at `index`, in milliseconds since the epoch.
    pub(super) fn end_of(&self, index: usize) -> i64 {
        self.end_ms - (self.values.len() - 1 - index) as i64 * self.period_ms
    }
}

/// What producers put into a stream: sums over the same periods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// `IncomingRecords`, summed.
    pub records: Series,
    /// `IncomingBytes`, summed.
    pub bytes: Series,
}
