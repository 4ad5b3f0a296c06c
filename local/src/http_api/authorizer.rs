//! JWT authorizers: who may call a route, and what the function gets about the caller.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>

use crate::servers::issuer::{InvalidToken, Key};
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;

/// A JWT authorizer, with the scopes of a route.
#[derive(Clone)]
pub struct Authorizer {
    /// The issuer's key.
    pub key: Arc<Key>,
    /// The token's required issuer: `iss`.
    pub issuer: String,
    /// The token's audience must be one of these, in `aud`, or in `client_id` if there is no `aud`.
    pub audience: Vec<String>,
    /// One of these must be in `scope` or `scp`; empty if no scope is required.
    pub scopes: Vec<String>,
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, audience, scopes, .. } = self;
        f.debug_struct("Authorizer")
            .field("issuer", issuer)
            .field("audience", audience)
            .field("scopes", scopes)
            .finish()
    }
}

/// Why a request is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("Unauthorized")]
    NoToken,
    #[error("{0}")]
    Token(InvalidToken),
    #[error("{0}")]
    Claim(&'static str),
    /// The only reason that is answered with 403.
    #[error("insufficient scope")]
    Scope(String),
}

impl Denied {
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Scope(_))
    }

    /// The answer's `www-authenticate` header.
    pub(super) fn challenge(&self) -> String {
        let scopes = if let Self::Scope(scopes) = self { scopes.as_str() } else { "" };
        match self {
            Self::NoToken => "Bearer".to_owned(),
            Self::Scope(_) => format!(r#"Bearer scope="{scopes}" error="insufficient_scope""#),
            other => format!(r#"Bearer scope="" error="invalid_token" error_description="{other}""#),
        }
    }
}

impl Authorizer {
    /// Checks the caller's token, and returns what the function gets: `requestContext.authorizer`. `now_s` is in
    /// seconds since the epoch.
    pub(super) fn authorize(&self, authorization: Option<&str>, now_s: i64) -> Result<Value, Denied> {
        let header = authorization.map(str::trim).filter(|header| !header.is_empty()).ok_or(Denied::NoToken)?;
        // "Bearer " is optional.
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => header,
        };
        let claims = self.key.verify(token).map_err(Denied::Token)?;
        self.check(&claims, now_s)?;
        let granted = self.granted_scopes(&claims)?;
        let claims: Map<String, Value> =
            claims.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
        Ok(json!({ "jwt": { "claims": claims, "scopes": granted } }))
    }

    fn check(&self, claims: &Map<String, Value>, now_s: i64) -> Result<(), Denied> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(Denied::Claim("the token does not have a valid issuer"));
        }
        // "API Gateway validates client_id only if aud is not present."
        let audience = claims.get("aud").or_else(|| claims.get("client_id"));
        if !audience
            .is_some_and(|audience| texts(audience).any(|one| self.audience.iter().any(|required| required == one)))
        {
            return Err(Denied::Claim("the token does not have a valid audience"));
        }
        let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
        let now_s = now_s as f64;
        if seconds("exp").is_none_or(|expires| expires <= now_s) {
            return Err(Denied::Claim("the token has expired"));
        }
        if seconds("nbf").is_some_and(|begins| begins > now_s) || seconds("iat").is_some_and(|issued| issued > now_s) {
            return Err(Denied::Claim("the token is not valid yet"));
        }
        Ok(())
    }

    /// The route's scopes that the token has; null if the route requires none.
    fn granted_scopes(&self, claims: &Map<String, Value>) -> Result<Value, Denied> {
        if self.scopes.is_empty() {
            return Ok(Value::Null);
        }
        let scopes = claims.get("scope").or_else(|| claims.get("scp"));
        let has: Vec<&str> = scopes.into_iter().flat_map(texts).flat_map(str::split_whitespace).collect();
        let granted: Vec<&String> = self.scopes.iter().filter(|scope| has.contains(&scope.as_str())).collect();
        if granted.is_empty() { Err(Denied::Scope(self.scopes.join(" "))) } else { Ok(json!(granted)) }
    }
}

/// A claim's texts: one, or those of a list.
fn texts(claim: &Value) -> impl Iterator<Item = &str> {
    let list = claim.as_array().into_iter().flatten().filter_map(Value::as_str);
    claim.as_str().into_iter().chain(list)
}

/// A claim in the form that functions get: always a text; a list is `[a b]`.
fn text(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_795_218_892;

    fn authorizer(scopes: &[&str]) -> Authorizer {
        Authorizer {
            key: Arc::new(Key::new().unwrap()),
            issuer: "http://issuer".to_owned(),
            audience: vec!["myaku".to_owned()],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    /// Authorizes a token with valid claims, replaced by these; null removes a claim.
    fn authorize(authorizer: &Authorizer, claims: &Value) -> Result<Value, Denied> {
        let mut all = json!({ "iss": "http://issuer", "aud": "myaku", "exp": NOW_S + 60, "sub": "bed-17" });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let all: Map<String, Value> = all
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, it)| !it.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let token = authorizer.key.sign(&all).unwrap();
        authorizer.authorize(Some(&format!("Bearer {token}")), NOW_S)
    }

    #[test]
    fn a_function_gets_the_claims_as_texts() {
        let context = authorize(&authorizer(&[]), &json!({ "facilities": ["home-3", "home-4"], "ok": true })).unwrap();
        insta::assert_snapshot!(context, @r#"{"jwt":{"claims":{"aud":"myaku","exp":"1795218952","facilities":"[home-3 home-4]","iss":"http://issuer","ok":"true","sub":"bed-17"},"scopes":null}}"#);
    }

    /// "the token does not have a valid audience" is the documented example of a description.
    #[test]
    fn each_claim_that_api_gateway_checks_is_checked() {
        let authorizer = authorizer(&[]);
        for (claims, why) in [
            (json!({ "iss": "http://other" }), "the token does not have a valid issuer"),
            (json!({ "iss": null }), "the token does not have a valid issuer"),
            (json!({ "aud": ["other"] }), "the token does not have a valid audience"),
            (json!({ "aud": "other", "client_id": "myaku" }), "the token does not have a valid audience"),
            (json!({ "aud": null }), "the token does not have a valid audience"),
            (json!({ "exp": NOW_S }), "the token has expired"),
            (json!({ "exp": null }), "the token has expired"),
            (json!({ "nbf": NOW_S + 1 }), "the token is not valid yet"),
            (json!({ "iat": NOW_S + 1 }), "the token is not valid yet"),
        ] {
            let denied = authorize(&authorizer, &claims).unwrap_err();
            assert_eq!(denied, Denied::Claim(why), "{claims}");
            let challenge = format!(r#"Bearer scope="" error="invalid_token" error_description="{why}""#);
            assert_eq!((denied.challenge(), denied.is_forbidden()), (challenge, false));
        }
        for claims in [json!({ "aud": ["other", "myaku"] }), json!({ "aud": null, "client_id": "myaku" })] {
            assert!(authorize(&authorizer, &claims).is_ok(), "{claims}");
        }
    }

    #[test]
    fn one_of_the_routes_scopes_is_required() {
        let authorizer = authorizer(&["send", "admin"]);
        let context = authorize(&authorizer, &json!({ "scope": "read send" })).unwrap();
        assert_eq!(context["jwt"]["scopes"], json!(["send"]));
        assert!(authorize(&authorizer, &json!({ "scp": ["admin"] })).is_ok());
        let denied = authorize(&authorizer, &json!({ "scope": "read" })).unwrap_err();
        assert!(denied.is_forbidden());
        assert_eq!(denied.challenge(), r#"Bearer scope="send admin" error="insufficient_scope""#);
    }

    #[test]
    fn a_request_without_a_valid_token_is_denied() {
        let authorizer = authorizer(&[]);
        assert_eq!(authorizer.authorize(None, NOW_S), Err(Denied::NoToken));
        assert_eq!(Denied::NoToken.challenge(), "Bearer");
        assert!(matches!(authorizer.authorize(Some("Basic abc"), NOW_S), Err(Denied::Token(InvalidToken::Malformed))));
    }
}
