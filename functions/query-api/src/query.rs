//! The parameters of a query, read strictly: an unknown or a repeated one is an error that names it.

use crate::answer::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The longest cursor, in bytes: two ids of 128 and a number, in base64.
const CURSOR_MAX: usize = 512;

/// The parameters of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads a query string whose parameters are among `known`. A parameter without a value counts as missing.
    pub(crate) fn parse(text: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::field(name, format!("the parameter is not known here; these are: {known}")));
            }
            if !value.is_empty() && parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::field(name, "the parameter occurs more than once"));
            }
        }
        Ok(Self(parameters))
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name).ok_or_else(|| Problem::field(name, "the parameter is missing"))
    }

    /// A whole number within a range.
    pub(crate) fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let problem = || format!("it must be a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| Problem::field(name, problem()))
    }

    /// `limit`: how many items a list may have.
    pub(crate) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        Ok(self.integer("limit", 1..=max as i64)?.map_or(default, |limit| limit as usize))
    }

    /// One of some words.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| Problem::field(name, format!("it must be one of {}", known())))
    }

    /// `cursor`: a place in a list, as [`cursor`] wrote it. It only says where to go on: what the reader may see is decided for each
    /// row, so a cursor that someone made up shows nothing else.
    pub(crate) fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        // A longer one names something longer than any id.
        let found = if text.len() <= CURSOR_MAX { place(text) } else { None };
        found.map(Some).ok_or_else(|| Problem::field("cursor", "it is not a cursor of this list: begin without one"))
    }
}

/// The cursor of a place in a list.
pub(crate) fn cursor(place: &impl Serialize) -> String {
    // Serializing cannot fail: places have only texts and numbers.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// Reads what [`cursor`] wrote; `None` if it is something else.
pub(crate) fn place<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        let body = crate::answer::response(&myaku::http::Request::default(), Err(result.unwrap_err())).body;
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn unknown_repeated_and_wrong_parameters_are_named() {
        let known = ["limit", "q", "cursor", "status"];
        for (text, name) in [("limits=1", "limits"), ("q=a&q=b", "q"), ("%71=a&r=b", "r")] {
            assert_eq!(field_of(Query::parse(text, &known)), name, "{text}");
        }
        let query = Query::parse("limit=0&q=&cursor=%21&status=up", &known).unwrap();
        assert_eq!(query.text("q"), None, "an empty one counts as missing");
        assert_eq!(field_of(query.limit(50, 200)), "limit");
        assert_eq!(field_of(query.required("q")), "q");
        assert_eq!(field_of(query.cursor::<(String, i64)>()), "cursor");
        assert_eq!(field_of(query.one_of("status", &[("connected", 1)])), "status");
        assert_eq!(Query::default().limit(50, 200), Ok(50));
    }

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let place = ("home 3&ü".to_owned(), 17);
        let query = Query::parse(&format!("cursor={}", cursor(&place)), &["cursor"]).unwrap();
        assert_eq!(query.cursor(), Ok(Some(place)));
    }
}
