//! Alerts: a list of them, the newest first, and the note that someone has taken notice of one.

use crate::answer::{Answer, Problem, Status};
use crate::facilities::{after, named};
use crate::query::{Query, cursor};
use crate::view::{AlertId, AlertView, Standing, can_be_an_id, device, sees};
use crate::{Context, Ports};
use futures::future::try_join_all;
use myaku::alert::incidents::{Cursor, ReadIncidents as _, Recent};
use myaku::alert::{Acknowledgement, Incident};
use myaku::http::{Reader, ReaderRole};
use myaku::platform::clock::{MAX_MS, Now as _};
use serde_json::json;
use std::cmp::Reverse;

/// How many alerts a list has, by default and at most.
const LIMIT: (usize, usize) = (50, 200);
/// How many facilities one list is merged from. Each costs a query.
const FACILITIES_MAX: usize = 100;
/// How often one request asks the store. A list of few matches among many alerts ends early, with a cursor.
const ROUNDS: usize = 5;

/// Which alerts are asked for.
struct Wanted {
    state: Option<Standing>,
    since_ms: i64,
    limit: usize,
    /// The place in the list after which the answer begins.
    after: Option<Cursor>,
}

impl Wanted {
    fn is(&self, incident: &Incident) -> bool {
        self.state.is_none_or(|state| state == Standing::of(incident))
            && incident.raised_ms >= self.since_ms
            && self.after.as_ref().is_none_or(|after| Cursor::of(incident) < *after)
    }

    /// The latest time that an alert after the place can have, in milliseconds since the epoch.
    fn until_ms(&self) -> i64 {
        self.after.as_ref().map_or(MAX_MS, |after| after.raised_ms.clamp(0, MAX_MS))
    }
}

/// `GET /v1/alerts`.
pub(crate) async fn list<P: Ports>(context: &Context<P>, reader: &Reader, query: &str) -> Result<Answer, Problem> {
    let query = Query::parse(query, &["state", "facility", "deviceId", "since", "limit", "cursor"])?;
    let place: Option<String> = query.cursor()?;
    let wrong = || Problem::field("cursor", "it is not a cursor of this list: begin without one");
    let wanted = Wanted {
        state: query.one_of("state", &Standing::NAMES)?,
        since_ms: query.integer("since", 0..=MAX_MS)?.unwrap_or(0),
        limit: query.limit(LIMIT.0, LIMIT.1)?,
        after: place.map(|place| place.parse().map_err(|_| wrong())).transpose()?,
    };
    let facility = query.text("facility").map(|facility| named(reader, facility)).transpose()?;
    let (incidents, next) = if let Some(id) = query.text("deviceId") {
        of_device(context, reader, id, facility, &wanted).await?
    } else {
        let facilities = match facility {
            Some(facility) => vec![facility.to_owned()],
            None => after(context, reader, None, FACILITIES_MAX + 1).await?,
        };
        if facilities.len() > FACILITIES_MAX {
            let detail = format!("name one: the token shows more than {FACILITIES_MAX} facilities");
            return Err(Problem::field("facility", detail));
        }
        of_facilities(context, &facilities, &wanted).await?
    };
    let alerts: Vec<_> = incidents.iter().map(AlertView::of).collect();
    Answer::json(&json!({"alerts": alerts, "next": next}))
}

/// Those of one device, which has few.
async fn of_device<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    id: &str,
    facility: Option<&str>,
    wanted: &Wanted,
) -> Result<(Vec<Incident>, Option<String>), Problem> {
    let device = device(context, reader, id).await?;
    let place = |incident: &Incident| incident.facility.clone().or_else(|| device.facility.clone());
    let mut found = context.incidents.of_device(id).await?;
    found.retain(|incident| {
        let place = place(incident);
        wanted.is(incident) && sees(reader, place.as_deref()) && facility.is_none_or(|it| place.as_deref() == Some(it))
    });
    found.sort_by_key(|incident| Reverse(Cursor::of(incident)));
    let has_more = found.len() > wanted.limit;
    found.truncate(wanted.limit);
    let next = found.last().filter(|_| has_more).map(place_after);
    Ok((found, next))
}

/// Those of some facilities, merged.
async fn of_facilities<P: Ports>(
    context: &Context<P>,
    facilities: &[String],
    wanted: &Wanted,
) -> Result<(Vec<Incident>, Option<String>), Problem> {
    let mut until_ms = wanted.until_ms();
    let mut found = Vec::new();
    if until_ms < wanted.since_ms {
        return Ok((found, None));
    }
    for _ in 0..ROUNDS {
        let read = facilities
            .iter()
            .map(|facility| context.incidents.of_facility(facility, wanted.since_ms..=until_ms, wanted.limit));
        let recent: Vec<Recent> = try_join_all(read).await?;
        // Down to here, the alerts of all facilities are known.
        let oldest = |recent: &Recent| recent.incidents.last().filter(|_| recent.has_more).map(|it| it.raised_ms);
        let known_ms = recent.iter().filter_map(oldest).max();
        let mut round: Vec<Incident> = recent.into_iter().flat_map(|recent| recent.incidents).collect();
        round.retain(|incident| known_ms <= Some(incident.raised_ms) && wanted.is(incident));
        round.sort_by_key(|incident| Reverse(Cursor::of(incident)));
        found.extend(round);
        if found.len() > wanted.limit {
            found.truncate(wanted.limit);
            let next = found.last().map(place_after);
            return Ok((found, next));
        }
        match known_ms {
            Some(known_ms) if known_ms > wanted.since_ms => until_ms = known_ms - 1,
            _ => return Ok((found, None)),
        }
    }
    // Before all that were raised until then.
    let place = Cursor { raised_ms: until_ms + 1, device_id: String::new(), rule: None };
    Ok((found, Some(cursor(&place.to_string()))))
}

fn place_after(incident: &Incident) -> String {
    cursor(&Cursor::of(incident).to_string())
}

/// `POST /v1/alerts/{id}/acknowledge`.
pub(crate) async fn acknowledge<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    id: &str,
    query: &str,
) -> Result<Answer, Problem> {
    Query::parse(query, &[])?;
    if reader.role < ReaderRole::Operator {
        let detail = format!("a {} cannot acknowledge alerts, only an operator or an admin", reader.role.name());
        return Err(Problem::new(Status::Forbidden, detail));
    }
    if reader.id.is_empty() {
        let detail = "the token has no subject, and an acknowledgement says whose it is";
        return Err(Problem::new(Status::Forbidden, detail));
    }
    let not_found = || Problem::not_found("the alert");
    let AlertId { incident, device_id, rule } =
        AlertId::parse(id).filter(|id| can_be_an_id(&id.device_id)).ok_or_else(not_found)?;
    let of_device = context.incidents.of_device(&device_id).await?;
    let stored = of_device.into_iter().find(|it| it.id == incident && it.rule == rule).ok_or_else(not_found)?;
    let facility = match stored.facility {
        Some(facility) => Some(facility),
        None => {
            context.registry.devices(&[&device_id]).await?.remove(device_id.as_str()).and_then(|it| it.facility.clone())
        }
    };
    if !sees(reader, facility.as_deref()) {
        return Err(not_found());
    }
    let at_ms = context.clock.now_ms();
    let by = Acknowledgement { by: reader.id.clone(), at_ms };
    let now =
        context.incidents.acknowledge(&device_id, rule.as_deref(), &incident, &by).await?.ok_or_else(not_found)?;
    if now.acknowledged.as_ref() == Some(&by) {
        tracing::info!(
            by = reader.id,
            role = reader.role.name(),
            device = device_id,
            facility,
            incident,
            rule,
            "an alert is acknowledged"
        );
    }
    Answer::json(&AlertView::of(&now))
}
