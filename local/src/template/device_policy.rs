//! Evaluates the IoT policies of the real template as AWS IoT does: may this client do that?

use super::{Names, Resolved, Template};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const ARN: &str = "arn:aws:iot:us-east-1:000000000000:";

/// The parts of a connection that the policies look at.
#[derive(Clone, Copy)]
struct Client {
    thing: &'static str,
    facility: &'static str,
    /// Whether the certificate is attached to the thing.
    is_attached: bool,
}

const BED: Client = Client { thing: "bed-17", facility: "home-3", is_attached: true };
const HUB: Client = Client { thing: "hub-1", facility: "home-3", is_attached: true };

fn template() -> Resolved {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let redis = BTreeMap::from([("RedisUrl".to_owned(), "redis://127.0.0.1".to_owned())]);
    Template::load(&path).unwrap().resolve(&redis, &Names::new("myaku", "abc")).unwrap()
}

/// Whether `pattern` matches the whole `text`. `*` stands for any text and `?` for any character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        [b'?', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
        [first, rest @ ..] => text.first() == Some(first) && matches(rest, &text[1..]),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map_or_else(|| vec![value], |items| items.iter().collect())
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect()
}

/// Whether a policy allows a client to do `action` on `resource`. `resource` is without the beginning of the ARN.
fn allows(policy: &Value, client: Client, action: &str, resource: &str) -> bool {
    let fill = |pattern: &str| {
        let filled = pattern
            .replace("${iot:Connection.Thing.ThingName}", client.thing)
            .replace("${iot:Connection.Thing.Attributes[facility]}", client.facility);
        assert!(!filled.contains("${"), "this test does not know a variable in {filled}");
        filled
    };
    policy["PolicyDocument"]["Statement"].as_array().unwrap().iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow", "this test knows no other effect");
        let condition = &statement["Condition"];
        let attached = serde_json::json!({ "Bool": { "iot:Connection.Thing.IsAttached": "true" } });
        assert!(condition.is_null() || *condition == attached, "this test does not know the condition {condition}");
        let holds = condition.is_null() || client.is_attached;
        let resource = format!("{ARN}{resource}");
        let is_named = |pattern: &&str| matches(fill(pattern).as_bytes(), resource.as_bytes());
        holds && texts(&statement["Action"]).contains(&action) && texts(&statement["Resource"]).iter().any(is_named)
    })
}

#[test]
fn a_device_publishes_and_receives_under_its_own_name_only() {
    let template = template();
    let rule = &template.resources["IngestRule"].physical_id;
    let may = |action: &str, resource: &str| {
        allows(&template.resources["DevicePolicy"].properties, BED, action, &resource.replace("RULE", rule))
    };
    for (action, resource) in [
        ("iot:Connect", "client/bed-17"),
        ("iot:Publish", "topic/dt/myaku/home-3/bed-17/vital"),
        ("iot:Publish", "topic/$aws/rules/RULE/dt/myaku/home-3/bed-17/vital"),
        ("iot:Subscribe", "topicfilter/cmd/myaku/home-3/bed-17/+"),
        ("iot:Receive", "topic/cmd/myaku/home-3/bed-17/restart"),
    ] {
        assert!(may(action, resource), "{action} {resource}");
    }
    for (action, resource) in [
        ("iot:Connect", "client/bed-18"),
        ("iot:Connect", "client/bed-17x"),
        ("iot:Publish", "topic/dt/myaku/home-3/bed-18/vital"),
        ("iot:Publish", "topic/dt/myaku/home-4/bed-17/vital"),
        ("iot:Publish", "topic/dt/myaku/home-3/bed-17"),
        ("iot:Publish", "topic/$aws/rules/RULE/dt/myaku/home-3/bed-18/vital"),
        ("iot:Publish", "topic/$aws/rules/OTHER/dt/myaku/home-3/bed-17/vital"),
        // Only a gateway sends for other devices.
        ("iot:Publish", "topic/gw/myaku/home-3/bed-17"),
        ("iot:Publish", "topic/gw/myaku/home-3/hub-1"),
        // Only the platform sends commands to a device, or reports that a device has disconnected.
        ("iot:Publish", "topic/cmd/myaku/home-3/bed-17/restart"),
        ("iot:Publish", "topic/$aws/events/presence/disconnected/bed-18"),
        ("iot:Subscribe", "topicfilter/#"),
        ("iot:Subscribe", "topicfilter/cmd/myaku/home-3/+/restart"),
        ("iot:Subscribe", "topicfilter/dt/myaku/home-3/bed-17/vital"),
        ("iot:Receive", "topic/cmd/myaku/home-3/bed-18/restart"),
        ("iot:Receive", "topic/dt/myaku/home-3/bed-18/vital"),
    ] {
        assert!(!may(action, resource), "{action} {resource}");
    }
}

#[test]
fn a_gateway_sends_batches_under_its_own_name_and_nothing_else() {
    let template = template();
    let rule = &template.resources["IngestGatewayRule"].physical_id;
    let may = |action: &str, resource: &str| {
        allows(&template.resources["GatewayPolicy"].properties, HUB, action, &resource.replace("RULE", rule))
    };
    for (action, resource) in [
        ("iot:Connect", "client/hub-1"),
        ("iot:Publish", "topic/gw/myaku/home-3/hub-1"),
        ("iot:Publish", "topic/$aws/rules/RULE/gw/myaku/home-3/hub-1"),
        ("iot:Subscribe", "topicfilter/cmd/myaku/home-3/hub-1/+"),
        ("iot:Receive", "topic/cmd/myaku/home-3/hub-1/scan"),
    ] {
        assert!(may(action, resource), "{action} {resource}");
    }
    for (action, resource) in [
        ("iot:Connect", "client/hub-2"),
        ("iot:Publish", "topic/gw/myaku/home-3/hub-2"),
        ("iot:Publish", "topic/$aws/rules/RULE/gw/myaku/home-3/hub-2"),
        ("iot:Publish", "topic/gw/myaku/home-4/hub-1"),
        ("iot:Publish", "topic/dt/myaku/home-3/hub-1/vital"),
        ("iot:Publish", "topic/cmd/myaku/home-3/hub-1/scan"),
        ("iot:Subscribe", "topicfilter/gw/myaku/home-3/hub-1"),
        ("iot:Receive", "topic/gw/myaku/home-3/hub-2"),
    ] {
        assert!(!may(action, resource), "{action} {resource}");
    }
}

#[test]
fn a_certificate_that_is_not_attached_to_the_thing_cannot_connect() {
    let template = template();
    for (policy, client) in [("DevicePolicy", BED), ("GatewayPolicy", HUB)] {
        let stranger = Client { is_attached: false, ..client };
        let policy = &template.resources[policy].properties;
        let name = format!("client/{}", client.thing);
        assert!(allows(policy, client, "iot:Connect", &name) && !allows(policy, stranger, "iot:Connect", &name));
    }
}

#[test]
fn every_policy_of_the_template_is_tested_here() {
    let template = template();
    let policies: Vec<&str> = template.of_kind("AWS::IoT::Policy").map(|(id, _)| id).collect();
    assert_eq!(policies, ["DevicePolicy", "GatewayPolicy"]);
}
