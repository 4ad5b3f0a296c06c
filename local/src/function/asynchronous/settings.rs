//! How often and how long a function retries asynchronous invocations.

use std::time::Duration;

/// A function's `EventInvokeConfig`. The default is Lambda's: two retries within six hours.
///
/// ```
/// use myaku_local::function::asynchronous::Settings;
///
/// assert_eq!(Settings::new(None, None), Ok(Settings::default()));
/// let error = Settings::new(Some(3), None).unwrap_err().to_string();
/// assert_eq!(error, "EventInvokeConfig: MaximumRetryAttempts is 3: it must be from 0 to 2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `MaximumRetryAttempts`, 0 to 2: retries after errors of the function.
    pub retries_max: u32,
    /// `MaximumEventAgeInSeconds`, 60 to 21,600: how long an event may wait in the queue.
    pub event_age_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { retries_max: 2, event_age_max: Duration::from_hours(6) }
    }
}

/// A setting that Lambda would refuse.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("EventInvokeConfig: {name} is {value}: it must be from {least} to {most}")]
pub struct SettingsError {
    name: &'static str,
    value: i64,
    least: i64,
    most: i64,
}

impl Settings {
    /// The settings of a template, checked against Lambda's bounds. `None` is Lambda's default.
    pub fn new(retries_max: Option<i64>, event_age_seconds_max: Option<i64>) -> Result<Self, SettingsError> {
        let within = |name, value: Option<i64>, least, most, default| match value {
            Some(value) if !(least..=most).contains(&value) => Err(SettingsError { name, value, least, most }),
            value => Ok(value.unwrap_or(default)),
        };
        let retries = within("MaximumRetryAttempts", retries_max, 0, 2, 2)?;
        let seconds = within("MaximumEventAgeInSeconds", event_age_seconds_max, 60, 21_600, 21_600)?;
        Ok(Self { retries_max: retries as u32, event_age_max: Duration::from_secs(seconds as u64) })
    }
}
