//! Identifies who reads: a person or an app, with a role, in some facilities. Pure.

use super::caller::{Facilities, facilities, words};
use super::event::Authorizer;

/// What a reader may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReaderRole {
    /// Read.
    Viewer,
    /// Acknowledge alerts as well.
    Operator,
    /// All that readers can do, and in all facilities if the token names none.
    Admin,
}

impl ReaderRole {
    /// The name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A reader that the API authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The token's subject, or the ARN of the identity that signed.
    pub id: String,
    /// What it may do.
    pub role: ReaderRole,
    /// Where. What is elsewhere does not exist for it.
    pub facilities: Facilities,
}

/// How to identify readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderClaims {
    /// The claim that names a device, in a device's own token: such a token reads nothing.
    pub device: String,
    /// The claim that names facilities.
    pub facilities: String,
    /// The claim that has the role.
    pub role: String,
    /// What that claim must contain, for each role: a scope or a role.
    pub roles: [(ReaderRole, String); 3],
    /// The facilities that callers that sign with IAM read. IAM itself decides which routes they may call, so they are admins there.
    pub iam: Facilities,
}

/// Why a caller is not a reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderError {
    /// The API has no authorizer, or the authorizer found nothing. The function does not serve anonymous callers.
    #[error("no authorizer identified the caller: the API must have an authorizer")]
    Unauthenticated,
    /// The token is a device's own.
    #[error("the token has the claim {0}, so it is a device's own, and devices do not read")]
    Device(String),
    /// The token has no role of a reader.
    #[error("the claim {claim} of the token has none of these: {roles}")]
    NoRole {
        /// The claim that has the role.
        claim: String,
        /// What it may contain.
        roles: String,
    },
    /// The token names no facilities, and only an admin's may do that.
    #[error("the token has no claim {0} that names facilities")]
    NoFacilities(String),
}

impl ReaderClaims {
    /// Identifies the reader by the result of the API's authorizer. A token with several roles has the greatest.
    pub fn reader(&self, authorizer: Option<&Authorizer>) -> Result<Reader, ReaderError> {
        let authorizer = authorizer.ok_or(ReaderError::Unauthenticated)?;
        let Some(jwt) = &authorizer.jwt else {
            let arn = authorizer.signer().ok_or(ReaderError::Unauthenticated)?;
            return Ok(Reader { id: arn.to_owned(), role: ReaderRole::Admin, facilities: self.iam.clone() });
        };
        if jwt.claims.contains_key(&self.device) {
            return Err(ReaderError::Device(self.device.clone()));
        }
        let granted = jwt.text(&self.role).unwrap_or_default();
        let has = |name: &str| words(&granted).any(|word| word == name);
        let role = self.roles.iter().filter(|(_, name)| has(name)).map(|(role, _)| *role).max();
        let role = role.ok_or_else(|| ReaderError::NoRole {
            claim: self.role.clone(),
            roles: self.roles.each_ref().map(|(_, name)| name.as_str()).join(", "),
        })?;
        let facilities = match (facilities(jwt, &self.facilities), role) {
            (Some(named), _) => named,
            // A claim of another kind is not a missing one.
            (None, ReaderRole::Admin) if !jwt.claims.contains_key(&self.facilities) => Facilities::All,
            (None, _) => return Err(ReaderError::NoFacilities(self.facilities.clone())),
        };
        Ok(Reader { id: jwt.subject().to_owned(), role, facilities })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reader(authorizer: &Value) -> Result<Reader, ReaderError> {
        let claims = ReaderClaims {
            device: "device_id".to_owned(),
            facilities: "facilities".to_owned(),
            role: "scope".to_owned(),
            roles: [
                (ReaderRole::Viewer, "myaku/viewer".to_owned()),
                (ReaderRole::Operator, "myaku/operator".to_owned()),
                (ReaderRole::Admin, "myaku/admin".to_owned()),
            ],
            iam: Facilities::parse("home-1"),
        };
        claims.reader(serde_json::from_value::<Option<Authorizer>>(authorizer.clone()).unwrap().as_ref())
    }

    fn token(claims: &Value) -> Result<(ReaderRole, Facilities), ReaderError> {
        reader(&json!({"jwt": {"claims": claims}})).map(|reader| (reader.role, reader.facilities))
    }

    #[test]
    fn a_token_has_the_greatest_of_its_roles_in_the_facilities_that_it_names() {
        for (scope, role) in [
            ("myaku/viewer", ReaderRole::Viewer),
            ("openid myaku/operator myaku/viewer", ReaderRole::Operator),
            ("[myaku/viewer myaku/admin]", ReaderRole::Admin),
        ] {
            let found = token(&json!({"scope": scope, "facilities": "[home-3 home-4]"}));
            assert_eq!(found, Ok((role, Facilities::parse("home-3,home-4"))), "{scope}");
        }
        for facilities in [Value::Null, json!(3), json!(true), json!({"0": "home-3"})] {
            let denied = token(&json!({"scope": "myaku/admin", "facilities": facilities})).unwrap_err();
            assert!(matches!(denied, ReaderError::NoFacilities(_)), "{facilities}: {denied}");
        }
        for scope in [json!("myaku/app"), json!("myaku/viewers"), json!(""), json!(true), Value::Null] {
            let denied = token(&json!({"scope": scope, "facilities": "home-3"})).unwrap_err();
            assert!(matches!(denied, ReaderError::NoRole { .. }), "{scope}: {denied}");
        }
    }

    #[test]
    fn only_an_admin_may_leave_out_the_facilities_and_an_asterisk_is_not_all_of_them() {
        let of = |role: &str| token(&json!({"scope": format!("myaku/{role}")}));
        assert_eq!(of("admin"), Ok((ReaderRole::Admin, Facilities::All)));
        for role in ["viewer", "operator"] {
            assert_eq!(of(role), Err(ReaderError::NoFacilities("facilities".to_owned())), "{role}");
        }
        for role in ["viewer", "admin"] {
            let found = token(&json!({"scope": format!("myaku/{role}"), "facilities": "*"})).unwrap();
            assert_eq!(found.1, Facilities::Some([].into()), "{role}");
        }
    }

    #[test]
    fn a_devices_own_token_reads_nothing_whatever_its_role() {
        for device in [json!("bed-17"), json!(""), Value::Null] {
            let claims = json!({"device_id": device, "scope": "myaku/admin", "facilities": "home-3"});
            assert_eq!(token(&claims), Err(ReaderError::Device("device_id".to_owned())), "{device}");
        }
    }

    #[test]
    fn without_an_authorizer_there_is_no_reader_and_iams_callers_have_the_facilities_of_the_setting() {
        for unauthenticated in [json!(null), json!({}), json!({"iam": null})] {
            assert_eq!(reader(&unauthenticated), Err(ReaderError::Unauthenticated), "{unauthenticated}");
        }
        let arn = "arn:aws:iam::123456789012:user/app";
        let expected = Reader { id: arn.to_owned(), role: ReaderRole::Admin, facilities: Facilities::parse("home-1") };
        assert_eq!(reader(&json!({"iam": {"userArn": arn}})), Ok(expected));
    }
}
