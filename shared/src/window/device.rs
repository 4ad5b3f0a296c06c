//! The state of one device's windows.

use super::Series;
use crate::keyed::Seen;

/// What is kept of one device between invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceState {
    /// The positions that were processed.
    pub(super) seen: Seen,
    /// Its metrics, in the order of their names.
    pub(super) series: Vec<(String, Series)>,
}

impl DeviceState {
    /// The remembered readings of a metric.
    pub fn series(&self, metric: &str) -> Option<&Series> {
        self.search(metric).ok().map(|index| &self.series[index].1)
    }

    /// The remembered readings of a metric; none yet, if it is new.
    pub(super) fn series_mut(&mut self, metric: &str) -> &mut Series {
        let index = self.search(metric).unwrap_or_else(|index| {
            self.series.insert(index, (metric.to_owned(), Series::default()));
            index
        });
        &mut self.series[index].1
    }

    /// The index of a metric, or where it belongs.
    fn search(&self, metric: &str) -> Result<usize, usize> {
        self.series.binary_search_by(|(name, _)| name.as_str().cmp(metric))
    }
}
