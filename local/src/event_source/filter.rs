//! Filter criteria: select the records that a mapping delivers. A record that matches no pattern counts as processed.

mod error;
mod pattern;

pub use error::FilterError;

use error::PATTERNS_MAX;
use myaku::stream::batch::StreamRecord;
use pattern::Pattern;
use serde_json::Value;

/// Patterns. A record must match at least one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Vec<RecordPattern>);

#[derive(Clone, Debug, PartialEq)]
struct RecordPattern {
    /// On `partitionKey`, the only metadata field on which a filter is useful.
    partition_key: Option<Pattern>,
    data: Option<Pattern>,
}

impl Filter {
    /// Parses the `Pattern` strings of `FilterCriteria`.
    ///
    /// ```
    /// use myaku_local::event_source::Filter;
    /// assert!(Filter::new(&[r#"{"data": {"kind": ["vital"]}}"#]).is_ok());
    /// let error = Filter::new(&[r#"{"data": {"kind": "vital"}}"#]).unwrap_err();
    /// assert_eq!(error.to_string(), "filter pattern at data.kind: expected a list of rules or an object");
    /// ```
    pub fn new<T: AsRef<str>>(patterns: &[T]) -> Result<Self, FilterError> {
        if !(1..=PATTERNS_MAX).contains(&patterns.len()) {
            return Err(FilterError::Number(patterns.len()));
        }
        patterns.iter().map(|text| RecordPattern::parse(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a record is delivered.
    pub fn matches(&self, record: &StreamRecord) -> bool {
        let mut data: Option<Option<Value>> = None;
        self.0.iter().any(|pattern| {
            let key = Value::from(&*record.partition_key);
            pattern.partition_key.as_ref().is_none_or(|pattern| pattern.matches(Some(&key)))
                && pattern.data.as_ref().is_none_or(|pattern| {
                    // Parsed once, and only if a pattern needs it. Data that is not JSON matches no pattern.
                    let data = data.get_or_insert_with(|| serde_json::from_slice(&record.data).ok());
                    data.as_ref().is_some_and(|data| pattern.matches(Some(data)))
                })
        })
    }
}

impl RecordPattern {
    fn parse(text: &str) -> Result<Self, FilterError> {
        let value =
            serde_json::from_str(text).map_err(|source| FilterError::NotJson { pattern: text.to_owned(), source })?;
        let Value::Object(fields) = value else { return Err(FilterError::invalid("", "expected an object")) };
        let mut parsed = Self { partition_key: None, data: None };
        for (name, rules) in &fields {
            match name.as_str() {
                "data" if !rules.is_object() => {
                    return Err(FilterError::invalid("data", "the pattern must be in valid JSON format"));
                }
                "data" => parsed.data = Some(Pattern::parse("data", rules)?),
                "partitionKey" => parsed.partition_key = Some(Pattern::parse("partitionKey", rules)?),
                other => return Err(FilterError::invalid(other, "Kinesis mappings filter on data and partitionKey")),
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, data: &str) -> bool {
        let record = StreamRecord {
            sequence: "1".parse().unwrap(),
            partition_key: "bed-17".into(),
            arrived_ms: 0,
            data: data.as_bytes().to_vec().into(),
        };
        Filter::new(&[pattern]).unwrap().matches(&record)
    }

    fn on_data(rules: &str, value: &str) -> bool {
        matches(&format!(r#"{{"data":{{"x":{rules}}}}}"#), &format!(r#"{{"x":{value}}}"#))
    }

    /// The documentation's table of comparison operators: Null, Empty, Equals, Or, Not, Numeric, Exists, Begins with,
    /// Ends with.
    #[test]
    fn each_operator_matches_what_its_row_in_the_documentation_says() {
        for (rules, yes, no) in [
            ("[null]", "null", "\"\""),
            (r#"[""]"#, r#""""#, "null"),
            (r#"["Alice"]"#, r#""Alice""#, r#""alice""#),
            (r#"["Credit","Debit"]"#, r#""Debit""#, r#""Cash""#),
            (r#"[{"equals-ignore-case":"alice"}]"#, r#""ALICE""#, r#""Bob""#),
            (r#"[{"anything-but":["Raining"]}]"#, r#""Sunny""#, r#""Raining""#),
            (r#"[{"anything-but":5}]"#, "6", "5"),
            (r#"[{"anything-but":{"prefix":"us-"}}]"#, r#""eu-1""#, r#""us-1""#),
            (r#"[{"numeric":["=",100]}]"#, "1e2", "99"),
            (r#"[{"numeric":[">",10,"<=",20]}]"#, "20", "10"),
            (r#"[{"prefix":"us-"}]"#, r#""us-1""#, r#""eu-1""#),
            (r#"[{"suffix":".png"}]"#, r#""a.png""#, r#""a.jpg""#),
            ("[true]", "true", "false"),
            ("[1]", "1", "2"),
        ] {
            assert!(on_data(rules, yes), "{rules} should match {yes}");
            assert!(!on_data(rules, no), "{rules} should not match {no}");
        }
    }

    /// "300, 300.0, and 3.0e2 are not considered equal."
    #[test]
    fn numbers_are_equal_only_if_they_are_written_alike() {
        assert!(!on_data("[300]", "300.0"));
    }

    /// "For Lambda to consider the event a match, the event must contain all the field names included in a filter."
    #[test]
    fn a_missing_field_matches_only_exists_false() {
        assert!(!matches(r#"{"data":{"y":[{"anything-but":"a"}]}}"#, r#"{"x":1}"#));
        assert!(matches(r#"{"data":{"y":[{"exists":false}]}}"#, r#"{"x":1}"#));
        assert!(!matches(r#"{"data":{"y":[{"exists":false}]}}"#, r#"{"y":1}"#));
        assert!(matches(r#"{"data":{"a":{"b":[{"exists":true}]}}}"#, r#"{"a":{"b":null}}"#));
    }

    #[test]
    fn all_fields_must_match_and_one_alternative_of_or_is_enough() {
        assert!(!matches(r#"{"data":{"a":[1],"b":[2]}}"#, r#"{"a":1,"b":3}"#));
        let either = r#"{"data":{"$or":[{"a":[1]},{"b":[2]}]}}"#;
        assert!(matches(either, r#"{"a":9,"b":2}"#));
        assert!(!matches(either, r#"{"a":9,"b":9}"#));
    }

    #[test]
    fn an_array_matches_if_one_of_its_elements_does() {
        assert!(on_data(r#"["b"]"#, r#"["a","b"]"#));
        assert!(!on_data(r#"["c"]"#, r#"["a","b"]"#));
    }

    /// "Non-JSON | Valid JSON | Lambda drops the record." and "Non-JSON | No filter pattern for data properties |
    /// Lambda filters (on the other metadata properties only)".
    #[test]
    fn only_a_pattern_on_data_drops_data_that_is_not_json() {
        assert!(!matches(r#"{"data":{"x":[{"exists":false}]}}"#, "not JSON"));
        assert!(matches(r#"{"partitionKey":[{"prefix":"bed-"}]}"#, "not JSON"));
        assert!(!matches(r#"{"partitionKey":["bed-1"]}"#, "not JSON"));
    }

    /// "If a record from your event source satisfies one or more of your filters, Lambda includes the record".
    #[test]
    fn one_of_several_patterns_is_enough() {
        let filter = Filter::new(&[r#"{"data":{"x":[1]}}"#, r#"{"partitionKey":["k"]}"#]).unwrap();
        let record = |data: &[u8]| StreamRecord {
            sequence: "1".parse().unwrap(),
            partition_key: "k".into(),
            arrived_ms: 0,
            data: data.to_vec().into(),
        };
        assert!(filter.matches(&record(b"not JSON")));
    }

    /// "Lambda throws an exception at the time of the event source mapping creation or update."
    #[test]
    fn an_invalid_pattern_is_refused_with_the_path_of_its_error() {
        for (pattern, message) in [
            (r#"{"data":["x"]}"#, "filter pattern at data: the pattern must be in valid JSON format"),
            (r#"{"data":{"x":[{"regex":"a"}]}}"#, "filter pattern at data.x: unknown operator regex"),
            (
                r#"{"data":{"x":[{"numeric":["~",1]}]}}"#,
                "filter pattern at data.x: numeric needs comparisons and numbers in turn",
            ),
            (r#"{"data":{"x":[]}}"#, "filter pattern at data.x: a list of rules must not be empty"),
            (r#"{"eventName":["x"]}"#, "filter pattern at eventName: Kinesis mappings filter on data and partitionKey"),
        ] {
            assert_eq!(Filter::new(&[pattern]).unwrap_err().to_string(), message);
        }
        assert!(matches!(Filter::new(&["{"]), Err(FilterError::NotJson { .. })));
        assert!(matches!(Filter::new::<&str>(&[]), Err(FilterError::Number(0))));
    }
}
