//! Alarms in CloudWatch.

use super::AlarmStore;
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::errors::RemoteError;
use crate::scaling::alarms::{
    AlarmChange, AlarmDefinition, AlarmState, Comparison, ExistingAlarm, MetricId, MetricQuery, MetricStat,
    MissingData, Query, Statistic,
};
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::delete_alarms::DeleteAlarmsError;
use aws_sdk_cloudwatch::types::{self, AlarmType, ComparisonOperator, StateValue};

/// The alarms of an account in a region.
#[derive(Clone, Debug)]
pub struct CloudWatchAlarms(Lazy<Client>);

impl CloudWatchAlarms {
    /// The alarms that `config` reaches.
    pub fn new(config: &SdkConfig) -> Self {
        Self(Lazy::new(config, Client::new))
    }

    async fn put(&self, alarm: &AlarmDefinition) -> Result<(), RemoteError> {
        let call = self
            .0
            .put_metric_alarm()
            .alarm_name(&alarm.name)
            .alarm_description(&alarm.description)
            .set_metrics(Some(alarm.metrics.iter().map(query).collect()))
            .evaluation_periods(count(alarm.evaluation_periods))
            .datapoints_to_alarm(count(alarm.datapoints_to_alarm))
            .threshold(alarm.threshold)
            .comparison_operator(ComparisonOperator::from(alarm.comparison.name()))
            .treat_missing_data(alarm.missing_data.name())
            .set_alarm_actions(Some(alarm.alarm_actions.clone()))
            .set_ok_actions(Some(alarm.ok_actions.clone()))
            .set_insufficient_data_actions(Some(alarm.insufficient_data_actions.clone()));
        let put = call.send().await;
        put.map_err(|error| remote_error(format!("PutMetricAlarm {}", alarm.name), error)).map(|_| ())
    }
}

impl AlarmStore for CloudWatchAlarms {
    async fn describe(&self, names: &[String]) -> Result<Vec<ExistingAlarm>, RemoteError> {
        let mut alarms = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let call = self.0.describe_alarms().set_alarm_names(Some(names.to_vec()));
            let page = call.alarm_types(AlarmType::MetricAlarm).set_next_token(next).send().await;
            let page = page.map_err(|error| remote_error(format!("DescribeAlarms {}", names.join(", ")), error))?;
            alarms.extend(page.metric_alarms.unwrap_or_default().into_iter().map(existing_alarm));
            next = page.next_token;
            if next.is_none() {
                return Ok(alarms);
            }
        }
    }

    async fn change(&self, change: &AlarmChange) -> Result<(), RemoteError> {
        match change {
            AlarmChange::Put(alarm) => self.put(alarm).await,
            AlarmChange::Reset(name) => {
                let call = self.0.set_alarm_state().alarm_name(name).state_value(StateValue::InsufficientData);
                let set = call.state_reason("The number of shards has changed").send().await;
                set.map_err(|error| remote_error(format!("SetAlarmState {name}"), error)).map(|_| ())
            }
        }
    }

    async fn delete(&self, names: &[String]) -> Result<(), RemoteError> {
        // "If you specify an alarm that does not exist, none are deleted", so each call names one alarm.
        for name in names {
            let deleted = self.0.delete_alarms().alarm_names(name).send().await;
            match deleted {
                Err(error) if error.as_service_error().is_some_and(DeleteAlarmsError::is_resource_not_found) => {}
                other => drop(other.map_err(|error| remote_error(format!("DeleteAlarms {name}"), error))?),
            }
        }
        Ok(())
    }
}

fn count(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn query(query: &MetricQuery) -> types::MetricDataQuery {
    let wire =
        types::MetricDataQuery::builder().id(&query.id).set_label(query.label.clone()).return_data(query.return_data);
    match &query.query {
        Query::Math(expression) => wire.expression(expression.text()),
        Query::Metric(stat) => {
            let MetricId { namespace, name, dimensions } = &stat.metric;
            let dimensions =
                dimensions.iter().map(|(name, value)| types::Dimension::builder().name(name).value(value).build());
            let metric = types::Metric::builder().namespace(namespace).metric_name(name);
            let metric = metric.set_dimensions(Some(dimensions.collect())).build();
            let stat =
                types::MetricStat::builder().metric(metric).period(count(stat.period_s)).stat(stat.statistic.name());
            wire.metric_stat(stat.build())
        }
    }
    .build()
}

/// An alarm from its description. An alarm that this crate would not define has its name and no metrics, so that it is
/// put again.
fn existing_alarm(alarm: types::MetricAlarm) -> ExistingAlarm {
    let state = alarm.state_value.as_ref().and_then(|state| AlarmState::from_name(state.as_str()));
    let name = alarm.alarm_name.clone().unwrap_or_default();
    let foreign = AlarmDefinition {
        name,
        description: String::new(),
        metrics: Vec::new(),
        evaluation_periods: 0,
        datapoints_to_alarm: 0,
        threshold: 0.0,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::default(),
        alarm_actions: Vec::new(),
        ok_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
    };
    ExistingAlarm { definition: definition(alarm).unwrap_or(foreign), state: state.unwrap_or_default() }
}

fn definition(alarm: types::MetricAlarm) -> Option<AlarmDefinition> {
    // An alarm with disabled actions is put again, with its actions enabled.
    if alarm.actions_enabled == Some(false) {
        return None;
    }
    let evaluation_periods = u32::try_from(alarm.evaluation_periods?).ok()?;
    Some(AlarmDefinition {
        name: alarm.alarm_name?,
        description: alarm.alarm_description.unwrap_or_default(),
        metrics: alarm.metrics?.into_iter().map(metric_query).collect::<Option<_>>()?,
        evaluation_periods,
        datapoints_to_alarm: alarm.datapoints_to_alarm.map_or(Some(evaluation_periods), |n| u32::try_from(n).ok())?,
        threshold: alarm.threshold?,
        comparison: Comparison::from_name(alarm.comparison_operator?.as_str())?,
        missing_data: match alarm.treat_missing_data {
            None => MissingData::default(),
            Some(name) => MissingData::from_name(&name)?,
        },
        alarm_actions: alarm.alarm_actions.unwrap_or_default(),
        ok_actions: alarm.ok_actions.unwrap_or_default(),
        insufficient_data_actions: alarm.insufficient_data_actions.unwrap_or_default(),
    })
}

fn metric_query(query: types::MetricDataQuery) -> Option<MetricQuery> {
    let source = match (query.metric_stat, query.expression) {
        (Some(stat), None) => {
            let metric = stat.metric?;
            let dimensions = metric.dimensions.unwrap_or_default().into_iter().map(|it| Some((it.name?, it.value?)));
            let metric = MetricId {
                namespace: metric.namespace?,
                name: metric.metric_name?,
                dimensions: dimensions.collect::<Option<_>>()?,
            };
            let statistic = Statistic::from_name(&stat.stat?)?;
            Query::Metric(MetricStat { metric, period_s: u32::try_from(stat.period?).ok()?, statistic })
        }
        (None, Some(expression)) => Query::Math(expression.parse().ok()?),
        _ => return None,
    };
    Some(MetricQuery {
        id: query.id?,
        label: query.label,
        query: source,
        return_data: query.return_data != Some(false),
    })
}
