//! MQTT topic filters, and the topics of Basic Ingest.

/// The prefix of Basic Ingest, which skips the broker: `$aws/rules/<rule>/<topic>`.
const BASIC_INGEST: &str = "$aws/rules/";

/// An MQTT topic filter: `+` matches one level, and a last `#` any number of levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFilter(Vec<String>);

/// Why a text is not a topic filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{filter:?} is not a topic filter: {problem}")]
pub struct TopicFilterError {
    filter: String,
    problem: &'static str,
}

impl TopicFilter {
    /// Parses a filter.
    pub fn parse(filter: &str) -> Result<Self, TopicFilterError> {
        let levels: Vec<String> = filter.split('/').map(str::to_owned).collect();
        let last = levels.len() - 1;
        let problem = levels.iter().enumerate().find_map(|(index, level)| match level.as_str() {
            "#" if index != last => Some("# must be the last level"),
            "#" | "+" => None,
            level if level.contains(['#', '+']) => Some("a wildcard must be a whole level"),
            _ => None,
        });
        match problem.or(filter.is_empty().then_some("it is empty")) {
            Some(problem) => Err(TopicFilterError { filter: filter.to_owned(), problem }),
            None => Ok(Self(levels)),
        }
    }

    /// Whether a topic matches. A wildcard at the beginning matches no topic that begins with `$` (MQTT 3.1.1, 4.7.2).
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && matches!(self.0[0].as_str(), "+" | "#") {
            return false;
        }
        let mut levels = topic.split('/');
        for filter in &self.0 {
            if filter == "#" {
                return true;
            }
            match levels.next() {
                Some(level) if filter == "+" || filter == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

/// The rule that a topic of Basic Ingest names, and the topic that the rule sees.
pub fn basic_ingest(topic: &str) -> Option<(&str, &str)> {
    topic.strip_prefix(BASIC_INGEST)?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_one_level_or_all_remaining_levels() {
        for (filter, topic, matches) in [
            ("dt/myaku/+/+/+", "dt/myaku/home-3/bed-17/vital", true),
            ("dt/myaku/+/+/+", "dt/myaku/home-3/bed-17", false),
            ("dt/myaku/+/+/+", "dt/myaku/home-3/bed-17/vital/x", false),
            ("dt/myaku/+/+/+", "gw/myaku/home-3/bed-17/vital", false),
            ("dt/#", "dt/a/b", true),
            ("dt/+", "dt/", true),
            ("#", "$aws/rules/x", false),
            ("+/a", "$aws/a", false),
            ("$aws/+", "$aws/a", true),
        ] {
            assert_eq!(TopicFilter::parse(filter).unwrap().matches(topic), matches, "{filter} {topic}");
        }
    }

    #[test]
    fn a_misplaced_wildcard_is_an_error() {
        for filter in ["", "a/#/b", "a/b+", "#a"] {
            assert!(TopicFilter::parse(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn basic_ingest_names_a_rule_and_a_topic() {
        assert_eq!(basic_ingest("$aws/rules/ingest/dt/myaku/h/d/k"), Some(("ingest", "dt/myaku/h/d/k")));
        assert_eq!(basic_ingest("dt/myaku/h/d/k"), None);
    }
}
