//! Who may send what, and who gets a command.

use super::*;

/// A request of a device's own token.
fn of_device(device: &str, facility: &str) -> Value {
    let mut request = event(include_str!("../../../../events/http-device.json"));
    let claims = &mut request["requestContext"]["authorizer"]["jwt"]["claims"];
    (claims["device_id"], claims["facilities"]) = (json!(device), json!(facility));
    request
}

/// A request with an item for a device, which comes through a facility.
fn for_device(sample: &str, device: &str, facility: &str) -> Value {
    let mut request = event(sample);
    request["body"] =
        json!({"deviceId": device, "facility": facility, "kind": "vital", "payload": 1}).to_string().into();
    request
}

/// The caller's facilities are `home-3` and `home-4`, or all for IAM.
#[tokio::test]
async fn the_registry_decides_for_whom_each_caller_sends() {
    let device = |device: &str, facility: &str| of_device(device, facility);
    let app =
        |device: &str, facility: &str| for_device(include_str!("../../../../events/http-one.json"), device, facility);
    let iam =
        |device: &str, facility: &str| for_device(include_str!("../../../../events/http-iam.json"), device, facility);
    for (case, id, facility, statuses) in [
        ("the facility where it is registered", "bed-17", "home-3", [202, 202, 202]),
        ("another's device", "bed-99", "home-3", [403, 403, 403]),
        ("its device in a facility that it is not in", "bed-17", "home-4", [403, 403, 403]),
        ("its device in a facility that is registered nowhere", "bed-17", "home-0", [403, 403, 403]),
        ("an unknown device, which becomes a dead letter", "bed-new", "home-3", [202, 202, 202]),
        ("a device without a facility", "bed-0", "home-3", [202, 403, 403]),
    ] {
        let requests = [("device", device(id, facility)), ("app", app(id, facility)), ("iam", iam(id, facility))];
        for ((way, request), status) in requests.into_iter().zip(statuses) {
            let context = fixture();
            assert_eq!(send(&context, &request).await.0, status, "{way}: {case}");
            let senders: Vec<_> = stored_messages(&context).into_iter().filter_map(|message| message.sender).collect();
            assert_eq!(senders.len(), usize::from(status == 202), "{way}: {case}");
            assert!(senders.iter().all(|sender| sender.starts_with(&format!("{way}:"))), "{senders:?}");
        }
    }
}

#[tokio::test]
async fn a_command_is_neither_shown_to_nor_removed_by_a_token_that_the_registry_does_not_confirm() {
    let context = fixture();
    let commands = context.commands.as_ref().unwrap();
    commands.put(&command("bed-17", "c-1")).await.unwrap();
    commands.put(&command("bed-new", "c-2")).await.unwrap();
    for (mut request, status) in [(of_device("bed-17", "home-9"), 403), (of_device("bed-new", "home-3"), 202)] {
        request["headers"]["acknowledge-command"] = json!("c-1");
        let (found, body) = send(&context, &request).await;
        assert_eq!((found, body["pendingCommand"].is_null()), (status, true), "{body}");
        request["headers"]["acknowledge-command"] = json!("c-2");
        send(&context, &request).await;
    }
    for (device, id) in [("bed-17", "c-1"), ("bed-new", "c-2")] {
        assert_eq!(commands.pending(device).await.unwrap().map(|command| command.id).as_deref(), Some(id));
    }
    assert_eq!(send(&context, &of_device("bed-17", "home-3")).await.1["pendingCommand"]["id"], "c-1");
}

#[tokio::test]
async fn a_device_sends_only_for_itself() {
    let sample = event(include_str!("../../../../events/http-device.json"));
    for (item, status, field) in [
        (json!({"kind": "vital", "payload": 1}), 202, None),
        (json!({"deviceId": "bed-17", "facility": "home-3", "kind": "vital", "payload": 1}), 202, None),
        (json!({"deviceId": "bed-18", "kind": "vital", "payload": 1}), 403, Some("deviceId")),
        (json!({"facility": "home-4", "kind": "vital", "payload": 1}), 403, Some("facility")),
    ] {
        let context = fixture();
        let mut request = sample.clone();
        request["body"] = json!(item.to_string());
        let (found, body) = send(&context, &request).await;
        assert_eq!((found, body["problems"][0]["field"].as_str()), (status, field), "{item}");
        assert!(
            stored_messages(&context)
                .iter()
                .all(|message| message.device_id == "bed-17" && message.facility == "home-3")
        );
        assert_eq!(stored_messages(&context).is_empty(), status != 202, "{item}");
    }
}

#[tokio::test]
async fn an_app_sends_for_the_registered_devices_of_its_facilities_whatever_the_item_says() {
    let send_as = async |facilities: &str, item: Value| {
        let context = fixture();
        let mut request = request(item.to_string());
        request["requestContext"]["authorizer"]["jwt"]["claims"] =
            json!({"facilities": facilities, "scope": "myaku/app"});
        let (status, body) = send(&context, &request).await;
        assert_eq!(stored_messages(&context).is_empty(), status != 202);
        (status, body["problems"][0]["field"].as_str().map(str::to_owned))
    };
    let item = |device: &str, facility: Option<&str>| json!({"deviceId": device, "facility": facility, "kind": "vital", "payload": 1});
    let field = |name: &str| Some(name.to_owned());
    assert_eq!(send_as("home-3", item("bed-17", None)).await, (202, None), "the token names one facility");
    assert_eq!(send_as("[home-3 home-4]", item("bed-17", None)).await, (400, field("facility")));
    assert_eq!(send_as("home-3", item("bed-17", Some("home-9"))).await, (403, field("facility")));
    assert_eq!(
        send_as("home-3", item("bed-99", Some("home-3"))).await,
        (403, field("deviceId")),
        "it is in another facility"
    );
    assert_eq!(send_as("home-3", item("bed-new", Some("home-3"))).await, (202, None), "it is not registered yet");
    assert_eq!(send_as("*", item("bed-17", Some("home-3"))).await, (403, field("facility")));
    assert_eq!(send_as("home-3", json!({"kind": "vital", "payload": 1})).await, (400, field("deviceId")));
}

#[tokio::test]
async fn an_unidentified_caller_sends_nothing() {
    for (authorizer, status) in [
        (Value::Null, 401),
        (json!({"iam": null}), 401),
        (json!({"jwt": {"claims": {"sub": "x"}}}), 403),
        (json!({"jwt": {"claims": {"device_id": "bed-17"}}}), 403),
        (json!({"jwt": {"claims": {"device_id": "", "facilities": "home-3", "scope": "myaku/app"}}}), 403),
        (json!({"jwt": {"claims": {"device": "bed-17", "facilities": "home-3"}}}), 403),
    ] {
        let context = fixture();
        let mut request = request(item(1).to_string());
        request["requestContext"]["authorizer"] = authorizer;
        assert_eq!(send(&context, &request).await.0, status);
        assert_eq!(context.messages.port().calls(), 0);
    }
}

#[tokio::test]
async fn while_the_registry_is_down_devices_that_cannot_be_checked_are_not_accepted() {
    let context = fixture();
    context.registry.store().fail(Remedy::Retry);
    let response = respond(&context, &request(item(1).to_string()), "i").await;
    assert_eq!((response.status_code, response.headers["retry-after"].as_str()), (503, "2"));
    assert_eq!(context.messages.port().calls(), 0);
    let device = event(include_str!("../../../../events/http-device.json"));
    assert_eq!(send(&context, &device).await.0, 503, "a device's own token too: the registry has its facility");
}

#[tokio::test]
async fn answers_contain_the_pending_command_until_the_device_acknowledges_it() {
    let context = fixture();
    context.clock.set(1_795_218_900_000);
    let commands = context.commands.as_ref().unwrap();
    commands.put(&command("bed-17", "c-1")).await.unwrap();
    let request = event(include_str!("../../../../events/http-device.json"));
    for _ in 0..2 {
        assert_eq!(send(&context, &request).await.1["pendingCommand"]["id"], "c-1");
    }
    let mut acknowledging = request.clone();
    acknowledging["headers"]["acknowledge-command"] = json!("another");
    assert_eq!(send(&context, &acknowledging).await.1["pendingCommand"]["id"], "c-1");
    acknowledging["headers"]["acknowledge-command"] = json!("c-1");
    assert_eq!(send(&context, &acknowledging).await, (202, json!({"accepted": 1})));
    assert_eq!(send(&context, &request).await, (202, json!({"accepted": 1})));

    commands.put(&command("bed-17", "c-2")).await.unwrap();
    context.clock.set(command("bed-17", "c-2").expires_ms);
    assert_eq!(send(&context, &request).await, (202, json!({"accepted": 1})), "it has expired");
}

#[tokio::test]
async fn only_devices_get_commands_and_a_failure_does_not_change_the_status() {
    let context = fixture();
    let commands = context.commands.as_ref().unwrap();
    commands.put(&command("bed-17", "c-1")).await.unwrap();
    assert_eq!(send(&context, &request(item(1).to_string())).await.1, json!({"accepted": 1}), "an app is not a device");
    commands.fail();
    let device = event(include_str!("../../../../events/http-device.json"));
    assert_eq!(send(&context, &device).await, (202, json!({"accepted": 1})));
    let off = Context { commands: None, ..fixture() };
    assert_eq!(send(&off, &device).await, (202, json!({"accepted": 1})));
}
