//! Who calls, and for which devices they may speak. Pure.

use crate::event::Authorizer;
use serde_json::Value;
use std::collections::BTreeSet;

/// Facilities that a caller may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facilities {
    /// All of them.
    All,
    /// Just these.
    Some(BTreeSet<String>),
}

impl Facilities {
    /// Reads `*`, or names with commas or spaces between, as a setting or a claim has them. An HTTP API writes a
    /// claim that is an array as `[a b]`.
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

    /// The facility, if there is just one.
    pub fn only(&self) -> Option<&str> {
        match self {
            Self::Some(names) if names.len() == 1 => names.first().map(String::as_str),
            _ => None,
        }
    }
}

/// What tells callers apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The claim that names a device, in a device's own token.
    pub device: String,
    /// The claim that names facilities: those of an app, or where a device stands.
    pub facilities: String,
    /// What callers may speak for who sign with IAM.
    pub iam: Facilities,
}

/// A caller that the API let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A device, which speaks for itself only.
    Device {
        /// Its id.
        device_id: String,
        /// Where it stands.
        facility: String,
    },
    /// An app, which speaks for the devices of its facilities.
    App(Facilities),
}

/// Why nobody in particular calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The API has no authorizer, or it found nothing. The function does not serve whoever comes along.
    #[error("nobody vouches for the caller: the API must have an authorizer")]
    Nobody,
    /// A token that says nothing about devices or facilities.
    #[error("the token has no claim {0}")]
    NoClaim(String),
    /// A device's token that names no facility, or several.
    #[error("the token of a device must name one facility, in the claim {0}")]
    NoFacility(String),
}

impl Claims {
    /// Who calls.
    pub fn caller(&self, authorizer: Option<&Authorizer>) -> Result<Caller, Unknown> {
        let authorizer = authorizer.ok_or(Unknown::Nobody)?;
        let Some(jwt) = &authorizer.jwt else {
            let signed = authorizer.iam.as_ref().is_some_and(|iam| !iam.is_null());
            return if signed { Ok(Caller::App(self.iam.clone())) } else { Err(Unknown::Nobody) };
        };
        let text = |claim: &str| match jwt.claims.get(claim)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
            _ => None,
        };
        // A token's claim is a list of names: only the operator's setting can mean all of them.
        let facilities = text(&self.facilities).map(|names| match Facilities::parse(&names) {
            Facilities::All => Facilities::Some(BTreeSet::new()),
            some @ Facilities::Some(_) => some,
        });
        match (text(&self.device).filter(|device| !device.is_empty()), facilities) {
            (Some(device_id), facilities) => {
                let facility = facilities.as_ref().and_then(Facilities::only).map(str::to_owned);
                let facility = facility.ok_or_else(|| Unknown::NoFacility(self.facilities.clone()))?;
                Ok(Caller::Device { device_id, facility })
            }
            (None, Some(facilities)) => Ok(Caller::App(facilities)),
            (None, None) => Err(Unknown::NoClaim(self.facilities.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn caller(authorizer: &Value) -> Result<Caller, Unknown> {
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
    fn a_caller_is_who_the_authorizer_says_and_nobody_without_one() {
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
        assert_eq!(device("[home-3 home-4]"), Err(Unknown::NoFacility("facilities".to_owned())));

        assert_eq!(caller(&json!({"iam": {"userArn": "arn"}})), Ok(Caller::App(some(&["home-1", "home-2"]))));
        assert_eq!(caller(&json!({"jwt": {"claims": {"sub": "x"}}})), Err(Unknown::NoClaim("facilities".to_owned())));
        for nobody in [json!(null), json!({}), json!({"iam": null}), json!({"lambda": {"facilities": "home-3"}})] {
            assert_eq!(caller(&nobody), Err(Unknown::Nobody), "{nobody}");
        }
    }
}
