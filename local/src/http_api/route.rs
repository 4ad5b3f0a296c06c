//! Route keys: `POST /v1/messages`, `ANY /things/{id}`, `GET /{proxy+}`, `$default`.

use std::collections::BTreeMap;
use std::fmt;

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteKey {
    text: String,
    /// None for `ANY`, and for `$default`.
    method: Option<String>,
    /// None for `$default`.
    path: Option<Vec<Segment>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `{name}`: one segment.
    Variable(String),
    /// `{name+}`: all that follow, at least one.
    Greedy(String),
}

/// A text that is no route key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} is no route: {problem}")]
pub struct RouteKeyError {
    key: String,
    problem: &'static str,
}

/// A route's claim to a request: the more specific one has it.
/// "1. Full match for a route and method. 2. Match for a route and method with a greedy path variable. 3. $default"
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// One number a segment, literals above variables above greedy ones; then whether the method is named.
    pub(super) rank: Vec<u8>,
    pub(super) parameters: BTreeMap<String, String>,
}

impl RouteKey {
    /// Reads `METHOD /path` or `$default`.
    pub fn parse(key: &str) -> Result<Self, RouteKeyError> {
        let wrong = |problem| RouteKeyError { key: key.to_owned(), problem };
        if key == "$default" {
            return Ok(Self { text: key.to_owned(), method: None, path: None });
        }
        let (method, path) = key.split_once(' ').ok_or_else(|| wrong("it must be a method and a path"))?;
        let path = path.strip_prefix('/').ok_or_else(|| wrong("its path must begin with /"))?;
        let method = method.to_ascii_uppercase();
        if !["ANY", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].contains(&method.as_str()) {
            return Err(wrong("there is no such method"));
        }
        let mut segments = Vec::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            segments.push(match variable {
                Some(name) => match name.strip_suffix('+') {
                    Some(_) if parts.peek().is_some() => return Err(wrong("a greedy variable must be its last part")),
                    Some(name) => Segment::Greedy(name.to_owned()),
                    None => Segment::Variable(name.to_owned()),
                },
                None if part.contains(['{', '}']) => return Err(wrong("a variable must be a part of its own")),
                None => Segment::Literal(part.to_owned()),
            });
        }
        let text = format!("{method} /{path}");
        Ok(Self { text, method: Some(method).filter(|method| method != "ANY"), path: Some(segments) })
    }

    /// How well the route suits a request; none if it does not.
    pub(super) fn matches(&self, method: &str, path: &str) -> Option<Match> {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return None;
        }
        let mut found = Match { rank: Vec::new(), parameters: BTreeMap::new() };
        let Some(segments) = &self.path else { return Some(found) };
        let mut rest = path.strip_prefix('/')?;
        for (index, segment) in segments.iter().enumerate() {
            let is_last = index + 1 == segments.len();
            let (part, behind) = match rest.split_once('/') {
                Some((part, behind)) => (part, Some(behind)),
                None => (rest, None),
            };
            match segment {
                Segment::Literal(literal) if literal == part => found.rank.push(3),
                Segment::Variable(name) if !part.is_empty() => {
                    found.rank.push(2);
                    found.parameters.insert(name.clone(), part.to_owned());
                }
                Segment::Greedy(name) if !rest.is_empty() => {
                    found.rank.push(1);
                    found.parameters.insert(name.clone(), rest.to_owned());
                    break;
                }
                _ => return None,
            }
            match behind {
                Some(behind) if !is_last => rest = behind,
                None if is_last => {}
                _ => return None,
            }
        }
        found.rank.push(u8::from(self.method.is_some()));
        Some(found)
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The route of some that takes a request.
    fn chosen<'a>(keys: &[&'a str], method: &str, path: &str) -> Option<&'a str> {
        let matches =
            keys.iter().filter_map(|key| Some((RouteKey::parse(key).unwrap().matches(method, path)?.rank, *key)));
        matches.max().map(|(_, key)| key)
    }

    #[test]
    fn the_most_specific_route_has_the_request() {
        let keys = ["$default", "GET /{proxy+}", "ANY /things/{id}", "GET /things/{id}", "GET /things/all", "POST /"];
        assert_eq!(chosen(&keys, "GET", "/things/all"), Some("GET /things/all"));
        assert_eq!(chosen(&keys, "GET", "/things/7"), Some("GET /things/{id}"));
        assert_eq!(chosen(&keys, "PUT", "/things/7"), Some("ANY /things/{id}"));
        assert_eq!(chosen(&keys, "GET", "/things/7/parts"), Some("GET /{proxy+}"));
        assert_eq!(chosen(&keys, "PUT", "/other"), Some("$default"));
        assert_eq!(chosen(&keys, "POST", "/"), Some("POST /"));
        assert_eq!(chosen(&keys[3..], "POST", "/things/7"), None);
        assert_eq!(chosen(&keys[3..], "GET", "/things/7/"), None);
    }

    #[test]
    fn variables_are_told() {
        let key = RouteKey::parse("GET /a/{one}/{rest+}").unwrap();
        let parameters = key.matches("GET", "/a/1/2/3").unwrap().parameters;
        assert_eq!((parameters["one"].as_str(), parameters["rest"].as_str()), ("1", "2/3"));
    }

    #[test]
    fn what_is_no_route_is_told() {
        for wrong in ["GET", "GET things", "LOOK /", "GET /{all+}/x", "GET /a{b}"] {
            assert!(RouteKey::parse(wrong).is_err(), "{wrong}");
        }
    }
}
