//! Route keys: `POST /v1/messages`, `ANY /things/{id}`, `GET /{proxy+}`, `$default`.

use std::collections::BTreeMap;
use std::fmt;

/// The requests that a route accepts: a method and a path.
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
    /// `{name+}`: all remaining segments, at least one.
    Greedy(String),
}

/// Why a text is not a route key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} is not a route key: {problem}")]
pub struct RouteKeyError {
    key: String,
    problem: &'static str,
}

/// How a route matches a request. The most specific route gets the request.
/// A full match comes first, then a match with a greedy variable, and `$default` last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// One number for each segment: literals rank above variables, and those above greedy variables. The last number
    /// says whether the key names the method.
    pub(super) rank: Vec<u8>,
    pub(super) parameters: BTreeMap<String, String>,
}

impl RouteKey {
    /// Parses `METHOD /path` or `$default`.
    pub fn parse(key: &str) -> Result<Self, RouteKeyError> {
        let wrong = |problem| RouteKeyError { key: key.to_owned(), problem };
        if key == "$default" {
            return Ok(Self { text: key.to_owned(), method: None, path: None });
        }
        let (method, path) =
            key.split_once(' ').ok_or_else(|| wrong("it must have a method and a path, or be $default"))?;
        let path = path.strip_prefix('/').ok_or_else(|| wrong("the path must begin with /"))?;
        let method = method.to_ascii_uppercase();
        if !["ANY", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].contains(&method.as_str()) {
            return Err(wrong("the method does not exist"));
        }
        let mut segments = Vec::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            segments.push(match variable {
                Some(name) => match name.strip_suffix('+') {
                    Some(_) if parts.peek().is_some() => {
                        return Err(wrong("a greedy variable must be the last segment"));
                    }
                    Some(name) => Segment::Greedy(name.to_owned()),
                    None => Segment::Variable(name.to_owned()),
                },
                None if part.contains(['{', '}']) => return Err(wrong("a variable must be a whole segment")),
                None => Segment::Literal(part.to_owned()),
            });
        }
        let text = format!("{method} /{path}");
        Ok(Self { text, method: Some(method).filter(|method| method != "ANY"), path: Some(segments) })
    }

    /// How the route matches a request; none if it does not.
    pub(super) fn matches(&self, method: &str, path: &str) -> Option<Match> {
        if self.method.as_ref().is_some_and(|required| required != method) {
            return None;
        }
        let mut found = Match { rank: Vec::new(), parameters: BTreeMap::new() };
        let Some(segments) = &self.path else { return Some(found) };
        let mut rest = path.strip_prefix('/')?;
        for (index, segment) in segments.iter().enumerate() {
            let is_last = index + 1 == segments.len();
            let (part, remaining) = match rest.split_once('/') {
                Some((part, remaining)) => (part, Some(remaining)),
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
            match remaining {
                Some(remaining) if !is_last => rest = remaining,
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

    /// The key of the route that gets a request.
    fn choose<'a>(keys: &[&'a str], method: &str, path: &str) -> Option<&'a str> {
        let matches =
            keys.iter().filter_map(|key| Some((RouteKey::parse(key).unwrap().matches(method, path)?.rank, *key)));
        matches.max().map(|(_, key)| key)
    }

    #[test]
    fn the_most_specific_route_gets_the_request() {
        let keys = ["$default", "GET /{proxy+}", "ANY /things/{id}", "GET /things/{id}", "GET /things/all", "POST /"];
        assert_eq!(choose(&keys, "GET", "/things/all"), Some("GET /things/all"));
        assert_eq!(choose(&keys, "GET", "/things/7"), Some("GET /things/{id}"));
        assert_eq!(choose(&keys, "PUT", "/things/7"), Some("ANY /things/{id}"));
        assert_eq!(choose(&keys, "GET", "/things/7/parts"), Some("GET /{proxy+}"));
        assert_eq!(choose(&keys, "PUT", "/other"), Some("$default"));
        assert_eq!(choose(&keys, "POST", "/"), Some("POST /"));
        assert_eq!(choose(&keys[3..], "POST", "/things/7"), None);
        assert_eq!(choose(&keys[3..], "GET", "/things/7/"), None);
    }

    #[test]
    fn variables_become_parameters() {
        let key = RouteKey::parse("GET /a/{one}/{rest+}").unwrap();
        let parameters = key.matches("GET", "/a/1/2/3").unwrap().parameters;
        assert_eq!((parameters["one"].as_str(), parameters["rest"].as_str()), ("1", "2/3"));
    }

    #[test]
    fn an_invalid_route_key_is_an_error() {
        for wrong in ["GET", "GET things", "LOOK /", "GET /{all+}/x", "GET /a{b}"] {
            assert!(RouteKey::parse(wrong).is_err(), "{wrong}");
        }
    }
}
