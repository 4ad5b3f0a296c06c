//! The query protocol, through an SDK, and the messages that subscribers get.

use super::*;
use crate::servers::AwsEndpoints;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_sdk_sns::primitives::Blob;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

async fn sns() -> (Sns, Client) {
    let sns = start(0, TokioClock::start()).await.unwrap();
    let endpoints = AwsEndpoints::from([("sns", sns.endpoint())]);
    let client = Client::new(&endpoints.sdk_config());
    (sns, client)
}

async fn topic(client: &Client) -> String {
    client.create_topic().name("alerts").attributes("DisplayName", "A <b>").send().await.unwrap().topic_arn.unwrap()
}

#[tokio::test]
async fn an_sdk_publishes_and_the_topic_keeps_the_message() {
    let (sns, client) = sns().await;
    let arn = topic(&client).await;
    assert_eq!(arn, "arn:aws:sns:us-east-1:000000000000:alerts");
    let attribute = |kind: &str| MessageAttributeValue::builder().data_type(kind);
    let sent = client
        .publish()
        .topic_arn(&arn)
        .subject("a subject")
        .message("ü & <xml> \"+%")
        .message_attributes("kind", attribute("String").string_value("test").build().unwrap())
        .message_attributes("raw", attribute("Binary").binary_value(Blob::new([0xff])).build().unwrap())
        .send()
        .await
        .unwrap();
    let messages = sns.topics().messages(&arn).unwrap();
    assert_eq!(sent.message_id.unwrap(), messages[0].id.to_string());
    let publication = &messages[0].publication;
    assert_eq!((publication.message.as_str(), publication.subject.as_deref()), ("ü & <xml> \"+%", Some("a subject")));
    assert_eq!(publication.attributes["kind"], Attribute { data_type: "String".into(), value: "test".into() });
    assert_eq!(publication.attributes["raw"], Attribute { data_type: "Binary".into(), value: "/w==".into() });
}

#[tokio::test]
async fn the_answer_to_a_batch_says_which_messages_were_published() {
    let (sns, client) = sns().await;
    let arn = topic(&client).await;
    let entry = |id: &str, text: &str| PublishBatchRequestEntry::builder().id(id).message(text).build().unwrap();
    let batch = client.publish_batch().topic_arn(&arn);
    let batch = batch.publish_batch_request_entries(entry("1", "text")).publish_batch_request_entries(entry("2", ""));
    let answer = batch.send().await.unwrap();
    assert_eq!(answer.successful()[0].id(), Some("1"));
    assert_eq!((answer.failed()[0].id(), answer.failed()[0].code()), ("2", "InvalidParameter"));
    assert_eq!(sns.topics().messages(&arn).unwrap().len(), 1);
    let twice = [entry("1", "a"), entry("1", "b")];
    let twice = client.publish_batch().topic_arn(&arn).set_publish_batch_request_entries(Some(twice.into()));
    let refused = twice.send().await.unwrap_err().into_service_error();
    assert!(refused.is_batch_entry_ids_not_distinct_exception(), "{refused:?}");
}

#[tokio::test]
async fn an_sdk_knows_the_errors() {
    let (_sns, client) = sns().await;
    let arn = topic(&client).await;
    let absent = client.publish().topic_arn("arn:aws:sns:us-east-1:000000000000:none").message("m").send().await;
    let absent = absent.unwrap_err().into_service_error();
    assert!(absent.is_not_found_exception(), "{absent:?}");
    assert_eq!(absent.message(), Some("Topic does not exist"));
    let large = client.publish().topic_arn(&arn).message("x".repeat(PUBLICATION_BYTES_MAX + 1)).send().await;
    let large = large.unwrap_err().into_service_error();
    assert!(large.is_invalid_parameter_exception(), "{large:?}");
    let filtered = client.subscribe().topic_arn(&arn).protocol("email").endpoint("a@b.example");
    let filtered = filtered.attributes("FilterPolicy", "{}").send().await.unwrap_err().into_service_error();
    assert_eq!(filtered.message(), Some("Invalid parameter: Attributes: FilterPolicy does not run on this machine"));
    let queue = client.subscribe().topic_arn(&arn).protocol("sqs").endpoint("arn").send().await.unwrap_err();
    let queue = queue.into_service_error();
    assert!(queue.message().is_some_and(|message| message.contains("the protocol sqs does not run")), "{queue:?}");
}

#[tokio::test]
async fn topics_and_subscriptions_are_listed_until_they_end() {
    let (_sns, client) = sns().await;
    let arn = topic(&client).await;
    let subscribe = || client.subscribe().topic_arn(&arn).protocol("email").endpoint("a@b.example").send();
    let subscription = subscribe().await.unwrap().subscription_arn.unwrap();
    // The same endpoint again is the same subscription.
    assert_eq!(subscribe().await.unwrap().subscription_arn.unwrap(), subscription);
    let topics = client.list_topics().send().await.unwrap();
    assert_eq!(topics.topics()[0].topic_arn(), Some(arn.as_str()));
    let attributes = client.get_topic_attributes().topic_arn(&arn).send().await.unwrap().attributes.unwrap();
    assert_eq!((attributes["DisplayName"].as_str(), attributes["SubscriptionsConfirmed"].as_str()), ("A <b>", "1"));
    let list = || client.list_subscriptions_by_topic().topic_arn(&arn).send();
    let listed = list().await.unwrap();
    assert_eq!(listed.subscriptions()[0].endpoint(), Some("a@b.example"));
    client.unsubscribe().subscription_arn(subscription).send().await.unwrap();
    assert!(list().await.unwrap().subscriptions().is_empty());
}

/// A request to an HTTP endpoint: the header that names the kind, and the body.
type Post = (String, Value);

/// An endpoint that refuses one message for as long as the test listens.
async fn endpoint() -> (String, mpsc::UnboundedReceiver<Post>) {
    let (sender, posts) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Post>>, headers: HeaderMap, body: String| {
        let kind = headers["x-amz-sns-message-type"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&body).unwrap();
        let refuse = body["Message"] == "refuse me once" && !sender.is_closed();
        sender.send((kind, body)).unwrap();
        if refuse { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    let app = axum::Router::new().route("/", axum::routing::post(take)).with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, posts)
}

#[tokio::test]
async fn an_http_endpoint_gets_messages_after_it_confirms_and_a_retry_of_what_it_refuses() {
    // At this rate, the twenty seconds between two attempts take twenty milliseconds.
    let sns = start(0, TokioClock::start().at_rate(1_000.0)).await.unwrap();
    let arn = "arn:aws:sns:us-east-1:000000000000:alerts";
    sns.topics().create(arn, "");
    let (url, mut posts) = endpoint().await;
    let endpoint = sns.topics().endpoint("http", &url).unwrap();
    let subscription = sns.topics().subscribe(arn, endpoint).unwrap();
    let (kind, asked) = posts.recv().await.unwrap();
    assert_eq!(kind, "SubscriptionConfirmation");
    sns.topics().publish(arn, Publication::new("before it confirmed")).unwrap();

    let link = asked["SubscribeURL"].as_str().unwrap();
    let confirmed = reqwest::get(link).await.unwrap().text().await.unwrap();
    assert!(confirmed.contains(&subscription.arn), "{confirmed}");
    let id = sns.topics().publish(arn, Publication::new("refuse me once")).unwrap();
    for _ in 0..2 {
        let (kind, body) = posts.recv().await.unwrap();
        assert_eq!((kind.as_str(), body["Message"].as_str()), ("Notification", Some("refuse me once")));
        assert_eq!(body["MessageId"], id.to_string());
    }
}

fn notification() -> (Notification, Subscription) {
    let topic_arn = "arn:aws:sns:us-east-2:123456789012:sns-lambda";
    let mut publication = Publication::new("Hello from SNS!");
    publication.subject = Some("TestInvoke".to_owned());
    let attribute = Attribute { data_type: "String".to_owned(), value: "TestString".to_owned() };
    publication.attributes.insert("Test".to_owned(), attribute);
    let notification = Notification {
        id: MessageId(Uuid::nil()),
        topic_arn: topic_arn.to_owned(),
        published_at_ms: 1_546_433_107_000,
        publication,
    };
    let arn = format!("{topic_arn}:21be56ed-a058-49f5-8c98-aedd2564c486");
    (notification, Subscription { arn, endpoint: Endpoint::Email("a@b.example".to_owned()), confirmation_token: None })
}

/// As in <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>.
#[test]
fn a_function_gets_the_documented_event() {
    let (notification, subscription) = notification();
    let event = notification.lambda_event(&subscription, "http://127.0.0.1:9");
    insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap(), @r#"
    {
      "Records": [
        {
          "EventSource": "aws:sns",
          "EventSubscriptionArn": "arn:aws:sns:us-east-2:123456789012:sns-lambda:21be56ed-a058-49f5-8c98-aedd2564c486",
          "EventVersion": "1.0",
          "Sns": {
            "Message": "Hello from SNS!",
            "MessageAttributes": {
              "Test": {
                "Type": "String",
                "Value": "TestString"
              }
            },
            "MessageId": "00000000-0000-0000-0000-000000000000",
            "Signature": "not-signed-on-this-machine",
            "SignatureVersion": "1",
            "SigningCertUrl": "http://127.0.0.1:9/none.pem",
            "Subject": "TestInvoke",
            "Timestamp": "2019-01-02T12:45:07.000Z",
            "TopicArn": "arn:aws:sns:us-east-2:123456789012:sns-lambda",
            "Type": "Notification",
            "UnsubscribeUrl": "http://127.0.0.1:9/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-2:123456789012:sns-lambda:21be56ed-a058-49f5-8c98-aedd2564c486"
          }
        }
      ]
    }
    "#);
    let parsed: aws_lambda_events::event::sns::SnsEvent = serde_json::from_value(event).unwrap();
    let sns = &parsed.records[0].sns;
    assert_eq!((sns.message.as_str(), sns.subject.as_deref()), ("Hello from SNS!", Some("TestInvoke")));
    assert_eq!(sns.message_attributes["Test"].value, "TestString");
    assert_eq!(sns.timestamp.timestamp_millis(), 1_546_433_107_000);
}

#[test]
fn a_message_without_subject_and_attributes_parses_too() {
    let (mut notification, subscription) = notification();
    notification.publication = Publication::structured(r#"{"default":"d","lambda":"l"}"#).unwrap();
    let event = notification.lambda_event(&subscription, "http://127.0.0.1:9");
    let parsed: aws_lambda_events::event::sns::SnsEvent = serde_json::from_value(event).unwrap();
    assert_eq!((parsed.records[0].sns.message.as_str(), &parsed.records[0].sns.subject), ("l", &None));
}

#[test]
fn a_subscription_names_its_topic() {
    let (_, subscription) = notification();
    assert_eq!(subscription.topic_arn(), "arn:aws:sns:us-east-2:123456789012:sns-lambda");
}
