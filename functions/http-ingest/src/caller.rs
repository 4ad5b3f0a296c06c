//! Identifies the caller of a request, and the devices that it may send for. Pure.

use crate::event::Authorizer;
use serde_json::Value;
use std::collections::BTreeSet;

/// The facilities that a caller may send for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facilities {
    /// All of them.
    All,
    /// Only these.
    Some(BTreeSet<String>),
}

impl Facilities {
    /// Parses `*`, or names separated by commas or spaces, from a setting or a claim. An HTTP API writes a claim that
    /// is an array as `[a b]`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text == "*" {
            return Self::All;
        }
        let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let names = list.split([',', ' ']).map(|name| name.trim().trim_matches('"'));
        Self::Some(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
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

/// How to identify callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The claim that names a device, in a device's own token.
    pub device: String,
    /// The claim that names facilities: those of an app, or the one of a device.
    pub facilities: String,
    /// The facilities of callers that sign with IAM.
    pub iam: Facilities,
}

/// A caller that the API authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A device, which sends only for itself.
    Device {
        /// Its id.
        device_id: String,
        /// Its facility.
        facility: String,
    },
    /// An app, which sends for the devices of its facilities.
    App(Facilities),
}

/// Why a caller cannot be identified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The API has no authorizer, or the authorizer found nothing. The function does not serve anonymous callers.
    #[error("no authorizer identified the caller: the API must have an authorizer")]
    Unauthenticated,
    /// The token names neither a device nor facilities.
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
            let signed = authorizer.iam.as_ref().is_some_and(|iam| !iam.is_null());
            return if signed { Ok(Caller::App(self.iam.clone())) } else { Err(CallerError::Unauthenticated) };
        };
        let text = |claim: &str| match jwt.claims.get(claim)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
            _ => None,
        };
        // A claim is a list of names. Only the operator's setting can mean all facilities.
        let facilities = text(&self.facilities).map(|names| match Facilities::parse(&names) {
            Facilities::All => Facilities::Some(BTreeSet::new()),
            some @ Facilities::Some(_) => some,
        });
        match (text(&self.device).filter(|device| !device.is_empty()), facilities) {
            (Some(device_id), facilities) => {
                let facility = facilities.as_ref().and_then(Facilities::only).map(str::to_owned);
                let facility = facility.ok_or_else(|| CallerError::NoFacility(self.facilities.clone()))?;
                Ok(Caller::Device { device_id, facility })
            }
            (None, Some(facilities)) => Ok(Caller::App(facilities)),
            (None, None) => Err(CallerError::NoClaim(self.facilities.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn caller(authorizer: &Value) -> Result<Caller, CallerError> {
        let claims = Claims {
            device: "device_id".to_owned(),
            facilities: "facilities".to_owned(),
            iam: Facilities::parse("home-1, home-2"),
        };
        claims.caller(serde_json::from_value::<Option<Authorizer>>(authorizer.clone()).unwrap().as_ref())
    }

    fn some(names: &[&str]) -> Facilities {
        Facilities::Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_authorizer_identifies_the_caller() {
        let app = |facilities: Value| caller(&json!({"jwt": {"claims": {"facilities": facilities}}}));
        assert_eq!(app(json!("home-3")), Ok(Caller::App(some(&["home-3"]))));
        assert_eq!(app(json!("[home-3 home-4]")), Ok(Caller::App(some(&["home-3", "home-4"]))));
        assert_eq!(app(json!(["home-3", "home-4"])), Ok(Caller::App(some(&["home-3", "home-4"]))));
        assert_eq!(app(json!("*")), Ok(Caller::App(some(&[]))), "a claim is a list of names");

        let device = |facilities: &str| {
            caller(&json!({"jwt": {"claims": {"device_id": "bed-17", "facilities": facilities}, "scopes": null}}))
        };
        let bed = Caller::Device { device_id: "bed-17".to_owned(), facility: "home-3".to_owned() };
        assert_eq!(device("home-3"), Ok(bed));
        assert_eq!(device("[home-3 home-4]"), Err(CallerError::NoFacility("facilities".to_owned())));

        assert_eq!(caller(&json!({"iam": {"userArn": "arn"}})), Ok(Caller::App(some(&["home-1", "home-2"]))));
        assert_eq!(
            caller(&json!({"jwt": {"claims": {"sub": "x"}}})),
            Err(CallerError::NoClaim("facilities".to_owned()))
        );
        for unauthenticated in
            [json!(null), json!({}), json!({"iam": null}), json!({"lambda": {"facilities": "home-3"}})]
        {
            assert_eq!(caller(&unauthenticated), Err(CallerError::Unauthenticated), "{unauthenticated}");
        }
    }
}
