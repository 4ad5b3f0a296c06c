//! Identifies the caller of a request, and the devices that it may send for. Pure.

use super::event::{Authorizer, Jwt};
use crate::ingest::message::{Role, Sender, topic_level};
use std::collections::BTreeSet;

/// The facilities that a caller may act in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facilities {
    /// All of them.
    All,
    /// Only these.
    Some(BTreeSet<String>),
}

impl Facilities {
    /// Parses `*`, or names separated by commas or spaces, from a setting or a claim.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text == "*" {
            return Self::All;
        }
        Self::Some(words(text).map(str::to_owned).collect())
    }

    /// Whether `facility` is among them.
    pub fn contain(&self, facility: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(facility),
        }
    }

    /// The facility, if there is exactly one.
    pub fn only(&self) -> Option<&str> {
        match self {
            Self::Some(names) if names.len() == 1 => names.first().map(String::as_str),
            _ => None,
        }
    }
}

/// The words of a claim or a setting, separated by commas or spaces. An HTTP API writes a claim that is an array as
/// `[a b]`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    list.split([',', ' ']).map(|word| word.trim().trim_matches('"')).filter(|word| !word.is_empty())
}

/// How to identify callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The claim that names a device, in a device's own token.
    pub device: String,
    /// The claim that names facilities: those of an app, or the one of a device.
    pub facilities: String,
    /// The claim that shows that a token is an app's.
    pub app: String,
    /// What that claim must contain: a scope or a role.
    pub app_role: String,
    /// The facilities of callers that sign with IAM.
    pub iam: Facilities,
}

/// A caller that the API authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// In what right it speaks, and for which devices.
    pub right: Right,
    /// The token's subject, or the ARN of the identity that signed.
    pub id: String,
}

/// In what right a caller speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// A device, which sends only for itself.
    Device {
        /// Its id.
        device_id: String,
        /// Its facility.
        facility: String,
    },
    /// An app, which sends for the devices of its facilities.
    App(Facilities),
    /// A caller that signs with IAM, which sends for the devices of its facilities.
    Iam(Facilities),
}

impl Caller {
    /// The caller as a sender of messages.
    pub fn sender(&self) -> Sender<'_> {
        let role = match self.right {
            Right::Device { .. } => Role::Device,
            Right::App(_) => Role::App,
            Right::Iam(_) => Role::Iam,
        };
        Sender { role, id: &self.id }
    }
}

/// Why a caller cannot be identified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The API has no authorizer, or the authorizer found nothing. The function does not serve anonymous callers.
    #[error("no authorizer identified the caller: the API must have an authorizer")]
    Unauthenticated,
    /// The token has a device claim that names no device. It is not taken for an app's.
    #[error("the claim {claim} of the token names no device: {problem}")]
    NoDevice {
        /// The device claim.
        claim: String,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// The token names no device, and does not say that it is an app's.
    #[error(
        "the token has no claim {device}, and its claim {app} does not contain {role}, so it is neither a device's nor an app's"
    )]
    NoRole {
        /// The device claim.
        device: String,
        /// The claim that shows that a token is an app's.
        app: String,
        /// What that claim must contain.
        role: String,
    },
    /// The token of an app names no facilities.
    #[error("the token has no claim {0}")]
    NoClaim(String),
    /// A device's token names no facility, or several.
    #[error("the token of a device must name one facility, in the claim {0}")]
    NoFacility(String),
}

impl Claims {
    /// Identifies the caller by the result of the API's authorizer.
    pub fn caller(&self, authorizer: Option<&Authorizer>) -> Result<Caller, CallerError> {
        let authorizer = authorizer.ok_or(CallerError::Unauthenticated)?;
        let Some(jwt) = &authorizer.jwt else {
            let arn = authorizer.signer().ok_or(CallerError::Unauthenticated)?;
            return Ok(Caller { right: Right::Iam(self.iam.clone()), id: arn.to_owned() });
        };
        Ok(Caller { right: self.right(jwt)?, id: jwt.subject().to_owned() })
    }

    /// In what right the bearer of a token speaks.
    fn right(&self, jwt: &Jwt) -> Result<Right, CallerError> {
        let facilities = facilities(jwt, &self.facilities);
        if let Some(device) = jwt.claims.get(&self.device) {
            let device_id = device.as_str().ok_or("it is not a text").and_then(|id| topic_level(id).map(|()| id));
            let device_id =
                device_id.map_err(|problem| CallerError::NoDevice { claim: self.device.clone(), problem })?;
            let facility = facilities.as_ref().and_then(Facilities::only).map(str::to_owned);
            let facility = facility.ok_or_else(|| CallerError::NoFacility(self.facilities.clone()))?;
            return Ok(Right::Device { device_id: device_id.to_owned(), facility });
        }
        if !jwt.text(&self.app).is_some_and(|roles| words(&roles).any(|role| role == self.app_role)) {
            let [device, app, role] = [&self.device, &self.app, &self.app_role].map(Clone::clone);
            return Err(CallerError::NoRole { device, app, role });
        }
        facilities.map(Right::App).ok_or_else(|| CallerError::NoClaim(self.facilities.clone()))
    }
}

/// The facilities that a claim names; `None` without the claim. A claim is a list of names: only the operator's setting can mean
/// all facilities.
pub(super) fn facilities(jwt: &Jwt, claim: &str) -> Option<Facilities> {
    jwt.text(claim).map(|names| match Facilities::parse(&names) {
        Facilities::All => Facilities::Some(BTreeSet::new()),
        some @ Facilities::Some(_) => some,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn caller(authorizer: &Value) -> Result<Caller, CallerError> {
        let claims = Claims {
            device: "device_id".to_owned(),
            facilities: "facilities".to_owned(),
            app: "scope".to_owned(),
            app_role: "myaku/app".to_owned(),
            iam: Facilities::parse("home-1, home-2"),
        };
        claims.caller(serde_json::from_value::<Option<Authorizer>>(authorizer.clone()).unwrap().as_ref())
    }

    fn some(names: &[&str]) -> Facilities {
        Facilities::Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The right of a token with these claims, and its subject.
    fn token(claims: &Value) -> Result<Right, CallerError> {
        caller(&json!({"jwt": {"claims": claims, "scopes": null}})).map(|caller| caller.right)
    }

    #[test]
    fn a_token_is_an_apps_only_if_it_says_so() {
        let app = |facilities: Value| token(&json!({"facilities": facilities, "scope": "openid myaku/app"}));
        assert_eq!(app(json!("home-3")), Ok(Right::App(some(&["home-3"]))));
        assert_eq!(app(json!("[home-3 home-4]")), Ok(Right::App(some(&["home-3", "home-4"]))));
        assert_eq!(app(json!(["home-3", "home-4"])), Ok(Right::App(some(&["home-3", "home-4"]))));
        assert_eq!(app(json!("*")), Ok(Right::App(some(&[]))), "a claim is a list of names");
        assert_eq!(app(Value::Null), Err(CallerError::NoClaim("facilities".to_owned())));

        for scope in [json!("openid"), json!("myaku/apps"), json!(""), json!(true), Value::Null] {
            let denied = token(&json!({"facilities": "home-3", "scope": scope})).unwrap_err();
            assert!(matches!(denied, CallerError::NoRole { .. }), "{scope}: {denied}");
        }
        assert!(matches!(token(&json!({"facilities": "home-3"})), Err(CallerError::NoRole { .. })));
        for scope in [json!("[openid myaku/app]"), json!(["myaku/app"]), json!("myaku/app,openid")] {
            assert!(token(&json!({"facilities": "home-3", "scope": scope})).is_ok(), "{scope}");
        }
    }

    #[test]
    fn a_token_with_a_device_claim_is_never_an_apps() {
        let device = |device: Value, facilities: &str| {
            token(&json!({"device_id": device, "facilities": facilities, "scope": "myaku/app"}))
        };
        let bed = Right::Device { device_id: "bed-17".to_owned(), facility: "home-3".to_owned() };
        assert_eq!(device(json!("bed-17"), "home-3"), Ok(bed));
        for facilities in ["[home-3 home-4]", "", "*"] {
            let denied = device(json!("bed-17"), facilities);
            assert_eq!(denied, Err(CallerError::NoFacility("facilities".to_owned())), "{facilities}");
        }
        for unusable in
            [json!(""), json!("a/b"), json!("#"), json!("x".repeat(129)), json!(17), json!(["bed-17"]), Value::Null]
        {
            let denied = device(unusable.clone(), "home-3").unwrap_err();
            assert!(matches!(denied, CallerError::NoDevice { .. }), "{unusable}: {denied}");
        }
    }

    #[test]
    fn a_caller_sends_under_its_subject_or_its_arn() {
        let sender = |authorizer: Value| caller(&authorizer).unwrap().sender().to_string();
        let token = |claims: Value| sender(json!({"jwt": {"claims": claims}}));
        assert_eq!(token(json!({"sub": "s-1", "device_id": "bed-17", "facilities": "home-3"})), "device:s-1");
        assert_eq!(token(json!({"sub": "alice", "facilities": "home-3", "scope": "myaku/app"})), "app:alice");
        assert_eq!(token(json!({"client_id": "erp", "facilities": "home-3", "scope": "myaku/app"})), "app:erp");
        let arn = "arn:aws:iam::123456789012:user/app";
        assert_eq!(sender(json!({"iam": {"userArn": arn}})), format!("iam:{arn}"));
        let signed = caller(&json!({"iam": {"userArn": arn}})).unwrap();
        assert_eq!(signed.right, Right::Iam(some(&["home-1", "home-2"])));
    }

    #[test]
    fn without_an_authorizer_there_is_no_caller() {
        for unauthenticated in
            [json!(null), json!({}), json!({"iam": null}), json!({"lambda": {"facilities": "home-3"}})]
        {
            assert_eq!(caller(&unauthenticated), Err(CallerError::Unauthenticated), "{unauthenticated}");
        }
    }
}
