//! Which contacts hear of what happens to a case, and when.

use super::message::{Message, Step};
use super::notice::{Notice, NoticeId, Progress, Withdrawn};
use super::{Case, Member, REMEMBERED};
use crate::alert::{Alert, Contact, Severity};
use jiff::tz::TimeZone;

const MINUTE_MS: i64 = 60_000;

/// Who hears of a facility's alerts, and when.
#[derive(Clone, Copy, Debug)]
pub struct Recipients<'a> {
    /// The contacts of the facility.
    pub contacts: &'a [Contact],
    /// Its time zone.
    pub zone: &'a TimeZone,
    /// How long an alert must be over before they hear so, in milliseconds. One that comes back meanwhile was never away.
    pub settle_ms: i64,
}

impl Case {
    /// Notes the alert that an incident begins, before it is known whether the flood called `flood` announces it. Returns the key of the
    /// flood to ask, which may be an earlier one; `None` if this case announces it already.
    pub fn note(&mut self, alert: &Alert, flood: &str) -> Option<String> {
        let member = self.incidents.entry(alert.id.clone()).or_insert_with(|| Member::of(alert));
        if !member.is_announced && member.flood.is_none() {
            member.flood = Some(flood.to_owned());
        }
        member.flood.clone()
    }

    /// Takes the alert that an incident begins: this case announces it.
    pub fn raise(&mut self, alert: &Alert, recipients: &Recipients<'_>, now_ms: i64) {
        self.end_earlier(alert, recipients, now_ms);
        if self.begin(alert, now_ms) {
            let is_enough = |notice: &Notice| !matches!(notice.progress, Progress::Withdrawn { .. });
            self.announce_beginning(alert, recipients, now_ms, is_enough);
            self.announce_early_end(alert, recipients, now_ms);
        }
    }

    /// A rule has one open incident on a device. So an earlier one that seems open is over: the alert that says so was lost, or is late.
    /// The new one is announced as what it is, and begins a round.
    fn end_earlier(&mut self, alert: &Alert, recipients: &Recipients<'_>, now_ms: i64) {
        let is_known = self.incidents.get(&alert.id).is_some_and(|member| member.is_announced);
        let mut is_any = false;
        for member in self.incidents.values_mut().filter(|member| !is_known && member.at <= alert.at) {
            is_any |= member.is_announced && !member.is_over;
            member.is_over |= member.is_announced;
        }
        if is_any && !self.is_open() {
            let detail = format!("{}: what was reported before is over.", alert.device_id);
            self.announce_end(&Alert { detail, ..alert.clone() }, recipients, now_ms);
            self.begin_a_round(alert, now_ms);
        }
    }

    /// Adds an incident that this case announces. Returns whether it is new.
    pub(super) fn begin(&mut self, alert: &Alert, now_ms: i64) -> bool {
        if self.incidents.get(&alert.id).is_some_and(|member| member.is_announced) {
            return false;
        }
        // Unless `end_earlier` has begun the round.
        let has_begun = self.began == alert.id;
        if !has_begun && !self.is_open() && !self.withdraw_the_end() {
            self.begin_a_round(alert, now_ms);
        }
        self.severity = self.severity.max(alert.severity);
        let member = self.incidents.entry(alert.id.clone()).or_insert_with(|| Member::of(alert));
        (member.is_announced, member.flood) = (true, None);
        self.newest = Some(alert.clone());
        true
    }

    fn begin_a_round(&mut self, alert: &Alert, now_ms: i64) {
        self.round += 1;
        self.began.clone_from(&alert.id);
        self.severity = Severity::Info;
        self.notices.retain(|notice| !notice.is_settled() && (notice.tries > 0 || !notice.lapses));
        // What could not be sent so far must not hold up what is new for longer than necessary.
        for notice in self.notices.iter_mut().filter(|notice| notice.tries > 0) {
            if let Progress::Waiting { due } = &mut notice.progress {
                *due = now_ms.min(*due);
            }
        }
        let mut over: Vec<_> = self.incidents.iter().filter(|(_, member)| member.is_over).collect();
        over.sort_by_key(|(_, member)| -member.at);
        let forgotten: Vec<String> = over.into_iter().skip(REMEMBERED).map(|(id, _)| id.clone()).collect();
        self.incidents.retain(|id, _| !forgotten.contains(id));
    }

    /// Takes back that the case is over. Returns whether that was planned, and no contact has heard it.
    fn withdraw_the_end(&mut self) -> bool {
        let round = self.round;
        let mut ends: Vec<&mut Notice> = self.notices.iter_mut().filter(|notice| notice.id.round == round).collect();
        ends.retain(|notice| notice.id.step == Step::Cleared && !matches!(notice.progress, Progress::Withdrawn { .. }));
        if ends.is_empty() || ends.iter().any(|notice| notice.is_settled() || notice.tries > 0) {
            return false;
        }
        for end in ends {
            end.progress = Progress::Withdrawn { why: Withdrawn::Back };
        }
        true
    }

    /// Plans a notice for each contact, unless it has one in this round that is enough.
    pub(super) fn announce_beginning(
        &mut self,
        alert: &Alert,
        recipients: &Recipients<'_>,
        at_ms: i64,
        is_enough: fn(&Notice) -> bool,
    ) {
        let severity = self.severity;
        for contact in recipients.contacts.iter().filter(|contact| contact.from <= severity) {
            let is_announced = self.beginnings().filter(|notice| notice.id.contact == contact.name).any(is_enough);
            if !is_announced {
                let step = if contact.after == 0 { Step::Raised } else { Step::Escalated };
                self.plan(contact, Message::of(alert, step, recipients.zone).waited(contact.after), recipients, at_ms);
            }
        }
    }

    /// The notices of this round that say that it begins.
    fn beginnings(&self) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(|notice| notice.id.round == self.round && notice.is_beginning())
    }

    /// Plans that a contact hears a message, `contact.after` minutes after `at_ms` or when its quiet hours end.
    fn plan(&mut self, contact: &Contact, message: Message, recipients: &Recipients<'_>, at_ms: i64) {
        let (round, step, name) = (self.round, message.step, contact.name.clone());
        let wanted_ms = if step == Step::Escalated { at_ms + i64::from(contact.after) * MINUTE_MS } else { at_ms };
        let due = contact.free_ms(self.severity, wanted_ms, recipients.zone);
        let same = |id: &NoticeId| id.round == round && id.step == step && id.contact == name;
        let again = self.notices.iter().filter(|notice| same(&notice.id)).count() as u32;
        let message = Message { id: message_id(&self.began, step, again), ..message };
        self.notices.push(Notice {
            id: NoticeId { round, step, contact: name, again },
            contact: contact.clone(),
            message,
            progress: Progress::Waiting { due },
            tries: 0,
            lapses: step != Step::Cleared && due > at_ms,
        });
    }

    /// Takes the alert that an incident is over. Returns the key of the flood that may announce it, if there is one.
    pub fn clear(&mut self, alert: &Alert, recipients: &Recipients<'_>, now_ms: i64) -> Option<String> {
        if self.is_full() && !self.incidents.contains_key(&alert.id) {
            return None;
        }
        let member = self.incidents.entry(alert.id.clone()).or_insert_with(|| Member::of(alert));
        let was_over = std::mem::replace(&mut member.is_over, true);
        if !member.is_announced {
            // Its beginning is on the way.
            member.end.get_or_insert_with(|| Box::new(alert.clone()));
            return member.flood.clone();
        }
        if !was_over && !self.is_open() {
            self.announce_end(alert, recipients, now_ms);
        }
        None
    }

    /// Announces that an incident is over whose end came before its beginning.
    pub(super) fn announce_early_end(&mut self, alert: &Alert, recipients: &Recipients<'_>, now_ms: i64) {
        let end = self.incidents.get_mut(&alert.id).and_then(|member| member.end.take());
        if let Some(end) = end.filter(|_| !self.is_open()) {
            self.announce_end(&end, recipients, now_ms);
        }
    }

    fn announce_end(&mut self, alert: &Alert, recipients: &Recipients<'_>, now_ms: i64) {
        let mut hearers: Vec<Contact> = Vec::new();
        for notice in self.beginnings().filter(|notice| notice.is_heard()) {
            if !hearers.iter().any(|hearer| hearer.name == notice.contact.name) {
                hearers.push(notice.contact.clone());
            }
        }
        let message = Message::of(alert, Step::Cleared, recipients.zone);
        let message = if self.alone.is_empty() { message } else { self.of_flood(message, recipients.zone) };
        for contact in hearers {
            self.plan(&contact, message.clone(), recipients, now_ms + recipients.settle_ms);
        }
    }
}

/// The id of a message about the round that an incident began.
fn message_id(began: &str, step: Step, again: u32) -> String {
    let step = step.name();
    if again == 0 { format!("{began}#{step}") } else { format!("{began}#{step}#{again}") }
}

impl Member {
    fn of(alert: &Alert) -> Self {
        Self {
            device_id: alert.device_id.clone(),
            rule: alert.rule.clone(),
            at: alert.at,
            flood: None,
            is_announced: false,
            is_over: false,
            end: None,
        }
    }
}
