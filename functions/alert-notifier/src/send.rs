//! Sends what is due of a case.

use crate::{Context, Ports, Report};
use futures::future::join_all;
use myaku::alert::case::{Case, Claimed, Member, Outcome};
use myaku::alert::cases::{Cases as _, change};
use myaku::alert::incidents::Incidents;
use myaku::alert::messenger::Messenger;
use myaku::platform::clock::Now as _;
use myaku::platform::errors::{Remedy, RemoteError, chain};
use myaku::platform::telemetry::{Metric, count, observe};

/// How often a case is looked at in one run: a contact hears one message at a time.
const ROUNDS: usize = 8;

/// How long after its deadline an invocation has surely ended, in milliseconds: clocks differ.
const MARGIN_MS: i64 = 5_000;

/// Claims what is due of the case at `key`, sends it, and stores what came of it. `deadline_ms` is when Lambda ends the invocation.
pub(crate) async fn run<P: Ports>(context: &Context<P>, key: &str, deadline_ms: i64) -> Result<Report, RemoteError> {
    let mut report = Report::default();
    for _ in 0..ROUNDS {
        let now_ms = context.clock.now_ms();
        let is_acknowledged = is_acknowledged(context, key, now_ms).await?;
        let claim =
            |case: &mut Case| (case.give_up(now_ms), case.claim(now_ms, deadline_ms + MARGIN_MS, is_acknowledged));
        let (hopeless, claimed) = change(&context.cases, key, claim).await?;
        if hopeless > 0 {
            tracing::error!(
                case = key,
                hopeless,
                "messages are given up, because each invocation that sent them ended"
            );
            count(Metric::NotNotified, hopeless);
            report.given_up += hopeless;
        }
        if claimed.is_empty() {
            break;
        }
        let outcomes = join_all(claimed.iter().map(|claimed| send(context, claimed))).await;
        let now_ms = context.clock.now_ms();
        let finish = |case: &mut Case| {
            let given_up =
                claimed.iter().zip(&outcomes).filter(|(claimed, outcome)| case.finish(&claimed.id, **outcome, now_ms));
            given_up.count()
        };
        let given_up = change(&context.cases, key, finish).await?;
        let sent = outcomes.iter().filter(|outcome| **outcome == Outcome::Sent).count();
        report += Report { sent, failed: outcomes.len() - sent - given_up, given_up };
        count(Metric::Notified, sent);
        count(Metric::NotNotified, given_up);
        let delays = claimed.iter().map(|claimed| (now_ms - claimed.message.at) as f64);
        observe(
            Metric::NotifyMs,
            delays.zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Sent).map(|(delay, _)| delay),
        );
    }
    Ok(report)
}

async fn send<P: Ports>(context: &Context<P>, Claimed { contact, message, .. }: &Claimed) -> Outcome {
    let (facility, via) = (message.facility.as_deref(), contact.via.name());
    match context.messenger.send(contact, message).await {
        Ok(()) => {
            let is_repetition = message.is_repetition;
            tracing::info!(
                message = message.id,
                facility,
                contact = contact.name,
                via,
                is_repetition,
                "notified a contact"
            );
            Outcome::Sent
        }
        Err(error) => {
            let outcome = if error.remedy == Remedy::GiveUp { Outcome::Never } else { Outcome::NotNow };
            let (name, error) = (&contact.name, chain(&error));
            tracing::error!(
                message = message.id,
                facility,
                contact = name,
                via,
                error,
                ?outcome,
                "cannot notify a contact"
            );
            outcome
        }
    }
}

/// Whether all open incidents of the case are acknowledged, if that matters now.
async fn is_acknowledged<P: Ports>(context: &Context<P>, key: &str, now_ms: i64) -> Result<bool, RemoteError> {
    let stored = context.cases.load(key).await?;
    let Some(case) = stored.map(|stored| stored.case).filter(|case| case.asks_for_acknowledgement(now_ms)) else {
        return Ok(false);
    };
    for (id, member) in case.open() {
        if !is_noticed(&context.incidents, id, member).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn is_noticed(incidents: &impl Incidents, id: &str, member: &Member) -> Result<bool, RemoteError> {
    let incident = match &member.rule {
        Some(rule) => incidents.last(&member.device_id, rule).await?,
        None => incidents.open_of(&[&member.device_id]).await?.pop().flatten(),
    };
    Ok(incident.is_some_and(|incident| incident.id == id && incident.acknowledged.is_some()))
}
