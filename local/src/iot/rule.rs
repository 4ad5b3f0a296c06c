//! A rule: a statement on messages, and what to do with its records.

use super::action::Action;
use super::sql::Statement;
use super::topic;
use anyhow::{Context as _, bail};
use serde_json::Value;

/// A rule of the template.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name, which Basic Ingest has in its topics.
    pub name: String,
    pub(super) statement: Statement,
    pub(super) actions: Vec<Action>,
    pub(super) error_action: Option<Action>,
}

impl Rule {
    /// The rule of an `AWS::IoT::TopicRule` with these properties; none if it is disabled.
    pub fn from_properties(name: &str, properties: &Value) -> anyhow::Result<Option<Self>> {
        let payload = &properties["TopicRulePayload"];
        if crate::template::flag(&payload["RuleDisabled"]) {
            return Ok(None);
        }
        let version = payload["AwsIotSqlVersion"].as_str().unwrap_or("2015-10-08");
        if version != "2016-03-23" {
            bail!("SQL version {version} does not run on this machine; use 2016-03-23");
        }
        let sql = payload["Sql"].as_str().context("Sql is missing")?;
        let actions = payload["Actions"].as_array().context("Actions is missing")?;
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

    /// The topic that this rule's statement sees, without the prefix of Basic Ingest; none if the message is not for
    /// this rule.
    pub(super) fn topic<'a>(&self, topic: &'a str) -> Option<&'a str> {
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
    fn a_rule_gets_messages_on_its_topics_and_on_those_that_name_it() {
        assert_eq!(rule().topic("dt/a/x"), Some("dt/a/x"));
        assert_eq!(rule().topic("$aws/rules/ingest/dt/a/x"), Some("dt/a/x"));
        assert_eq!(rule().topic("$aws/rules/other/dt/a/x"), None);
        assert_eq!(rule().topic("dt/a/y"), None);
    }

    #[test]
    fn an_unsupported_rule_is_an_error() {
        let action =
            json!({ "Sql": "SELECT * FROM '#'", "AwsIotSqlVersion": "2016-03-23", "Actions": [{ "Sqs": {} }] });
        let error = Rule::from_properties("r", &json!({ "TopicRulePayload": action })).unwrap_err();
        assert_eq!(error.to_string(), "the action Sqs does not run on this machine; use Kinesis, Lambda or S3");
        let old = json!({ "Sql": "SELECT * FROM '#'", "Actions": [] });
        let error = Rule::from_properties("r", &json!({ "TopicRulePayload": old })).unwrap_err();
        assert_eq!(error.to_string(), "SQL version 2015-10-08 does not run on this machine; use 2016-03-23");
    }
}
