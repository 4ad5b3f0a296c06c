//! One notice: what one contact hears of a case, once.

use super::Case;
use super::message::{Message, Step};
use crate::alert::Contact;
use serde::{Deserialize, Serialize};

/// How often a notice is tried.
pub const TRIES: u32 = 16;
/// The wait after the first try that failed, in milliseconds. It doubles with each further one.
const RETRY_MS: i64 = 60_000;
/// The longest wait.
const RETRY_MAX_MS: i64 = 600_000;

/// A notice's identity within its case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoticeId {
    /// The round of the case that it belongs to.
    pub round: u32,
    /// What it says.
    pub step: Step,
    /// The name of its contact.
    pub contact: String,
    /// How many of the same contact and step there were before in the round.
    #[serde(default)]
    pub again: u32,
}

/// Why a notice is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withdrawn {
    /// The alert was over before it was due.
    Over,
    /// The alert was acknowledged before it was due.
    Acknowledged,
    /// The alert came back before the contact heard that it was over.
    Back,
}

/// How far a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Progress {
    /// It is sent at `due`.
    Waiting {
        /// In milliseconds since the epoch.
        due: i64,
    },
    /// It is being sent. If nothing is known of it at `until`, it is sent again.
    Sending {
        /// In milliseconds since the epoch.
        until: i64,
    },
    /// It was sent.
    Sent {
        /// In milliseconds since the epoch.
        at: i64,
    },
    /// It could not be sent, and is not tried again.
    Failed {
        /// In milliseconds since the epoch.
        at: i64,
    },
    /// It is not sent.
    Withdrawn {
        /// Why.
        why: Withdrawn,
    },
}

/// What one contact hears, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Its identity within the case.
    pub id: NoticeId,
    /// Who hears it.
    pub contact: Contact,
    /// What the contact hears.
    pub message: Message,
    /// How far it is.
    pub progress: Progress,
    /// How often it was tried.
    #[serde(default)]
    pub tries: u32,
    /// Whether it is not sent if the alert is over before it is due: it waits for quiet hours to end, or for an acknowledgement.
    #[serde(default)]
    pub lapses: bool,
}

/// A notice that is to be sent now.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// Its identity within the case.
    pub id: NoticeId,
    /// Who hears it.
    pub contact: Contact,
    /// What the contact hears.
    pub message: Message,
}

/// What came of sending a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    Sent,
    /// It could not be sent now.
    NotNow,
    /// It can never be sent: the address, the secret or a permission is wrong.
    Never,
}

impl Notice {
    /// Whether nothing more happens to it.
    pub const fn is_settled(&self) -> bool {
        matches!(self.progress, Progress::Sent { .. } | Progress::Failed { .. } | Progress::Withdrawn { .. })
    }

    /// Whether it says that something begins or goes on.
    pub(super) fn is_beginning(&self) -> bool {
        self.id.step != Step::Cleared
    }

    /// Whether its contact has heard of it, or will whatever happens.
    pub(super) const fn is_heard(&self) -> bool {
        match self.progress {
            Progress::Sent { .. } | Progress::Sending { .. } => true,
            Progress::Waiting { .. } => self.tries > 0 || !self.lapses,
            Progress::Failed { .. } | Progress::Withdrawn { .. } => false,
        }
    }

    pub(super) const fn next_ms(&self) -> Option<i64> {
        match self.progress {
            Progress::Waiting { due } => Some(due),
            Progress::Sending { until } => Some(until),
            Progress::Sent { .. } | Progress::Failed { .. } | Progress::Withdrawn { .. } => None,
        }
    }

    /// Why it is not sent although it is due, if so.
    fn lapse(&self, round: u32, is_open: bool, is_acknowledged: bool) -> Option<Withdrawn> {
        if self.tries > 0 || !self.lapses || !self.is_beginning() {
            None
        } else if self.id.round != round || !is_open {
            Some(Withdrawn::Over)
        } else {
            (is_acknowledged && self.id.step == Step::Escalated).then_some(Withdrawn::Acknowledged)
        }
    }
}

impl Case {
    /// Whether the notice at `index` waits until its contact has heard what happened before.
    pub(super) fn is_blocked(&self, index: usize) -> bool {
        let notice = &self.notices[index];
        let mut earlier = self.notices[..index].iter().filter(|earlier| earlier.id.contact == notice.id.contact);
        earlier.any(|earlier| {
            let gives_way = earlier.tries == 0 && (earlier.lapses || notice.is_beginning() && !earlier.is_beginning());
            !earlier.is_settled() && !gives_way
        })
    }

    /// A contact that hears that something is wrong again need not hear later that it was over.
    fn withdraw_earlier_ends(&mut self, index: usize) {
        let (earlier, rest) = self.notices.split_at_mut(index);
        let contact = &rest[0].id.contact;
        for end in earlier.iter_mut().filter(|end| !end.is_beginning() && end.id.contact == *contact) {
            if end.tries == 0 && !end.is_settled() {
                end.progress = Progress::Withdrawn { why: Withdrawn::Back };
            }
        }
    }

    /// Whether it must be known at `now_ms` if the open incidents are acknowledged: the case is about to be escalated.
    pub fn asks_for_acknowledgement(&self, now_ms: i64) -> bool {
        let is_due = |notice: &Notice| matches!(notice.progress, Progress::Waiting { due } if due <= now_ms);
        let mut notices = self.notices.iter();
        self.is_open() && notices.any(|notice| notice.id.step == Step::Escalated && notice.tries == 0 && is_due(notice))
    }

    /// Gives up the notices that each of [`TRIES`] invocations claimed and then ended: what they do ends invocations. Returns how many.
    pub fn give_up(&mut self, now_ms: i64) -> usize {
        let is_hopeless = |notice: &&mut Notice| {
            notice.tries >= TRIES && matches!(notice.progress, Progress::Sending { until } if until <= now_ms)
        };
        let hopeless = self.notices.iter_mut().filter(is_hopeless);
        hopeless.map(|notice| notice.progress = Progress::Failed { at: now_ms }).count()
    }

    /// Takes the notices that are due at `now_ms`, which the caller sends after it has stored the case. It must have ended by
    /// `until_ms`.
    pub fn claim(&mut self, now_ms: i64, until_ms: i64, is_acknowledged: bool) -> Vec<Claimed> {
        let (round, is_open) = (self.round, self.is_open());
        let mut claimed = Vec::new();
        for index in 0..self.notices.len() {
            let notice = &self.notices[index];
            if notice.next_ms().is_none_or(|at_ms| at_ms > now_ms) || self.is_blocked(index) {
                continue;
            }
            let notice = &mut self.notices[index];
            if let Some(why) = notice.lapse(round, is_open, is_acknowledged) {
                notice.progress = Progress::Withdrawn { why };
                continue;
            }
            if notice.is_beginning() {
                self.withdraw_earlier_ends(index);
            }
            let notice = &mut self.notices[index];
            notice.message.is_repetition |= matches!(notice.progress, Progress::Sending { .. });
            notice.tries += 1;
            notice.progress = Progress::Sending { until: until_ms };
            let Notice { id, contact, message, .. } = notice.clone();
            claimed.push(Claimed { id, contact, message });
        }
        claimed
    }

    /// Notes what came of a claimed notice. Returns whether it is given up: its contact does not hear of it.
    pub fn finish(&mut self, id: &NoticeId, outcome: Outcome, now_ms: i64) -> bool {
        let sending = |notice: &&mut Notice| notice.id == *id && matches!(notice.progress, Progress::Sending { .. });
        let Some(notice) = self.notices.iter_mut().find(sending) else { return false };
        notice.progress = match outcome {
            Outcome::Sent => Progress::Sent { at: now_ms },
            Outcome::NotNow if notice.tries < TRIES => {
                Progress::Waiting { due: now_ms + (RETRY_MS << (notice.tries - 1)).min(RETRY_MAX_MS) }
            }
            Outcome::NotNow | Outcome::Never => Progress::Failed { at: now_ms },
        };
        matches!(notice.progress, Progress::Failed { .. })
    }
}
