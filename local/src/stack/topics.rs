//! Creates topics and their subscriptions.

use super::events;
use crate::servers::sns::Topics;
use crate::template::{Resolved, only};
use anyhow::{Context as _, Result};
use serde_json::Value;

/// The properties that a topic may have. Keys and signatures have no effect on one machine.
const TOPIC: [&str; 6] = ["DisplayName", "TopicName", "KmsMasterKeyId", "SignatureVersion", "Subscription", "Tags"];

/// Creates the topics. A topic's physical id is its ARN.
pub(super) fn create(resolved: &Resolved, topics: &Topics) -> Result<()> {
    for (id, topic) in resolved.of_kind("AWS::SNS::Topic") {
        only(&topic.properties, &TOPIC).with_context(|| id.to_owned())?;
        topics.create(&topic.physical_id, topic.properties["DisplayName"].as_str().unwrap_or_default());
    }
    Ok(())
}

/// Creates the subscriptions of the template. A subscription is a resource of its own, a property of a topic, or an event
/// of a function. The topics must already know the functions.
pub(super) fn subscribe(resolved: &Resolved, topics: &Topics) -> Result<()> {
    for (id, topic) in resolved.of_kind("AWS::SNS::Topic") {
        for wanted in topic.properties["Subscription"].as_array().into_iter().flatten() {
            only(wanted, &["Protocol", "Endpoint"])
                .map_err(anyhow::Error::from)
                .and_then(|()| add(topics, &topic.physical_id, text(wanted, "Protocol")?, text(wanted, "Endpoint")?))
                .with_context(|| id.to_owned())?;
        }
    }
    for (id, subscription) in resolved.of_kind("AWS::SNS::Subscription") {
        let wanted = &subscription.properties;
        only(wanted, &["TopicArn", "Protocol", "Endpoint"])
            .map_err(anyhow::Error::from)
            .and_then(|()| add(topics, text(wanted, "TopicArn")?, text(wanted, "Protocol")?, text(wanted, "Endpoint")?))
            .with_context(|| id.to_owned())?;
    }
    for event in events::of_kind(resolved, "SNS") {
        event
            .only(&["Topic"])
            .and_then(|()| add(topics, event.text("Topic")?, "lambda", &resolved.arn(event.function)?))
            .with_context(|| event.place())?;
    }
    Ok(())
}

fn add(topics: &Topics, topic_arn: &str, protocol: &str, address: &str) -> Result<()> {
    topics.subscribe(topic_arn, topics.endpoint(protocol, address)?)?;
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("{name} is missing"))
}
