//! A flood: the alerts of a kind and facility within a minute, beyond the first few.

use super::message::Message;
use super::notice::Notice;
use super::plan::Recipients;
use super::{Case, Member};
use crate::alert::{Alert, Kind};
use jiff::tz::TimeZone;

/// How many alerts of a kind and facility within a minute are announced one by one.
pub const ALONE: usize = 10;
/// How many incidents a flood lists. It only counts those beyond: what is stored of a case has its limits.
const LISTED: usize = 1_500;
const MINUTE_MS: i64 = 60_000;
/// How long after its minute a flood is announced, in milliseconds, so that the last alerts are in it.
const ANNOUNCE_AFTER_MS: i64 = 5_000;

/// How an alert is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a case of its own.
    Alone,
    /// With the others of its flood.
    Together,
}

/// The key of the flood that an alert belongs to, if there is one at `now_ms`.
pub fn flood_key(facility: Option<&str>, kind: Kind, now_ms: i64) -> String {
    // No name of a facility has a `#`.
    format!("flood#{}#{}#{}", facility.unwrap_or_default(), kind.name(), now_ms.div_euclid(MINUTE_MS))
}

impl Case {
    /// Takes the alert that an incident begins into the case of a flood, and says how it is announced. The answer for an alert is always
    /// the same.
    pub fn admit(&mut self, alert: &Alert, recipients: &Recipients<'_>, now_ms: i64) -> Way {
        if self.alone.contains(&alert.id) {
            return Way::Alone;
        }
        if self.alone.len() < ALONE {
            self.alone.insert(alert.id.clone());
            return Way::Alone;
        }
        if self.is_full() && !self.incidents.contains_key(&alert.id) {
            self.more += 1;
            self.rewrite(recipients.zone);
        } else if self.begin(alert, now_ms) {
            let announce_ms = (now_ms.div_euclid(MINUTE_MS) + 1) * MINUTE_MS + ANNOUNCE_AFTER_MS;
            let waits = |notice: &Notice| notice.tries == 0 && !notice.is_settled();
            self.announce_beginning(alert, recipients, announce_ms, waits);
            self.rewrite(recipients.zone);
            self.announce_early_end(alert, recipients, announce_ms);
        }
        Way::Together
    }

    /// Whether no further incident is listed.
    pub(super) fn is_full(&self) -> bool {
        self.incidents.len() >= LISTED
    }

    /// Writes into the notices that wait what the flood is by now.
    fn rewrite(&mut self, zone: &TimeZone) {
        for index in 0..self.notices.len() {
            let notice = &self.notices[index];
            if notice.tries == 0 && !notice.is_settled() && notice.is_beginning() {
                let message = self.of_flood(notice.message.clone(), zone);
                self.notices[index].message = message;
            }
        }
    }

    /// The message about this flood.
    pub(super) fn of_flood(&self, message: Message, zone: &TimeZone) -> Message {
        let announced = self.incidents.values().filter(|member| member.is_announced);
        let devices: Vec<&str> = announced.clone().map(|member: &Member| member.device_id.as_str()).collect();
        let count = devices.len() + self.more as usize;
        let since = announced.map(|member| member.at).min().unwrap_or(message.at);
        message.about_a_flood(count, &devices, since, zone)
    }
}
