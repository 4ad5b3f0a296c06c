//! AWS IoT's rules on this machine: topics, their SQL, and what a rule does with a message.

mod action;
mod engine;
pub mod sql;
pub mod topic;

pub use action::{Action, Targets};
pub use engine::Engine;

use anyhow::{Context as _, bail};
use serde_json::Value;
use sql::Statement;

/// A rule of the template.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, which Basic Ingest publishes to.
    pub name: String,
    statement: Statement,
    actions: Vec<Action>,
    error_action: Option<Action>,
}

impl Rule {
    /// The rule of an `AWS::IoT::TopicRule`; none if it is disabled.
    pub fn from_properties(name: &str, properties: &Value) -> anyhow::Result<Option<Self>> {
        let payload = &properties["TopicRulePayload"];
        if crate::template::flag(&payload["RuleDisabled"]) {
            return Ok(None);
        }
        let version = payload["AwsIotSqlVersion"].as_str().unwrap_or("2015-10-08");
        if version != "2016-03-23" {
            bail!("SQL version {version} does not run here, only 2016-03-23");
        }
        let sql = payload["Sql"].as_str().context("it has no Sql")?;
        let actions = payload["Actions"].as_array().context("it has no Actions")?;
        Ok(Some(Self {
            name: name.to_owned(),
            statement: Statement::parse(sql)?,
            actions: actions.iter().map(Action::from_properties).collect::<anyhow::Result<_>>()?,
            error_action: match &payload["ErrorAction"] {
                Value::Null => None,
                action => Some(Action::from_properties(action)?),
            },
        }))
    }

    /// The message as this rule sees it, if it is for this rule: the topic, without the prefix of Basic Ingest.
    fn topic<'a>(&self, topic: &'a str) -> Option<&'a str> {
        match topic::basic_ingest(topic) {
            Some((rule, seen)) => (rule == self.name && self.statement.from.matches(seen)).then_some(seen),
            None => self.statement.from.matches(topic).then_some(topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule() -> Rule {
        let properties = json!({ "TopicRulePayload": {
            "AwsIotSqlVersion": "2016-03-23", "Sql": "SELECT * FROM 'dt/+/x'",
            "Actions": [{ "Kinesis": { "StreamName": "s", "PartitionKey": "${newuuid()}" } }],
        } });
        Rule::from_properties("ingest", &properties).unwrap().unwrap()
    }

    #[test]
    fn a_rule_takes_its_topics_and_those_that_name_it() {
        assert_eq!(rule().topic("dt/a/x"), Some("dt/a/x"));
        assert_eq!(rule().topic("$aws/rules/ingest/dt/a/x"), Some("dt/a/x"));
        assert_eq!(rule().topic("$aws/rules/other/dt/a/x"), None);
        assert_eq!(rule().topic("dt/a/y"), None);
    }

    #[test]
    fn what_does_not_run_here_is_told() {
        let action =
            json!({ "Sql": "SELECT * FROM '#'", "AwsIotSqlVersion": "2016-03-23", "Actions": [{ "Sqs": {} }] });
        let error = Rule::from_properties("r", &json!({ "TopicRulePayload": action })).unwrap_err();
        assert_eq!(error.to_string(), "the action Sqs does not run here, only Kinesis, Lambda and S3");
        let old = json!({ "Sql": "SELECT * FROM '#'", "Actions": [] });
        let error = Rule::from_properties("r", &json!({ "TopicRulePayload": old })).unwrap_err();
        assert_eq!(error.to_string(), "SQL version 2015-10-08 does not run here, only 2016-03-23");
    }
}
