//! Metrics of CloudWatch.

use super::{Metrics, Span, Wanted};
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

    async fn read_some(&self, wanted: &[Wanted], span: Span) -> Result<Vec<Series>, RemoteError> {
        let queries: Vec<_> = wanted.iter().enumerate().map(|(index, wanted)| query(index, wanted, span)).collect();
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
        Ok((0..wanted.len()).map(|index| span.series(points.remove(&id(index)).unwrap_or_default())).collect())
    }
}

impl Metrics for CloudWatchMetrics {
    async fn read(&self, wanted: &[Wanted], span: Span) -> Result<Vec<Series>, RemoteError> {
        if span.period_ms % 60_000 != 0 {
            return Err(RemoteError::new(OPERATION, Remedy::GiveUp, "periods are whole minutes"));
        }
        let mut series = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(QUERIES_MAX) {
            series.extend(self.read_some(some, span).await?);
        }
        Ok(series)
    }
}

/// "The first character must be a lowercase letter."
fn id(index: usize) -> String {
    format!("q{index}")
}

fn query(index: usize, wanted: &Wanted, span: Span) -> MetricDataQuery {
    let MetricId { namespace, name, dimensions } = &wanted.metric;
    let dimensions = dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let metric = Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions.collect()));
    let period = i32::try_from(span.period_ms / 1000).unwrap_or(i32::MAX);
    let stat = MetricStat::builder().metric(metric.build()).period(period).stat(wanted.statistic.name()).build();
    MetricDataQuery::builder().id(id(index)).metric_stat(stat).build()
}
