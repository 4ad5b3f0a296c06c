use super::*;
use crate::alert::{Begin, Contact, Incident, Kind, Via};
use jiff::tz::TimeZone;

mod worlds;

const NOW: i64 = 1_795_218_892_020;
const MINUTE: i64 = 60_000;
/// How long an invocation may take.
const LEASE: i64 = 90_000;

/// The incident of a rule on a device that is shown by the record `order`.
fn incident(device: &str, order: &str, severity: Severity, now_ms: i64) -> Incident {
    let begin = Begin {
        rule: "fever".to_owned(),
        kind: Kind::Threshold,
        severity,
        metric: "temperature".to_owned(),
        since_ms: now_ms - 1_000,
        value: Some(39.1),
        limit: Some(38.0),
        detail: format!("{device}: temperature is above 38 °C."),
    };
    Incident::found(&begin, device, Some("home-3"), order, now_ms)
}

fn fever(order: &str) -> Incident {
    incident("bed-17", order, Severity::Warning, NOW)
}

fn end_of(incident: &Incident, now_ms: i64) -> Alert {
    incident.ended("temperature is below 37.5 °C again.".to_owned(), "9", now_ms).0
}

fn contact(name: &str, after: u32) -> Contact {
    Contact { after, ..Contact::new(name, Via::Topic, None) }
}

/// A case, and the contacts that hear of it.
struct Trial {
    case: Case,
    contacts: Vec<Contact>,
}

impl Trial {
    fn new(contacts: impl IntoIterator<Item = Contact>) -> Self {
        Self { case: Case::default(), contacts: contacts.into_iter().collect() }
    }

    fn raise(&mut self, incident: &Incident, now_ms: i64) {
        let recipients = Recipients { contacts: &self.contacts, zone: &TimeZone::UTC, settle_ms: MINUTE };
        self.case.raise(&incident.raised(), &recipients, now_ms);
    }

    fn clear(&mut self, incident: &Incident, now_ms: i64) {
        let recipients = Recipients { contacts: &self.contacts, zone: &TimeZone::UTC, settle_ms: MINUTE };
        self.case.clear(&end_of(incident, now_ms), &recipients, now_ms);
    }

    /// Sends what is due, and returns it as `<contact> <step>`.
    fn send(&mut self, now_ms: i64) -> Vec<String> {
        self.send_with(now_ms, false, Outcome::Sent)
    }

    fn send_with(&mut self, now_ms: i64, is_acknowledged: bool, outcome: Outcome) -> Vec<String> {
        let claimed = self.case.claim(now_ms, now_ms + LEASE, is_acknowledged);
        let sent = claimed.into_iter().map(|Claimed { id, contact, message }| {
            self.case.finish(&id, outcome, now_ms);
            format!("{} {}", contact.name, message.step.name())
        });
        sent.collect()
    }
}

#[test]
fn each_contact_hears_once_that_it_begins_and_once_that_it_is_over() {
    let mut trial = Trial::new([contact("nurse", 0), contact("ward", 0)]);
    let fever = fever("1");
    for _ in 0..2 {
        trial.raise(&fever, NOW);
    }
    assert_eq!(trial.send(NOW), ["nurse raised", "ward raised"]);
    trial.raise(&fever, NOW + 1);
    assert!(trial.send(NOW + MINUTE).is_empty());
    for _ in 0..2 {
        trial.clear(&fever, NOW + 2 * MINUTE);
    }
    assert_eq!(trial.case.due_ms(), Some(NOW + 3 * MINUTE));
    assert!(trial.send(NOW + 3 * MINUTE - 1).is_empty(), "it may come back");
    assert_eq!(trial.send(NOW + 3 * MINUTE), ["nurse cleared", "ward cleared"]);
    assert_eq!(trial.case.due_ms(), None);
    // What is delivered again later changes nothing.
    trial.raise(&fever, NOW + 4 * MINUTE);
    trial.clear(&fever, NOW + 4 * MINUTE);
    assert_eq!(trial.case.due_ms(), None);
    // The next incident is announced again.
    trial.raise(&self::fever("2"), NOW + 5 * MINUTE);
    assert_eq!(trial.send(NOW + 5 * MINUTE), ["nurse raised", "ward raised"]);
}

#[test]
fn an_alert_that_flaps_stays_one() {
    let mut trial = Trial::new([contact("nurse", 0)]);
    let mut now_ms = NOW;
    trial.raise(&fever("0"), now_ms);
    assert_eq!(trial.send(now_ms), ["nurse raised"]);
    for n in 0..40 {
        now_ms += 20_000;
        trial.clear(&fever(&n.to_string()), now_ms);
        assert!(trial.send(now_ms).is_empty());
        now_ms += 20_000;
        trial.raise(&fever(&(n + 1).to_string()), now_ms);
        assert!(trial.send(now_ms).is_empty());
    }
    trial.clear(&fever("40"), now_ms);
    assert_eq!(trial.send(now_ms + MINUTE), ["nurse cleared"]);
}

#[test]
fn an_end_that_was_lost_does_not_silence_the_next_incident() {
    let mut trial = Trial::new([contact("nurse", 0), Contact { from: Severity::Critical, ..contact("doctor", 0) }]);
    let at = |order: &str, severity, now_ms| incident("bed-17", order, severity, now_ms);
    trial.raise(&at("1", Severity::Critical, NOW), NOW);
    assert_eq!(trial.send(NOW), ["nurse raised", "doctor raised"]);
    // Its end never comes. A week later there is another one, of which the doctor does not hear.
    let later = NOW + 7 * 24 * 60 * MINUTE;
    let next = at("2", Severity::Warning, later);
    for _ in 0..2 {
        trial.raise(&next, later);
    }
    assert_eq!(trial.send(later), ["nurse raised"]);
    assert_eq!(trial.send(later + MINUTE), ["doctor cleared"]);
    trial.clear(&at("1", Severity::Critical, NOW), later + MINUTE);
    assert!(trial.send(later + 3 * MINUTE).is_empty());
    trial.clear(&next, later + 3 * MINUTE);
    assert_eq!(trial.send(later + 4 * MINUTE), ["nurse cleared"]);
}

#[test]
fn what_is_not_acknowledged_is_escalated_even_if_it_flaps() {
    let mut trial = Trial::new([contact("nurse", 0), contact("doctor", 10)]);
    trial.raise(&fever("1"), NOW);
    assert_eq!(trial.send(NOW), ["nurse raised"]);
    trial.clear(&fever("1"), NOW + 5 * MINUTE);
    trial.raise(&fever("2"), NOW + 5 * MINUTE + 10_000);
    assert!(!trial.case.asks_for_acknowledgement(NOW + 10 * MINUTE - 1));
    assert!(trial.case.asks_for_acknowledgement(NOW + 10 * MINUTE));
    let claimed = trial.case.claim(NOW + 10 * MINUTE, NOW + 10 * MINUTE + LEASE, false);
    assert_eq!(claimed[0].contact.name, "doctor");
    assert!(claimed[0].message.detail.ends_with("Not acknowledged after 10 minutes."), "{claimed:?}");
    trial.case.finish(&claimed[0].id, Outcome::Sent, NOW + 10 * MINUTE);
    trial.clear(&fever("2"), NOW + 11 * MINUTE);
    assert_eq!(trial.send(NOW + 12 * MINUTE), ["nurse cleared", "doctor cleared"]);
}

#[test]
fn what_is_acknowledged_or_over_is_not_escalated() {
    for is_acknowledged in [true, false] {
        let mut trial = Trial::new([contact("doctor", 10)]);
        trial.raise(&fever("1"), NOW);
        if !is_acknowledged {
            trial.clear(&fever("1"), NOW + MINUTE);
        }
        assert!(trial.send_with(NOW + 10 * MINUTE, is_acknowledged, Outcome::Sent).is_empty());
        let why = if is_acknowledged { Withdrawn::Acknowledged } else { Withdrawn::Over };
        assert_eq!(trial.case.notices()[0].progress, Progress::Withdrawn { why });
        trial.clear(&fever("1"), NOW + 11 * MINUTE);
        assert_eq!(trial.case.due_ms(), None, "who did not hear that it began does not hear that it is over");
    }
}

#[test]
fn a_contact_hears_from_its_severity_on() {
    let mut trial = Trial::new([Contact { from: Severity::Critical, ..contact("doctor", 0) }, contact("nurse", 0)]);
    trial.raise(&fever("1"), NOW);
    assert_eq!(trial.send(NOW), ["nurse raised"]);
    // It comes back at once, and is critical.
    trial.clear(&fever("1"), NOW + 1);
    trial.raise(&incident("bed-17", "2", Severity::Critical, NOW + 2), NOW + 2);
    assert_eq!(trial.send(NOW + 2), ["doctor raised"]);
}

#[test]
fn quiet_hours_hold_an_alert_back_and_one_that_is_over_by_then_is_not_told() {
    let quiet = serde_json::from_str(r#"{"from":"00:00","to":"02:00"}"#).unwrap();
    let midnight = NOW - NOW.rem_euclid(24 * 60 * MINUTE);
    let end = midnight + 2 * 60 * MINUTE;
    for is_over in [false, true] {
        let mut trial = Trial::new([Contact { quiet: Some(quiet), ..contact("nurse", 0) }]);
        trial.raise(&fever("1"), midnight + MINUTE);
        assert!(trial.send(midnight + 60 * MINUTE).is_empty());
        if is_over {
            trial.clear(&fever("1"), midnight + 60 * MINUTE);
        }
        let expected: &[&str] = if is_over { &[] } else { &["nurse raised"] };
        assert_eq!(trial.send(end), expected);
        assert_eq!(trial.case.due_ms(), None);
    }
}

#[test]
fn what_cannot_be_sent_is_tried_again_and_then_given_up_and_the_end_waits_for_it() {
    let mut trial = Trial::new([contact("ward", 0)]);
    trial.raise(&fever("1"), NOW);
    trial.clear(&fever("1"), NOW);
    let (mut now_ms, mut tries) = (NOW, 0);
    while trial.case.notices().iter().any(|notice| notice.id.step == Step::Raised && !notice.is_settled()) {
        assert_eq!(trial.send_with(now_ms, false, Outcome::NotNow), ["ward raised"]);
        tries += 1;
        now_ms = trial.case.due_ms().unwrap();
    }
    assert_eq!(tries, TRIES);
    assert!(matches!(trial.case.notices()[0].progress, Progress::Failed { at } if (at - NOW) / MINUTE == 125));
}

#[test]
fn an_address_that_is_wrong_is_not_tried_again() {
    let mut trial = Trial::new([contact("ward", 0)]);
    trial.raise(&fever("1"), NOW);
    let claimed = trial.case.claim(NOW, NOW + LEASE, false);
    assert!(trial.case.finish(&claimed[0].id, Outcome::Never, NOW));
    assert!(!trial.case.finish(&claimed[0].id, Outcome::Never, NOW), "it is given up once");
    trial.clear(&fever("1"), NOW);
    assert_eq!(trial.case.due_ms(), None);
}

#[test]
fn what_a_crash_leaves_open_is_sent_again_and_says_so() {
    let mut trial = Trial::new([contact("nurse", 0)]);
    trial.raise(&fever("1"), NOW);
    let first = trial.case.claim(NOW, NOW + LEASE, false);
    assert!(trial.case.claim(NOW + LEASE - 1, NOW + LEASE - 1 + LEASE, false).is_empty());
    let second = trial.case.claim(NOW + LEASE, NOW + LEASE + LEASE, false);
    assert_eq!((first[0].message.is_repetition, second[0].message.is_repetition), (false, true));
    assert_eq!(first[0].message.id, second[0].message.id);
}

#[test]
fn a_notice_that_ends_its_invocations_is_given_up() {
    let mut trial = Trial::new([contact("nurse", 0)]);
    trial.raise(&fever("1"), NOW);
    let mut now_ms = NOW;
    for _ in 0..TRIES {
        assert_eq!((trial.case.give_up(now_ms), trial.case.claim(now_ms, now_ms + LEASE, false).len()), (0, 1));
        now_ms += LEASE;
    }
    assert_eq!((trial.case.give_up(now_ms - 1), trial.case.give_up(now_ms), trial.case.give_up(now_ms)), (0, 1, 0));
    assert_eq!(trial.case.due_ms(), None);
}

#[test]
fn an_end_that_comes_before_its_beginning_is_told_after_it() {
    let mut trial = Trial::new([contact("nurse", 0)]);
    trial.clear(&fever("1"), NOW);
    assert_eq!(trial.case.due_ms(), None);
    trial.raise(&fever("1"), NOW + 1);
    assert_eq!(trial.send(NOW + 1), ["nurse raised"]);
    assert_eq!(trial.send(NOW + 1 + MINUTE), ["nurse cleared"]);
}

#[test]
fn a_flood_is_told_once_when_its_minute_is_over() {
    let mut trial = Trial::new([contact("nurse", 0)]);
    let incidents: Vec<_> = (0..37).map(|n| incident(&format!("bed-{n:02}"), "1", Severity::Warning, NOW)).collect();
    let recipients = Recipients { contacts: &trial.contacts, zone: &TimeZone::UTC, settle_ms: MINUTE };
    for _ in 0..2 {
        for (index, incident) in incidents.iter().enumerate() {
            let way = trial.case.admit(&incident.raised(), &recipients, NOW);
            assert_eq!(way, if index < ALONE { Way::Alone } else { Way::Together });
        }
    }
    let announce_ms = trial.case.due_ms().unwrap();
    assert!(announce_ms > NOW && announce_ms < NOW + 66_000);
    let claimed = trial.case.claim(announce_ms, announce_ms + LEASE, false);
    insta::assert_snapshot!(claimed[0].message.detail, @"27 more alerts of the kind threshold in home-3 since 2026-11-20 23:54:52 +00:00, on bed-10, bed-11, bed-12, bed-13, bed-14, bed-15, bed-16, bed-17, bed-18, bed-19, bed-20, bed-21, bed-22, bed-23, bed-24, bed-25, bed-26, bed-27, bed-28, bed-29 and 7 others.");
    assert_eq!((claimed.len(), claimed[0].message.alerts), (1, Some(27)));
    trial.case.finish(&claimed[0].id, Outcome::Sent, announce_ms);
    // One that comes later is announced as well.
    let late = incident("bed-99", "1", Severity::Warning, NOW);
    let recipients = Recipients { contacts: &trial.contacts, zone: &TimeZone::UTC, settle_ms: MINUTE };
    assert_eq!(trial.case.admit(&late.raised(), &recipients, announce_ms + 1), Way::Together);
    assert_eq!(trial.send(announce_ms + 2 * MINUTE), ["nurse raised"]);
    for incident in incidents[ALONE..].iter().chain([&late]) {
        assert!(trial.send(announce_ms + 2 * MINUTE).is_empty());
        trial.clear(incident, announce_ms + 2 * MINUTE);
    }
    let end = trial.case.claim(announce_ms + 3 * MINUTE, announce_ms + 3 * MINUTE + LEASE, false);
    insta::assert_snapshot!(end[0].message.detail, @"28 alerts of the kind threshold in home-3 are over, on bed-10, bed-11, bed-12, bed-13, bed-14, bed-15, bed-16, bed-17, bed-18, bed-19, bed-20, bed-21, bed-22, bed-23, bed-24, bed-25, bed-26, bed-27, bed-28, bed-29 and 8 others.");
    assert_eq!(end.len(), 1);
}

#[test]
fn a_flood_lists_so_many_and_counts_the_others() {
    let contacts = [contact("nurse", 0)];
    let recipients = Recipients { contacts: &contacts, zone: &TimeZone::UTC, settle_ms: MINUTE };
    let mut case = Case::default();
    for n in 0..2_000 {
        case.admit(&incident(&format!("bed-{n}"), "1", Severity::Warning, NOW).raised(), &recipients, NOW);
    }
    case.clear(&end_of(&incident("bed-1999", "1", Severity::Warning, NOW), NOW), &recipients, NOW);
    let claimed = case.claim(NOW + 2 * MINUTE, NOW + 2 * MINUTE + LEASE, false);
    assert_eq!(claimed[0].message.alerts, Some(1_990));
    assert!(serde_json::to_string(&case).unwrap().len() < 350_000, "DynamoDB takes 400 KB");
}

#[test]
fn a_message_is_a_letter_a_line_and_json() {
    let mut trial = Trial::new([contact("nurse", 0)]);
    trial.raise(&fever("1"), NOW);
    let message = trial.case.claim(NOW + LEASE, NOW + LEASE + LEASE, false).remove(0).message;
    insta::assert_snapshot!(message.subject(), @"warning raised: fever, bed-17");
    insta::assert_snapshot!(message.letter(), @r"
    bed-17: temperature is above 38 °C.

    Facility: home-3
    Severity: warning
    Since: 2026-11-20 23:54:51 +00:00
    Rule: fever
    Metric: temperature
    Value: 39.1
    Limit: 38
    Message: 08dc6d7c86b5655a23020a92eff3c072#raised
    ");
    insta::assert_snapshot!(message.line(140), @"warning: bed-17: temperature is above 38 °C.");
    assert_eq!(message.line(20).chars().count(), 20);
    insta::assert_snapshot!(serde_json::to_string(&message).unwrap(), @r#"{"id":"08dc6d7c86b5655a23020a92eff3c072#raised","step":"raised","isRepetition":false,"facility":"home-3","kind":"threshold","severity":"warning","deviceId":"bed-17","rule":"fever","metric":"temperature","value":39.1,"limit":38.0,"since":1795218891020,"at":1795218892020,"detail":"bed-17: temperature is above 38 °C.","sinceLocal":"2026-11-20 23:54:51 +00:00"}"#);
    let again = Message { is_repetition: true, ..message };
    assert!(again.letter().ends_with("This message may have been sent before.\n"));
    assert!(again.line(140).starts_with("(again) warning: "));
}

#[test]
fn a_case_is_json_as_it_was() {
    let mut trial = Trial::new([contact("nurse", 0), contact("doctor", 10)]);
    trial.raise(&fever("1"), NOW);
    trial.send(NOW);
    trial.clear(&fever("1"), NOW);
    trial.clear(&fever("2"), NOW);
    trial.case.note(&fever("3").raised(), "flood#home-3#threshold#1");
    let json = serde_json::to_string(&trial.case).unwrap();
    assert_eq!(serde_json::from_str::<Case>(&json).unwrap(), trial.case);
}
