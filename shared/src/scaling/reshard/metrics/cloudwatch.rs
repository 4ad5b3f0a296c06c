//! Metrics in CloudWatch.

use super::{Metrics, SeriesId, Span};
use crate::platform::aws::{Lazy, incomplete, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use crate::scaling::alarms::MetricId;
use crate::scaling::shards::Series;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use std::collections::HashMap;

const OPERATION: &str = "GetMetricData";
/// "A single `GetMetricData` call can include up to 500 `MetricDataQuery` structures."
const QUERIES_MAX: usize = 500;

/// The metrics of an account in a region.
#[derive(Clone, Debug)]
pub struct CloudWatchMetrics(Lazy<Client>);

impl CloudWatchMetrics {
    /// The metrics that `config` reaches.
    pub fn new(config: &SdkConfig) -> Self {
        Self(Lazy::new(config, Client::new))
    }

    async fn read_chunk(&self, ids: &[SeriesId], span: Span) -> Result<Vec<Series>, RemoteError> {
        let queries: Vec<_> = ids.iter().enumerate().map(|(index, id)| query(index, id, span)).collect();
        let mut points: HashMap<String, Vec<(i64, f64)>> = HashMap::new();
        let mut next: Option<String> = None;
        loop {
            let call = self.0.get_metric_data().set_metric_data_queries(Some(queries.clone()));
            let call = call
                .start_time(DateTime::from_millis(span.start_ms()))
                .end_time(DateTime::from_millis(span.end_ms))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(next);
            let page = call.send().await.map_err(|error| remote_error(OPERATION, error))?;
            for result in page.metric_data_results.unwrap_or_default() {
                let id = result.id.ok_or_else(|| incomplete(OPERATION, "Id"))?;
                let times = result.timestamps.unwrap_or_default().into_iter().map(|time| time.secs() * 1000);
                points.entry(id).or_default().extend(times.zip(result.values.unwrap_or_default()));
            }
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok((0..ids.len()).map(|index| span.series(points.remove(&query_id(index)).unwrap_or_default())).collect())
    }
}

impl Metrics for CloudWatchMetrics {
    async fn read(&self, ids: &[SeriesId], span: Span) -> Result<Vec<Series>, RemoteError> {
        if span.period_ms % 60_000 != 0 {
            return Err(RemoteError::new(OPERATION, Remedy::GiveUp, "the period is not a whole number of minutes"));
        }
        let mut series = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(QUERIES_MAX) {
            series.extend(self.read_chunk(chunk, span).await?);
        }
        Ok(series)
    }
}

/// "The first character must be a lowercase letter."
fn query_id(index: usize) -> String {
    format!("q{index}")
}

fn query(index: usize, id: &SeriesId, span: Span) -> MetricDataQuery {
    let MetricId { namespace, name, dimensions } = &id.metric;
    let dimensions = dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let metric = Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions.collect()));
    let period = i32::try_from(span.period_ms / 1000).unwrap_or(i32::MAX);
    let stat = MetricStat::builder().metric(metric.build()).period(period).stat(id.statistic.name()).build();
    MetricDataQuery::builder().id(query_id(index)).metric_stat(stat).build()
}
