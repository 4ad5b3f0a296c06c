//! Tests of wrong requests: each gets a clear answer, and nothing of it is on the stream.

use super::*;

/// The answer to a wrong request, of which nothing may be on the stream.
async fn refused(request: &Value) -> (u16, Value) {
    let context = fixture();
    let answer = send(&context, request).await;
    assert_eq!(context.messages.port().calls(), 0, "{answer:?}");
    answer
}

fn with_header(name: &str, value: &str) -> Value {
    let mut request = request(item(1).to_string());
    request["headers"][name] = json!(value);
    request
}

fn gzip(body: &[u8]) -> Value {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    let mut request = request(STANDARD.encode(encoder.finish().unwrap()));
    request["isBase64Encoded"] = json!(true);
    request["headers"]["content-encoding"] = json!("gzip");
    request
}

#[tokio::test]
async fn the_answer_names_index_and_field_of_each_wrong_item() {
    let (status, body) = refused(&event(include_str!("../../../../events/http-bad-items.json"))).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("8 of the items cannot be accepted, so none is accepted")));
    let reported = body["problems"].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(reported, @r#"
    {"field":"deviceId","index":1,"problem":"it has a control character or one of `/`, `+` and `#`, which a topic level cannot have"}
    {"field":"facility","index":3,"problem":"it has a control character or one of `/`, `+` and `#`, which a topic level cannot have"}
    {"field":"payload","index":4,"problem":"it is missing"}
    {"field":"payloadBase64","index":5,"problem":"it is not base64"}
    {"field":"messageID","index":6,"problem":"unknown field `messageID`, expected one of `deviceId`, `facility`, `kind`, `messageId`, `payload`, `payloadBase64`, `sequence` at line 1 column 47"}
    {"field":"deviceId","index":7,"problem":"it is not a string"}
    {"index":8,"problem":"it is not a JSON object"}
    {"field":"messageId","index":11,"problem":"item 10 has the same, and says something else"}
    "#);
}

#[test]
fn any_body_gives_items_or_an_answer_with_a_4xx_status() {
    let bodies = myaku::fuzz::TARGETS.iter().find(|target| target.name == "submission").unwrap().seeds;
    let mut accepted = 0;
    for body in bodies() {
        // Also cut short anywhere.
        for end in 0..=body.len() {
            for (kind, encoding) in [("json", ""), ("json", "gzip"), ("x-ndjson", ""), ("x-ndjson", "gzip")] {
                let request = Request {
                    headers: [
                        ("content-type", format!("application/{kind}")),
                        ("content-encoding", encoding.to_owned()),
                    ]
                    .map(|(name, value)| (name.to_owned(), value))
                    .into(),
                    body: Some(STANDARD.encode(&body[..end])),
                    is_base64_encoded: true,
                    ..Request::default()
                };
                match crate::body::parse_items(&request) {
                    Ok(items) => {
                        accepted += 1;
                        assert!(!items.is_empty());
                    }
                    Err(answer) => assert!((400..500).contains(&(answer.status as u16)), "{answer:?}"),
                }
            }
        }
    }
    assert!(accepted > 20, "only {accepted} bodies are accepted");
}

#[tokio::test]
async fn a_body_that_does_not_match_its_content_type_is_refused() {
    for (body, words) in [
        ("", "the body: it is empty"),
        (" ", "the body: it is empty"),
        ("[]", "the body: it is empty"),
        ("hello", "the body: it is neither a JSON object nor a JSON array"),
        ("{\"kind\":", "the body: it is not JSON: EOF while parsing a value"),
        ("[{}", "the body: it is not JSON: EOF while parsing a list"),
    ] {
        let (status, answer) = refused(&request(body)).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].as_str().unwrap().starts_with(words), "{answer}");
    }
    let mut lines = request("[\n{}\n]");
    lines["headers"]["content-type"] = json!("application/x-ndjson");
    let (status, answer) = refused(&lines).await;
    assert_eq!((status, answer["problems"].as_array().unwrap().len()), (400, 3));
}

#[tokio::test]
async fn invalid_utf_8_and_invalid_base64_are_refused() {
    let mut request = request(STANDARD.encode(b"{\"kind\":\"\xff\"}"));
    request["isBase64Encoded"] = json!(true);
    assert_eq!(refused(&request).await, (400, json!({"error": "the body: byte 9 is not UTF-8"})));
    request["body"] = json!("?");
    assert_eq!(refused(&request).await, (400, json!({"error": "the body is marked as base64, and is not base64"})));
}

#[tokio::test]
async fn a_body_in_base64_is_the_same_as_one_in_text() {
    let context = fixture();
    let mut request = request(STANDARD.encode(item(1).to_string()));
    request["isBase64Encoded"] = json!(true);
    assert_eq!(send(&context, &request).await.0, 202);
    assert_eq!(stored_messages(&context)[0].payload, item(1)["payload"].to_string().into_bytes());
}

#[tokio::test]
async fn unknown_content_types_and_encodings_are_refused() {
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", ""),
        ("content-type", "application/json; charset=latin1"),
        ("content-type", "application/cbor"),
        ("content-encoding", "br"),
        ("content-encoding", "gzip, gzip"),
    ] {
        assert_eq!(refused(&with_header(name, value)).await.0, 415, "{name}: {value}");
    }
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-type", "Application/JSON; charset=\"UTF-8\""),
        ("content-encoding", "identity"),
    ] {
        assert_eq!(send(&fixture(), &with_header(name, value)).await.0, 202, "{name}: {value}");
    }
}

#[tokio::test]
async fn invalid_gzip_and_gzip_bombs_are_refused() {
    let mut plain = gzip(b"");
    plain["body"] = json!(STANDARD.encode(item(1).to_string()));
    assert_eq!(refused(&plain).await, (400, json!({"error": "the body: it is not gzip, or it is cut short"})));
    let bomb = gzip(&vec![b' '; 9_000_000]);
    assert!(bomb["body"].as_str().unwrap().len() < 20_000);
    assert_eq!(refused(&bomb).await, (413, json!({"error": "the body: it has more than 8388608 bytes, inflated"})));
    assert_eq!(send(&fixture(), &gzip(item(1).to_string().as_bytes())).await.0, 202);
}

#[tokio::test]
async fn gzip_as_text_is_refused_and_a_body_that_a_proxy_decompressed_is_accepted() {
    let mut text = gzip(item(1).to_string().as_bytes());
    let bytes = STANDARD.decode(text["body"].as_str().unwrap()).unwrap();
    text["isBase64Encoded"] = json!(false);
    text["body"] = json!(String::from_utf8_lossy(&bytes));
    let (status, answer) = refused(&text).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("application/x-ndjson"), "{answer}");
    text["body"] = json!(item(1).to_string());
    assert_eq!(send(&fixture(), &text).await.0, 202);
}

#[tokio::test]
async fn too_many_items_and_items_that_are_too_large_are_refused() {
    let many = |count: usize| request(Value::from(vec![item(1); count]).to_string());
    assert_eq!(send(&fixture(), &many(1_000)).await, (202, json!({"accepted": 1_000})));
    for count in [1_001, 10_000] {
        assert_eq!(refused(&many(count)).await, (413, json!({"error": "the body: it has more than 1000 items"})));
    }
    let mut large = item(2);
    large["payload"] = json!("x".repeat(1_100_000));
    let (status, answer) = refused(&request(json!([item(1), large]).to_string())).await;
    assert_eq!((status, &answer["problems"][0]["index"]), (413, &json!(1)));
    assert_eq!(answer["problems"][0]["problem"], "it has 1100002 bytes; the limit is 524288");
    large["payload"] = json!("x".repeat(500_000));
    assert_eq!(send(&fixture(), &request(large.to_string())).await.0, 202);
}

#[tokio::test]
async fn an_invalid_idempotency_key_is_refused() {
    assert_eq!(refused(&with_header("idempotency-key", " ")).await.0, 400);
    assert_eq!(refused(&with_header("idempotency-key", "a\u{7}b")).await.0, 400);
    let (status, answer) = refused(&with_header("idempotency-key", &"k".repeat(249))).await;
    assert_eq!(status, 400);
    assert_eq!(answer["error"], "Idempotency-Key: it has 249 bytes; the limit is 248");
    let context = fixture();
    assert_eq!(send(&context, &with_header("idempotency-key", &"k".repeat(248))).await.0, 202);
    assert!(stored_messages(&context)[0].message_id.as_ref().is_some_and(|id| id.len() <= 256));
}

#[tokio::test]
async fn a_request_without_most_of_its_fields_is_answered_too() {
    for request in [json!({}), json!({"requestContext": {"http": {"method": "POST"}}, "rawPath": "/v1/messages"})] {
        let status = send(&fixture(), &request).await.0;
        assert!([401, 404].contains(&status), "{status}");
    }
}
