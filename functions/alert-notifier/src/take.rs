//! Takes alerts: plans what contacts hear of them, and sends what is due at once.

use crate::{Context, Ports, Report, send};
use jiff::tz::TimeZone;
use myaku::alert::case::{Recipients, Way, device_key, flood_key};
use myaku::alert::cases::change;
use myaku::alert::{Alert, Contact, State, Via};
use myaku::platform::clock::Now as _;
use myaku::platform::errors::{RemoteError, chain};

/// The contact of a facility that has none: whoever subscribes to the topic for people.
const FALLBACK: &str = "everyone";

/// Who hears of a facility's alerts, and its clock.
struct Hearers {
    contacts: Vec<Contact>,
    zone: TimeZone,
}

/// Takes the alerts of an event. One that cannot be taken does not stop the others.
pub(crate) async fn run<P: Ports>(
    context: &Context<P>,
    alerts: &[Alert],
    deadline_ms: i64,
) -> Result<Report, RemoteError> {
    let (mut report, mut failed) = (Report::default(), None);
    for alert in alerts {
        let sent = async {
            let key = plan(context, alert).await?;
            send::run(context, &key, deadline_ms).await
        };
        match sent.await {
            Ok(sent) => report += sent,
            Err(error) => {
                tracing::error!(alert = alert.key(), error = chain(&error), "cannot notify contacts of an alert");
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(report), Err)
}

/// Plans what contacts hear of an alert. Returns the key of the case that announces it.
pub(crate) async fn plan<P: Ports>(context: &Context<P>, alert: &Alert) -> Result<String, RemoteError> {
    let Context { cases, clock, .. } = context;
    let hearers = hearers(context, alert).await?;
    let recipients =
        Recipients { contacts: &hearers.contacts, zone: &hearers.zone, settle_ms: context.settle.as_millis() as i64 };
    let key = device_key(&alert.device_id, alert.rule.as_deref());
    let now_ms = clock.now_ms();
    if alert.state == State::Cleared {
        let flood = change(cases, &key, |case| case.clear(alert, &recipients, now_ms)).await?;
        let Some(flood) = flood else { return Ok(key) };
        change(cases, &flood, |case| case.clear(alert, &recipients, now_ms)).await?;
        return Ok(flood);
    }
    // The key of the flood is stored before the flood decides, so that every delivery of the alert asks the same one.
    let flood = flood_key(alert.facility.as_deref(), alert.kind, now_ms);
    let Some(flood) = change(cases, &key, |case| case.note(alert, &flood)).await? else { return Ok(key) };
    match change(cases, &flood, |case| case.admit(alert, &recipients, now_ms)).await? {
        Way::Together => Ok(flood),
        Way::Alone => {
            change(cases, &key, |case| case.raise(alert, &recipients, now_ms)).await?;
            Ok(key)
        }
    }
}

/// Who hears of an alert. A facility that is not known, or has no contacts, has the topic for people.
async fn hearers<P: Ports>(context: &Context<P>, alert: &Alert) -> Result<Hearers, RemoteError> {
    let name = alert.facility.as_deref();
    let facility = match name {
        Some(name) => context.registry.facilities(&[name]).await?.remove(name),
        None => None,
    };
    if facility.is_none() && name.is_some() {
        tracing::warn!(facility = name, "the facility is not registered, or its document is not valid");
    }
    let contacts = facility.as_ref().map(|facility| facility.contacts.clone()).filter(|contacts| !contacts.is_empty());
    let zone = facility.map_or(TimeZone::UTC, |facility| facility.time_zone());
    Ok(Hearers { contacts: contacts.unwrap_or_else(|| vec![Contact::new(FALLBACK, Via::Topic, None)]), zone })
}
