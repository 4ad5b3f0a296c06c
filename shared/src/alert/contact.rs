//! Who hears of the alerts of a facility, by which way, and when.

use super::kind::Severity;
use crate::platform::json::is_default;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of a contact, in bytes.
const NAME_MAX: usize = 64;
/// The longest address of a contact, in bytes.
const ADDRESS_MAX: usize = 512;
/// The longest wait before an alert is escalated, in minutes: a week.
const AFTER_MAX: u32 = 7 * 24 * 60;

/// The way to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The stack's topic for people, to which addresses of e-mail subscribe. It needs no `to`: subscriptions choose by the message's
    /// attributes.
    Topic,
    /// A text message to the telephone number `to`, such as `+81312345678`.
    Sms,
    /// A request to the URL `to`, signed with the secret called `secret`.
    Webhook,
    /// A command to the device `to`, or to the device itself that the alert is about.
    Device,
    /// The desired state in the shadow of the device `to`, or of the device itself that the alert is about.
    Shadow,
}

impl Via {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Sms => "sms",
            Self::Webhook => "webhook",
            Self::Device => "device",
            Self::Shadow => "shadow",
        }
    }
}

/// Someone, or a machine, that hears of a facility's alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contact {
    /// The name, which no other contact of the facility has.
    pub name: String,
    /// The way.
    pub via: Via,
    /// The address on that way: see [`Via`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The name of the secret that signs requests to a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The least severity that the contact hears of.
    #[serde(default)]
    pub from: Severity,
    /// When alerts below `critical` wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// The contact hears of an alert that is not acknowledged after so many minutes. 0: at once, whether it is acknowledged or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after: u32,
}

/// The hours of each day in which a contact is not disturbed, by the facility's clock: from 22:00 to 07:00 they end on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// When they begin.
    #[serde(with = "clock_time")]
    pub from: Time,
    /// When they end.
    #[serde(with = "clock_time")]
    pub to: Time,
}

/// A time of the day as hours and minutes.
mod clock_time {
    use jiff::civil::Time;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", time.hour(), time.minute()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is not a time of the day, such as \"22:00\""));
        Time::strptime("%H:%M", &text).map_err(|_| wrong())
    }
}

impl Quiet {
    /// When the quiet hours end that `at_ms` is in, in milliseconds since the epoch; `None` if it is in none.
    pub fn end(&self, at_ms: i64, zone: &TimeZone) -> Option<i64> {
        let local = Timestamp::from_millisecond(at_ms).ok()?.to_zoned(zone.clone()).datetime();
        let time = local.time();
        let (is_after_start, is_before_end) = (time >= self.from, time < self.to);
        let is_quiet =
            if self.from < self.to { is_after_start && is_before_end } else { is_after_start || is_before_end };
        if !is_quiet {
            return None;
        }
        let day = if is_before_end { local.date() } else { local.date().checked_add(1.day()).ok()? };
        let end = zone.to_ambiguous_zoned(day.to_datetime(self.to)).compatible().ok()?;
        Some(end.timestamp().as_millisecond())
    }
}

/// What is wrong with a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactProblem {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ContactProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Contact {
    /// A contact that hears of every alert at once.
    pub fn new(name: impl Into<String>, via: Via, to: Option<&str>) -> Self {
        let to = to.map(str::to_owned);
        Self { name: name.into(), via, to, secret: None, from: Severity::Info, quiet: None, after: 0 }
    }

    /// When the contact may hear what is due at `at_ms`, in milliseconds since the epoch.
    pub fn free_ms(&self, severity: Severity, at_ms: i64, zone: &TimeZone) -> i64 {
        let quiet = self.quiet.filter(|_| severity < Severity::Critical);
        quiet.and_then(|quiet| quiet.end(at_ms, zone)).unwrap_or(at_ms)
    }

    /// Lists what is wrong with the contact, by field.
    pub fn problems(&self) -> Vec<ContactProblem> {
        let mut problems = Vec::new();
        let mut wrong = |field, message: String| problems.push(ContactProblem { field, message });
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(is_of_name) {
            wrong("name", format!("must have 1 to {NAME_MAX} letters, digits, spaces and any of - _ ."));
        }
        if let Some(message) = self.address_problem() {
            wrong("to", message);
        }
        match (&self.secret, self.via) {
            (Some(secret), Via::Webhook) if !secret.is_empty() && secret.chars().all(is_of_secret) => {}
            (Some(_), Via::Webhook) => wrong("secret", "must be a name of letters, digits, - and _".to_owned()),
            (None, Via::Webhook) => {
                wrong("secret", "is missing: the name of the secret that signs requests".to_owned());
            }
            (Some(_), _) => wrong("secret", "is for webhooks only".to_owned()),
            (None, _) => {}
        }
        if self.quiet.is_some_and(|quiet| quiet.from == quiet.to) {
            wrong("quiet", "begins and ends at the same time, so it would never end".to_owned());
        }
        if self.after > AFTER_MAX {
            wrong("after", format!("is {} minutes, at most {AFTER_MAX} are allowed", self.after));
        }
        problems
    }

    fn address_problem(&self) -> Option<String> {
        let Some(to) = self.to.as_deref() else {
            let missing = match self.via {
                Via::Sms => "is missing: a telephone number such as +81312345678",
                Via::Webhook => "is missing: a URL",
                Via::Topic | Via::Device | Via::Shadow => return None,
            };
            return Some(missing.to_owned());
        };
        if to.len() > ADDRESS_MAX {
            return Some(format!("has {} bytes, at most {ADDRESS_MAX} are allowed", to.len()));
        }
        let wrong = match self.via {
            Via::Topic => {
                "is not for a topic: its subscriptions choose by the attributes facility, contact and severity"
            }
            Via::Sms if !is_telephone_number(to) => "is not a telephone number with its country, such as +81312345678",
            Via::Webhook if !is_webhook(to) => "is not a URL that begins with https://",
            Via::Device | Via::Shadow
                if to.is_empty() || to.contains(['/', '+', '#']) || to.contains(char::is_control) =>
            {
                "is not the id of a device"
            }
            Via::Sms | Via::Webhook | Via::Device | Via::Shadow => return None,
        };
        Some(wrong.to_owned())
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || " -_.".contains(letter)
}

fn is_of_secret(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_".contains(letter)
}

/// E.164: a plus sign, and at most fifteen digits.
fn is_telephone_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `https` to a host; `http` to this machine alone, for trying out.
fn is_webhook(url: &str) -> bool {
    let is_clean = !url.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    let host = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    let is_allowed = match url.split_once("://") {
        Some(("https", rest)) => !host(rest).is_empty() && !host(rest).contains('@'),
        Some(("http", rest)) => matches!(host(rest).split(':').next(), Some("127.0.0.1" | "localhost")),
        _ => false,
    };
    is_clean && is_allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn tokyo() -> TimeZone {
        TimeZone::get("Asia/Tokyo").unwrap()
    }

    /// A time in Tokyo, which has no summer time.
    fn at(text: &str) -> i64 {
        format!("2026-12-01T{text}:00+09:00").parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn quiet(from: &str, to: &str) -> Quiet {
        serde_json::from_value(serde_json::json!({ "from": from, "to": to })).unwrap()
    }

    #[test]
    fn quiet_hours_end_on_the_same_day_or_on_the_next() {
        let night = quiet("22:00", "07:00");
        let end = |time: &str| night.end(at(time), &tokyo());
        let (today, tomorrow) = (at("07:00"), at("07:00") + 24 * 60 * MINUTE);
        assert_eq!((end("06:59"), end("07:00"), end("21:59")), (Some(today), None, None));
        assert_eq!((end("22:00"), end("23:59"), end("00:00")), (Some(tomorrow), Some(tomorrow), Some(today)));
        let noon = quiet("12:00", "13:00");
        assert_eq!((noon.end(at("12:30"), &tokyo()), noon.end(at("13:00"), &tokyo())), (Some(at("13:00")), None));
        // The hour does not exist when the clock is put forward.
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let before = "2026-03-29T01:30:00+01:00".parse::<Timestamp>().unwrap().as_millisecond();
        let end = quiet("01:00", "02:30").end(before, &berlin).unwrap();
        assert_eq!(Timestamp::from_millisecond(end).unwrap().to_string(), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn what_is_critical_disturbs() {
        let contact = Contact { quiet: Some(quiet("22:00", "07:00")), ..Contact::new("nurse", Via::Topic, None) };
        let free = |severity| contact.free_ms(severity, at("23:00"), &tokyo());
        assert_eq!(free(Severity::Critical), at("23:00"));
        assert_eq!(free(Severity::Warning), at("07:00") + 24 * 60 * MINUTE);
    }

    #[test]
    fn a_contact_is_json() {
        let json = r#"{"name":"night nurse","via":"sms","to":"+81312345678","from":"critical","quiet":{"from":"07:00","to":"19:30"},"after":10}"#;
        let contact: Contact = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&contact).unwrap(), json);
        assert_eq!(contact.problems(), []);
        let wrong = serde_json::from_str::<Quiet>(r#"{"from":"7","to":"19:30"}"#).unwrap_err().to_string();
        assert!(wrong.contains(r#""7" is not a time of the day"#), "{wrong}");
    }

    #[test]
    fn each_problem_of_a_contact_is_named_by_its_field() {
        let fields = |via, to: Option<&str>, secret: Option<&str>| {
            let contact = Contact { secret: secret.map(str::to_owned), ..Contact::new("a", via, to) };
            contact.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        for (via, to, secret) in [
            (Via::Topic, None, None),
            (Via::Sms, Some("+4930123456"), None),
            (Via::Webhook, Some("https://ward.example/alerts?x=1"), Some("ward-1")),
            (Via::Webhook, Some("http://127.0.0.1:8080/"), Some("ward-1")),
            (Via::Device, None, None),
            (Via::Device, Some("lamp-3"), None),
            (Via::Shadow, Some("lamp-3"), None),
        ] {
            assert!(fields(via, to, secret).is_empty(), "{via:?} {to:?}");
        }
        for (via, to) in [
            (Via::Topic, Some("arn:aws:sns:eu-west-1:1:x")),
            (Via::Sms, None),
            (Via::Sms, Some("030123456")),
            (Via::Sms, Some("+49 30 123456")),
            (Via::Device, Some("a/b")),
            (Via::Shadow, Some("")),
        ] {
            assert_eq!(fields(via, to, None), ["to"], "{via:?} {to:?}");
        }
        for url in
            ["http://ward.example/", "ftp://x", "https://", "https://user:pass@host/", "https://a b", "ward.example"]
        {
            assert_eq!(fields(Via::Webhook, Some(url), Some("s")), ["to"], "{url}");
        }
        assert_eq!(fields(Via::Webhook, None, None), ["to", "secret"]);
        assert_eq!(fields(Via::Webhook, Some("https://x"), Some("a/b")), ["secret"]);
        assert_eq!(fields(Via::Sms, Some("+4930123456"), Some("s")), ["secret"]);
        let odd = Contact {
            after: AFTER_MAX + 1,
            quiet: Some(quiet("01:00", "01:00")),
            ..Contact::new("", Via::Topic, None)
        };
        assert_eq!(odd.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), ["name", "quiet", "after"]);
    }
}
