//! The state of one device's windows.

use super::Series;

/// What is kept of one device between invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceState {
    /// Its metrics, in the order of their names.
    pub(super) series: Vec<(String, Series)>,
}

impl DeviceState {
    /// The remembered readings of a metric.
    pub fn series(&self, metric: &str) -> Option<&Series> {
        self.search(metric).ok().map(|index| &self.series[index].1)
    }

    /// The remembered readings of a metric. If it is new, it has none yet, and lacks those up to `lost_until`.
    pub(super) fn series_mut(&mut self, metric: &str, lost_until: Option<i64>) -> &mut Series {
        let index = self.search(metric).unwrap_or_else(|index| {
            let mut series = Series::default();
            if let Some(until_ms) = lost_until {
                series.lose(until_ms);
            }
            self.series.insert(index, (metric.to_owned(), series));
            index
        });
        &mut self.series[index].1
    }

    /// The index of a metric, or where it belongs.
    fn search(&self, metric: &str) -> Result<usize, usize> {
        self.series.binary_search_by(|(name, _)| name.as_str().cmp(metric))
    }
}
