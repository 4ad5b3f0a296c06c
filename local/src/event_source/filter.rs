//! Filter criteria: which records a mapping delivers. What no pattern matches counts as processed.

mod pattern;

use myaku::stream::batch::StreamRecord;
use pattern::Pattern;
use serde_json::Value;

/// The most patterns of one mapping. Five by default, "up to 10 filters" with a raised quota.
const PATTERNS_MAX: usize = 10;

/// Patterns of which a record must match at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Vec<RecordPattern>);

/// A pattern that Lambda would refuse when the mapping is made.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The text is not JSON.
    #[error("filter pattern {pattern:?} is no JSON")]
    NotJson {
        /// The pattern.
        pattern: String,
        /// Where it is broken.
        #[source]
        source: serde_json::Error,
    },
    /// The JSON is no pattern.
    #[error("filter pattern at {path}: {problem}")]
    Invalid {
        /// Where, as a path of field names.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// There are none, or too many.
    #[error("{0} filter patterns: there may be from 1 to {PATTERNS_MAX}")]
    Number(usize),
}

#[derive(Clone, Debug, PartialEq)]
struct RecordPattern {
    /// On `partitionKey`, the one field beside the data that a pattern can name usefully.
    partition_key: Option<Pattern>,
    data: Option<Pattern>,
}

impl Filter {
    /// Reads the `Pattern` texts of `FilterCriteria`.
    ///
    /// ```
    /// use myaku_local::event_source::Filter;
    /// assert!(Filter::new(&[r#"{"data": {"kind": ["vital"]}}"#]).is_ok());
    /// let error = Filter::new(&[r#"{"data": {"kind": "vital"}}"#]).unwrap_err();
    /// assert_eq!(error.to_string(), "filter pattern at data.kind: a list of rules or an object is expected");
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
                    // Parsed once, and only if a pattern looks into it. Data that is no JSON matches no pattern.
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
        let invalid =
            |path: &str, problem: &str| FilterError::Invalid { path: path.to_owned(), problem: problem.to_owned() };
        let Value::Object(fields) = value else { return Err(invalid("", "an object is expected")) };
        let mut parsed = Self { partition_key: None, data: None };
        for (name, rules) in &fields {
            match name.as_str() {
                "data" if !rules.is_object() => {
                    return Err(invalid("data", "the pattern must be in valid JSON format"));
                }
                "data" => parsed.data = Some(Pattern::parse("data", rules)?),
                "partitionKey" => parsed.partition_key = Some(Pattern::parse("partitionKey", rules)?),
                other => return Err(invalid(other, "Kinesis mappings filter on data and partitionKey")),
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

    /// The table of comparison operators: Null, Empty, Equals, Or, Not, Numeric, Exists, Begins with, Ends with.
    #[test]
    fn each_operator_matches_what_its_table_row_says() {
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
    fn numbers_are_compared_as_they_are_written() {
        assert!(!on_data("[300]", "300.0"));
    }

    /// "For Lambda to consider the event a match, the event must contain all the field names included in a filter."
    #[test]
    fn a_missing_field_matches_only_a_rule_that_it_does_not_exist() {
        assert!(!matches(r#"{"data":{"y":[{"anything-but":"a"}]}}"#, r#"{"x":1}"#));
        assert!(matches(r#"{"data":{"y":[{"exists":false}]}}"#, r#"{"x":1}"#));
        assert!(!matches(r#"{"data":{"y":[{"exists":false}]}}"#, r#"{"y":1}"#));
        assert!(matches(r#"{"data":{"a":{"b":[{"exists":true}]}}}"#, r#"{"a":{"b":null}}"#));
    }

    #[test]
    fn fields_are_anded_and_alternatives_of_fields_are_ored() {
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
    fn data_that_is_no_json_is_dropped_by_a_pattern_on_data_only() {
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
        assert!(filter.matches(&record(b"no JSON")));
    }

    /// "Lambda throws an exception at the time of the event source mapping creation or update."
    #[test]
    fn a_pattern_that_makes_no_sense_is_refused_with_its_place() {
        for (pattern, message) in [
            (r#"{"data":["x"]}"#, "filter pattern at data: the pattern must be in valid JSON format"),
            (r#"{"data":{"x":[{"regex":"a"}]}}"#, "filter pattern at data.x: no operator is called regex"),
            (
                r#"{"data":{"x":[{"numeric":["~",1]}]}}"#,
                "filter pattern at data.x: numeric takes comparisons and numbers in turn",
            ),
            (r#"{"data":{"x":[]}}"#, "filter pattern at data.x: a list of rules may not be empty"),
            (r#"{"eventName":["x"]}"#, "filter pattern at eventName: Kinesis mappings filter on data and partitionKey"),
        ] {
            assert_eq!(Filter::new(&[pattern]).unwrap_err().to_string(), message);
        }
        assert!(matches!(Filter::new(&["{"]), Err(FilterError::NotJson { .. })));
        assert!(matches!(Filter::new::<&str>(&[]), Err(FilterError::Number(0))));
    }
}
