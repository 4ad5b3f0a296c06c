//! The timelines of one device.

use super::timeline::{Entry, Inserted, MetricSpec, Timeline, kind};

/// What is kept of the metrics of one device between invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricTimelines {
    /// In the order of the metrics' names.
    pub(super) timelines: Vec<(String, Timeline)>,
}

impl MetricTimelines {
    /// The timeline of a metric.
    pub fn timeline(&self, metric: &str) -> Option<&Timeline> {
        self.search(metric).ok().map(|index| &self.timelines[index].1)
    }

    /// The metrics and their timelines, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Timeline)> {
        self.timelines.iter().map(|(metric, timeline)| (metric.as_str(), timeline))
    }

    /// Advances the timeline of a metric by a reading. A metric that is new lacks the readings up to `lost_until`. A value that
    /// is not of the kind that `spec` names has no effect, and the answer is `None`.
    pub fn insert(
        &mut self,
        metric: &str,
        spec: MetricSpec<'_>,
        entry: Entry,
        lost_until: Option<i64>,
    ) -> Option<Inserted> {
        if kind(&entry.value) != spec.kind {
            return None;
        }
        let index = match self.search(metric) {
            Ok(index) => index,
            Err(index) => {
                self.timelines.insert(index, (metric.to_owned(), Timeline::new(spec.kind, lost_until)));
                index
            }
        };
        self.timelines[index].1.insert(spec, entry)
    }

    /// The index of a metric, or where it belongs.
    fn search(&self, metric: &str) -> Result<usize, usize> {
        self.timelines.binary_search_by(|(name, _)| name.as_str().cmp(metric))
    }
}
