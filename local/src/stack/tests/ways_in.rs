//! Tests each way to invoke a function, through a whole stack: HTTP, SNS, schedules, and rules on lifecycle events of
//! clients. Also tests where a discarded event goes. The function is a process that writes down each event and obeys it.

use super::*;
use crate::function::tests::write_binary;
use serde_json::json;
use std::path::Path;

const TEMPLATE: &str = r#"
Parameters:
  RedisUrl: { Type: String, Default: "" }
  JwtIssuer: { Type: String, Default: "" }
  JwtAudience: { Type: String, Default: "" }
  Notes: { Type: String }
Conditions:
  HasJwt: !Not [!Equals [!Ref JwtIssuer, ""]]
Resources:
  Letters: { Type: AWS::S3::Bucket }
  Alerts: { Type: AWS::SNS::Topic }
  Failures: { Type: AWS::SNS::Topic }
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefaultRouteSettings: { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 100 }
      AccessLogSettings: { DestinationArn: log, Format: "$context.routeKey $context.status" }
      DefinitionBody:
        openapi: 3.0.1
        components:
          securitySchemes: !If
            - HasJwt
            - jwt:
                type: oauth2
                x-amazon-apigateway-authorizer:
                  type: jwt
                  identitySource: $request.header.Authorization
                  jwtConfiguration: { issuer: !Ref JwtIssuer, audience: !Split [",", !Ref JwtAudience] }
            - jwt: { type: apiKey, name: Authorization, in: header, x-amazon-apigateway-authtype: awsSigv4 }
        paths:
          /v1/messages: { post: { security: [jwt: []] } }
  Worker:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: worker } }
    Properties:
      Timeout: 30
      Environment: { Variables: { NOTES: !Ref Notes } }
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: { OnFailure: { Type: S3Bucket, Destination: !GetAtt Letters.Arn } }
      Events:
        Alert: { Type: SNS, Properties: { Topic: !Ref Alerts } }
        Sweep: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 minute), Input: '{"task":"sweep"}' } }
        Message: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: POST, Path: /v1/messages } }
        Document: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: /openapi.json } }
  Unretried:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: worker } }
    Properties:
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig: { OnFailure: { Type: SNS, Destination: !Ref Failures } }
  Presence:
    Type: AWS::IoT::TopicRule
    Properties:
      TopicRulePayload:
        AwsIotSqlVersion: "2016-03-23"
        Sql: SELECT *, topic(4) AS what, clientid() AS publisher FROM '$aws/events/presence/+/+'
        Actions: [{ Lambda: { FunctionArn: !GetAtt Worker.Arn } }]
  Gateways:
    Type: AWS::IoT::TopicRule
    Properties:
      TopicRulePayload:
        AwsIotSqlVersion: "2016-03-23"
        Sql: SELECT * FROM 'gw/#'
        Actions: [{ Lambda: { FunctionArn: !GetAtt Worker.Arn } }, { Lambda: { FunctionArn: !GetAtt Unretried.Arn } }]
"#;

/// A stack in which a minute takes a second, and the directory with the events that its functions received.
async fn up_with_notes(template: &str, parameters: &[(&str, &str)]) -> (tempfile::TempDir, Result<Stack>) {
    up_with(template, |options| {
        let notes = options.directory.join("notes");
        std::fs::create_dir_all(&notes).unwrap();
        std::fs::create_dir_all(&options.binaries).unwrap();
        write_binary(&options.binaries.join("worker"));
        options.parameters.insert("Notes".to_owned(), notes.display().to_string());
        options.parameters.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        options.time_scale = 60.0;
    })
    .await
}

/// Waits until the function has received an event that `matches`, and returns it.
async fn received(directory: &Path, matches: impl Fn(&Value) -> bool) -> Value {
    let poll = async {
        loop {
            for file in std::fs::read_dir(directory.join("run/notes")).unwrap() {
                let file = file.unwrap().path();
                if file.extension().is_some_and(|extension| extension == "json") {
                    let event = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
                    if matches(&event) {
                        return event;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("the function receives the event")
}

#[tokio::test]
async fn topics_schedules_and_lifecycle_events_of_clients_invoke_their_function() {
    let (directory, stack) = up_with_notes(TEMPLATE, &[]).await;
    let (directory, stack) = (directory.path(), stack.unwrap());
    let alerts = stack.physical_id("Alerts").unwrap();
    let client = aws_sdk_sns::Client::new(&stack.sdk_config());
    client.publish().topic_arn(&alerts).subject("alert").message("bed-17 is silent").send().await.unwrap();
    let alert = received(directory, |event| event["Records"][0]["Sns"]["Message"] == "bed-17 is silent").await;
    assert_eq!(alert["Records"][0]["Sns"]["TopicArn"], alerts.as_str());

    received(directory, |event| event == &json!({ "task": "sweep" })).await;

    let device = device(&stack, "bed-17");
    let connected = received(directory, |event| event["what"] == "connected" && event["clientId"] == "bed-17").await;
    assert_eq!(connected["publisher"], "n/a");
    device.disconnect().await.unwrap();
    let disconnected = received(directory, |event| event["what"] == "disconnected").await;
    for field in ["sessionIdentifier", "versionNumber"] {
        assert_eq!(disconnected[field], connected[field]);
    }
    stack.down().await;
}

#[tokio::test]
async fn the_http_api_accepts_only_tokens_of_the_local_issuer_for_its_audience() {
    let (directory, stack) = up_with_notes(TEMPLATE, &[]).await;
    let stack = stack.unwrap();
    let endpoints = stack.endpoints();
    let (api, issuer) = (endpoints.http.unwrap(), endpoints.issuer.unwrap());
    assert_eq!(stack.routes(), ["GET /openapi.json", "POST /v1/messages"]);
    let http = reqwest::Client::new();
    let post = || http.post(format!("{api}/v1/messages")).header("content-type", "application/json").body(r#"{"n":1}"#);
    let unauthorized = post().send().await.unwrap();
    assert_eq!(unauthorized.status().as_u16(), 401);
    assert_eq!(unauthorized.headers()["www-authenticate"], "Bearer");

    let discovered = http.get(format!("{issuer}/.well-known/openid-configuration")).send().await.unwrap().text().await;
    let discovered: Value = serde_json::from_str(&discovered.unwrap()).unwrap();
    assert_eq!(discovered["issuer"], issuer.as_str());
    let claims = json!({ "sub": "bed-17", "aud": "myaku" });
    let token = http.post(discovered["token_endpoint"].as_str().unwrap());
    let token = token.header("content-type", "application/json").body(claims.to_string()).send().await.unwrap();
    let token = token.text().await.unwrap();
    assert_eq!(post().bearer_auth(&token).send().await.unwrap().status().as_u16(), 200);
    let event = received(directory.path(), |event| event["routeKey"] == "POST /v1/messages").await;
    assert_eq!(event["body"], r#"{"n":1}"#);
    assert_eq!(event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"], "bed-17");

    let foreign = stack.issuer().unwrap().token(json!({ "aud": "other" }).as_object().unwrap().clone()).unwrap();
    assert_eq!(post().bearer_auth(foreign).send().await.unwrap().status().as_u16(), 401);
    // The document names no security scheme for this operation, so anyone may call it.
    assert_eq!(http.get(format!("{api}/openapi.json")).send().await.unwrap().status().as_u16(), 200);
    let log = std::fs::read_to_string(directory.path().join("run/logs/Api-access.log")).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(
        lines,
        ["POST /v1/messages 401", "POST /v1/messages 200", "POST /v1/messages 401", "GET /openapi.json 200"]
    );
    stack.down().await;
}

#[tokio::test]
async fn an_event_that_its_function_fails_goes_to_the_on_failure_destination() {
    let (_directory, stack) = up_with_notes(TEMPLATE, &[]).await;
    let stack = stack.unwrap();
    device(&stack, "gw-3").publish("gw/myaku/h/gw-3", QoS::AtLeastOnce, false, r#"{"do":"fail"}"#).await.unwrap();
    let objects = aws_sdk_s3::Client::new(&stack.sdk_config());
    let bucket = stack.physical_id("Letters").unwrap();
    let name = stack.physical_id("Worker").unwrap();
    let prefix = format!("aws/lambda/async/{name}/");
    let key = async {
        loop {
            let list = objects.list_objects_v2().bucket(&bucket).prefix(&prefix).send().await.unwrap();
            if let Some(object) = list.contents().first() {
                break object.key().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let key = tokio::time::timeout(PATIENCE, key).await.expect("the bucket receives the record");
    let object = objects.get_object().bucket(&bucket).key(&key).send().await.unwrap();
    let record: Value = serde_json::from_slice(&object.body.collect().await.unwrap().into_bytes()).unwrap();
    assert_eq!(record["requestPayload"], json!({ "do": "fail" }));
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    // One retry, a minute after the first attempt. With this time scale, that is one second.
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(record["responsePayload"]["errorType"], "Test.Asked");
    stack.caught_up(0).await;
    assert_eq!(stack.asynchronous_pending(), 0);
    let failures = stack.servers().sns.topics().messages(&stack.physical_id("Failures").unwrap()).unwrap();
    let record: Value = serde_json::from_str(&failures[0].publication.message).unwrap();
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    stack.down().await;
}

#[tokio::test]
async fn an_error_names_the_event_that_does_not_run_on_this_machine() {
    let error = async |from: &str, to: &str, parameters: &[(&str, &str)]| {
        assert!(TEMPLATE.contains(from), "{from}");
        let (_directory, stack) = up_with_notes(&TEMPLATE.replace(from, to), parameters).await;
        format!("{:#}", stack.err().unwrap())
    };
    assert_eq!(
        error("Alert: { Type: SNS", "Alert: { Type: SQS", &[]).await,
        "Worker/Alert: an event of type \"SQS\" does not run on this machine, \
         only HttpApi, Kinesis, SNS, Schedule, ScheduleV2"
    );
    let wrong = error("rate(1 minute)", "at(2026-11-21T00:00:00)", &[]).await;
    assert!(
        wrong.starts_with("Worker/Sweep: \"at(2026-11-21T00:00:00)\" is not a schedule that runs on this machine"),
        "{wrong}"
    );
    let wrong = error("MaximumRetryAttempts: 1", "MaximumRetryAttempts: 3", &[]).await;
    assert_eq!(wrong, "Worker: EventInvokeConfig: MaximumRetryAttempts is 3: it must be from 0 to 2");
    let wrong = error("Method: POST,", "Auth: { Authorizer: NONE }, Method: POST,", &[]).await;
    assert_eq!(wrong, "Api: Worker/Message: Auth does not run on this machine");
    let wrong =
        error("MaximumRetryAttempts: 1", "MaximumRetryAttempts: 1", &[("JwtIssuer", "https://issuer.example")]).await;
    assert!(wrong.contains("the issuer https://issuer.example is not on this machine"), "{wrong}");
    let wrong = error("MaximumRetryAttempts: 1", "MaximumRetryAttempts: 1", &[("JwtIssuer", "")]).await;
    assert!(wrong.contains("IAM signatures are not checked on this machine"), "{wrong}");
}
