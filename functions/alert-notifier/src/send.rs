//! Sends what is due of a case.

use crate::{Context, Ports, Report};
use futures::future::join_all;
use myaku::alert::case::{Case, Claimed, Member, Outcome};
use myaku::alert::cases::change;
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
        let until_ms = deadline_ms + MARGIN_MS;
        let (mut hopeless, mut claim) = change(&context.cases, key, |case| take(case, now_ms, until_ms, None)).await?;
        if let Claim::IfNotAcknowledged(open) = claim {
            let is_acknowledged = are_acknowledged(&context.incidents, &open).await?;
            let take = |case: &mut Case| take(case, now_ms, until_ms, Some(is_acknowledged));
            let (more, known) = change(&context.cases, key, take).await?;
            (hopeless, claim) = (hopeless + more, known);
        }
        let Claim::Taken(claimed) = claim else { break };
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

/// What is due of a case.
enum Claim {
    /// These notices are to be sent.
    Taken(Vec<Claimed>),
    /// It must be known first whether these incidents are acknowledged.
    IfNotAcknowledged(Vec<(String, Member)>),
}

/// Gives up what is hopeless of a case, and takes what is due of it.
fn take(case: &mut Case, now_ms: i64, until_ms: i64, is_acknowledged: Option<bool>) -> (usize, Claim) {
    let hopeless = case.give_up(now_ms);
    if is_acknowledged.is_none() && case.asks_for_acknowledgement(now_ms) {
        let open = case.open().map(|(id, member)| (id.to_owned(), member.clone()));
        return (hopeless, Claim::IfNotAcknowledged(open.collect()));
    }
    (hopeless, Claim::Taken(case.claim(now_ms, until_ms, is_acknowledged.unwrap_or_default())))
}

async fn are_acknowledged(incidents: &impl Incidents, open: &[(String, Member)]) -> Result<bool, RemoteError> {
    for (id, member) in open {
        if !is_noticed(incidents, id, member).await? {
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
