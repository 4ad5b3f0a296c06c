//! SNS's query protocol: requests are forms, answers are XML. <https://docs.aws.amazon.com/sns/latest/api/Welcome.html>

use super::publication::{Attribute, InvalidPublication, PUBLICATION_BYTES_MAX, Publication};
use super::subscription::{InvalidEndpoint, Subscription};
use super::topics::{Topics, UnknownTopic};
use crate::account::{ACCOUNT, REGION};
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use uuid::Uuid;

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
/// The most messages of one batch.
const BATCH_MAX: usize = 10;

/// An error in SNS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    fn parameter(problem: impl std::fmt::Display) -> Self {
        Self::bad("InvalidParameter", format!("Invalid parameter: {problem}"))
    }

    fn not_found(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "NotFound", message: format!("{what} does not exist") }
    }
}

impl From<UnknownTopic> for Fault {
    fn from(_: UnknownTopic) -> Self {
        Self::not_found("Topic")
    }
}

impl From<InvalidPublication> for Fault {
    fn from(error: InvalidPublication) -> Self {
        Self::bad("InvalidParameter", error.to_string())
    }
}

impl From<InvalidEndpoint> for Fault {
    fn from(error: InvalidEndpoint) -> Self {
        Self::parameter(error)
    }
}

/// Answers a call of an SDK.
pub(super) async fn call(State(topics): State<Topics>, body: Bytes) -> Response {
    answer(&topics, &Form::parse(&body))
}

/// Answers a request to a link in a message.
pub(super) async fn link(State(topics): State<Topics>, RawQuery(query): RawQuery) -> Response {
    let form = Form::parse(query.unwrap_or_default().as_bytes());
    match form.text("Action") {
        "ConfirmSubscription" | "Unsubscribe" => answer(&topics, &form),
        _ => answer(&topics, &Form::default()),
    }
}

fn answer(topics: &Topics, form: &Form) -> Response {
    let action = form.text("Action");
    let (status, body) = match perform(topics, action, form) {
        Ok(result) => {
            let result = if result.is_empty() { result } else { xml(&format!("{action}Result"), &result) };
            let metadata = xml("ResponseMetadata", &xml("RequestId", &Uuid::new_v4().to_string()));
            let body = format!(r#"<{action}Response xmlns="{NAMESPACE}">{result}{metadata}</{action}Response>"#);
            (StatusCode::OK, body)
        }
        Err(fault) => {
            let error = xml("Type", "Sender") + &text("Code", fault.code) + &text("Message", &fault.message);
            let id = xml("RequestId", &Uuid::new_v4().to_string());
            let error = xml("Error", &error);
            (fault.status, format!(r#"<ErrorResponse xmlns="{NAMESPACE}">{error}{id}</ErrorResponse>"#))
        }
    };
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

/// Performs an action. Returns its result as XML; empty if it has none.
fn perform(topics: &Topics, action: &str, form: &Form) -> Result<String, Fault> {
    match action {
        "Publish" => {
            if !form.text("PhoneNumber").is_empty() {
                let id = topics.text(form.text("PhoneNumber"), &publication(form, "")?)?;
                return Ok(text("MessageId", &id.to_string()));
            }
            let arn = if form.text("TopicArn").is_empty() { "TargetArn" } else { "TopicArn" };
            let id = topics.publish(form.required(arn)?, publication(form, "")?)?;
            Ok(text("MessageId", &id.to_string()))
        }
        "PublishBatch" => publish_batch(topics, form),
        "CreateTopic" => {
            let name = form.required("Name")?;
            let fits = (1..=256).contains(&name.len());
            if !fits || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
                return Err(Fault::parameter("Topic Name"));
            }
            let attributes = form.attributes()?;
            if let Some(unknown) = attributes.keys().find(|name| **name != "DisplayName") {
                return Err(Fault::parameter(format!("Attributes: {unknown} does not run on this machine")));
            }
            let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}");
            topics.create(&arn, attributes.get("DisplayName").copied().unwrap_or_default());
            Ok(text("TopicArn", &arn))
        }
        "Subscribe" => {
            if let Some(unknown) = form.attributes()?.keys().next() {
                return Err(Fault::parameter(format!("Attributes: {unknown} does not run on this machine")));
            }
            let endpoint = topics.endpoint(form.required("Protocol")?, form.required("Endpoint")?)?;
            let subscription = topics.subscribe(form.required("TopicArn")?, endpoint)?;
            let always = form.text("ReturnSubscriptionArn") == "true";
            let arn = if always || subscription.is_confirmed() { &subscription.arn } else { "pending confirmation" };
            Ok(text("SubscriptionArn", arn))
        }
        "ConfirmSubscription" => {
            let confirmed = topics.confirm(form.required("TopicArn")?, form.required("Token")?)?;
            let confirmed = confirmed.ok_or_else(|| Fault::parameter("Token"))?;
            Ok(text("SubscriptionArn", &confirmed.arn))
        }
        "Unsubscribe" => {
            let ended = topics.unsubscribe(form.required("SubscriptionArn")?);
            if ended { Ok(String::new()) } else { Err(Fault::not_found("Subscription")) }
        }
        "ListTopics" => {
            let members = topics.list().iter().map(|arn| xml("member", &text("TopicArn", arn))).collect::<String>();
            Ok(xml("Topics", &members))
        }
        "ListSubscriptionsByTopic" => {
            let topic_arn = form.required("TopicArn")?;
            let members = topics.subscriptions(topic_arn)?.iter().map(|it| member(topic_arn, it)).collect::<String>();
            Ok(xml("Subscriptions", &members))
        }
        "GetTopicAttributes" => {
            let topic_arn = form.required("TopicArn")?;
            let subscriptions = topics.subscriptions(topic_arn)?;
            let pending = subscriptions.iter().filter(|it| !it.is_confirmed()).count();
            let entries = [
                ("TopicArn", topic_arn.to_owned()),
                ("DisplayName", topics.display_name(topic_arn)?),
                ("Owner", ACCOUNT.to_owned()),
                ("SubscriptionsConfirmed", (subscriptions.len() - pending).to_string()),
                ("SubscriptionsPending", pending.to_string()),
            ];
            let entries = entries.iter().map(|(key, value)| xml("entry", &(text("key", key) + &text("value", value))));
            Ok(xml("Attributes", &entries.collect::<String>()))
        }
        other => Err(Fault::bad("InvalidAction", format!("The action {other:?} does not run on this machine"))),
    }
}

/// A subscription in a listing.
fn member(topic_arn: &str, subscription: &Subscription) -> String {
    let arn = if subscription.is_confirmed() { &subscription.arn } else { "PendingConfirmation" };
    let fields = [
        ("SubscriptionArn", arn),
        ("Owner", ACCOUNT),
        ("Protocol", subscription.endpoint.protocol()),
        ("Endpoint", &subscription.endpoint.address()),
        ("TopicArn", topic_arn),
    ];
    xml("member", &fields.map(|(name, value)| text(name, value)).concat())
}

/// The message in the fields whose names begin with `prefix`.
fn publication(form: &Form, prefix: &str) -> Result<Publication, Fault> {
    let field = |name: &str| form.text(&format!("{prefix}{name}"));
    let mut publication = match field("MessageStructure") {
        "" => Publication::new(field("Message")),
        "json" => Publication::structured(field("Message"))?,
        _ => return Err(Fault::parameter("MessageStructure")),
    };
    if form.has(&format!("{prefix}Subject")) {
        publication.subject = Some(field("Subject").to_owned());
    }
    for entry in form.members(&format!("{prefix}MessageAttributes.entry")) {
        let part = |name: &str| form.text(&format!("{entry}.{name}")).to_owned();
        let value = if form.has(&format!("{entry}.Value.BinaryValue")) { "BinaryValue" } else { "StringValue" };
        let attribute = Attribute { data_type: part("Value.DataType"), value: part(&format!("Value.{value}")) };
        publication.attributes.insert(part("Name"), attribute);
    }
    publication.check()?;
    Ok(publication)
}

fn publish_batch(topics: &Topics, form: &Form) -> Result<String, Fault> {
    let topic_arn = form.required("TopicArn")?;
    topics.subscriptions(topic_arn)?;
    let entries = form.members("PublishBatchRequestEntries.member");
    let ids: Vec<&str> = entries.iter().map(|entry| form.text(&format!("{entry}.Id"))).collect();
    if entries.is_empty() {
        return Err(Fault::bad("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > BATCH_MAX {
        let message = "The batch request contains more entries than permissible.";
        return Err(Fault::bad("TooManyEntriesInBatchRequest", message));
    }
    if ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id)) {
        let message = "Two or more batch entries in the request have the same Id.";
        return Err(Fault::bad("BatchEntryIdsNotDistinct", message));
    }
    let publications: Vec<_> = entries.iter().map(|entry| publication(form, &format!("{entry}."))).collect();
    if publications.iter().flatten().map(Publication::bytes).sum::<usize>() > PUBLICATION_BYTES_MAX {
        let message = "The length of all the batch messages put together is more than the limit.";
        return Err(Fault::bad("BatchRequestTooLong", message));
    }
    let (mut successful, mut failed) = (String::new(), String::new());
    for (id, publication) in ids.into_iter().zip(publications) {
        match publication {
            Ok(publication) => {
                let message_id = topics.publish(topic_arn, publication)?;
                successful += &xml("member", &(text("Id", id) + &text("MessageId", &message_id.to_string())));
            }
            Err(fault) => {
                let fields = [("Id", id), ("Code", fault.code), ("Message", &fault.message), ("SenderFault", "true")];
                failed += &xml("member", &fields.map(|(name, value)| text(name, value)).concat());
            }
        }
    }
    Ok(xml("Successful", &successful) + &xml("Failed", &failed))
}

/// The fields of a form.
#[derive(Debug, Default)]
struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A field; empty if it is missing.
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn required(&self, name: &str) -> Result<&str, Fault> {
        match self.text(name) {
            "" => Err(Fault::parameter(format!("{name} Reason: no value for required parameter"))),
            text => Ok(text),
        }
    }

    /// The names of a list's members, which are numbered from 1: `Entries.member.1`, ….
    fn members(&self, list: &str) -> Vec<String> {
        let members = (1..).map(|index| format!("{list}.{index}"));
        let exists = |member: &String| self.0.keys().any(|name| name.starts_with(&format!("{member}.")));
        members.take_while(exists).collect()
    }

    /// The map `Attributes`.
    fn attributes(&self) -> Result<BTreeMap<&str, &str>, Fault> {
        let entries = self.members("Attributes.entry");
        let part = |entry: &str, part: &str| self.required(&format!("{entry}.{part}"));
        entries.iter().map(|entry| Ok((part(entry, "key")?, part(entry, "value")?))).collect()
    }
}

/// An element that contains XML.
fn xml(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// An element that contains text.
fn text(name: &str, text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    xml(name, &escaped)
}
