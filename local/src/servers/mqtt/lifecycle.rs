//! AWS IoT's lifecycle events: which client connected or disconnected, on `$aws/events/presence/…`.
//!
//! As on AWS, subscribers and rules receive these events like any message, and a connect and its disconnect share a
//! version number. Two things differ: a subscription whose filter begins with a wildcard receives them too, and clients
//! do not authenticate here, so that the principal is always the same.
//! <https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html>

use super::publisher::{NO_CLIENT, Publisher};
use super::tap::PublishedMessage;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The prefix of lifecycle topics. No client may publish there.
pub(super) const TOPICS: &str = "$aws/events/";
/// The principal of every connection.
const PRINCIPAL: &str = "local";
/// "If a client is not connected for approximately one hour, the version number is reset to 0."
const VERSION_RESET_MS: i64 = 3_600_000;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The client sent a DISCONNECT packet.
    ClientInitiated,
    /// The client did something that the protocol, or AWS IoT, does not allow.
    ClientError,
    /// The connection broke.
    ConnectionLost,
    /// Another client connected with the same id.
    DuplicateClientId,
    /// The client sent nothing for one and a half times its keep-alive time.
    KeepAliveTimeout,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::ClientInitiated => "CLIENT_INITIATED_DISCONNECT",
            Self::ClientError => "CLIENT_ERROR",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::DuplicateClientId => "DUPLICATE_CLIENTID",
            Self::KeepAliveTimeout => "MQTT_KEEP_ALIVE_TIMEOUT",
        }
    }
}

/// The clients that are connected, or were.
#[derive(Debug, Default)]
pub(super) struct Clients(HashMap<Arc<str>, Client>);

#[derive(Debug)]
struct Client {
    version: u64,
    /// The current connection, if there is one.
    session: Option<Uuid>,
    /// When the client last connected or disconnected, in milliseconds since the epoch.
    changed_ms: i64,
}

impl Clients {
    /// Records a connection, and returns its events: that an older connection with the same id ended, and that this one
    /// began.
    pub(super) fn connect(&mut self, client_id: &Arc<str>, session: Uuid, now_ms: i64) -> Vec<PublishedMessage> {
        let replaced = self.0.get(client_id).and_then(|client| client.session);
        let mut events: Vec<_> = replaced
            .and_then(|old| self.disconnect(client_id, old, Reason::DuplicateClientId, now_ms))
            .into_iter()
            .collect();
        let version = match self.0.get(client_id) {
            Some(known) if now_ms - known.changed_ms < VERSION_RESET_MS => known.version + 1,
            _ => 0,
        };
        self.0.insert(Arc::clone(client_id), Client { version, session: Some(session), changed_ms: now_ms });
        let details = json!({ "ipAddress": "127.0.0.1" });
        events.extend(event(client_id, "connected", session, version, details, now_ms));
        events
    }

    /// Records the end of a connection, and returns its event. None if another connection replaced this one: the event
    /// was returned then.
    pub(super) fn disconnect(
        &mut self,
        client_id: &Arc<str>,
        session: Uuid,
        reason: Reason,
        now_ms: i64,
    ) -> Option<PublishedMessage> {
        let client = self.0.get_mut(client_id).filter(|client| client.session == Some(session))?;
        client.session = None;
        client.changed_ms = now_ms;
        let details = json!({
            "clientInitiatedDisconnect": reason == Reason::ClientInitiated,
            "disconnectReason": reason.name(),
        });
        event(client_id, "disconnected", session, client.version, details, now_ms)
    }
}

/// An event with the fields that both kinds have, and the `details` of its own kind.
/// "Client IDs that contain # or + do not receive lifecycle events."
fn event(
    client_id: &str,
    kind: &str,
    session: Uuid,
    version: u64,
    details: Value,
    now_ms: i64,
) -> Option<PublishedMessage> {
    if client_id.contains(['#', '+']) {
        return None;
    }
    let mut payload = json!({
        "clientId": client_id,
        "timestamp": now_ms,
        "eventType": kind,
        "sessionIdentifier": session.simple().to_string(),
        "principalIdentifier": PRINCIPAL,
        "versionNumber": version,
    });
    if let (Value::Object(payload), Value::Object(details)) = (&mut payload, details) {
        payload.extend(details);
    }
    Some(PublishedMessage {
        client_id: NO_CLIENT.into(),
        topic: format!("{TOPICS}presence/{kind}/{client_id}"),
        payload: payload.to_string().into(),
        received_at_ms: now_ms,
    })
}

/// The clients of a broker, and what publishes their events.
#[derive(Clone)]
pub(super) struct Lifecycle(Arc<Inner>);

struct Inner {
    clients: Mutex<Clients>,
    publisher: Publisher,
}

impl Lifecycle {
    /// Publishes events by `publisher`.
    pub(super) fn new(publisher: Publisher) -> Self {
        Self(Arc::new(Inner { clients: Mutex::default(), publisher }))
    }

    /// Makes a change to the clients, and publishes the events that it returns.
    pub(super) fn change<E: IntoIterator<Item = PublishedMessage>>(&self, make: impl FnOnce(&mut Clients) -> E) {
        // Events are published under the lock, which keeps those of a client in order. No critical section panics half way.
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for event in make(&mut clients) {
            // Without a broker, connections end because it does.
            self.0.publisher.send(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_573_002_230_757;

    fn payload(event: &PublishedMessage) -> Value {
        serde_json::from_slice(&event.payload).unwrap()
    }

    /// The fields of the documentation's examples.
    #[test]
    fn events_have_the_documented_fields() {
        let (id, session) = ("186b5".into(), Uuid::nil());
        let mut clients = Clients::default();
        let connected = clients.connect(&id, session, NOW_MS).remove(0);
        assert_eq!(connected.topic, "$aws/events/presence/connected/186b5");
        insta::assert_snapshot!(String::from_utf8_lossy(&connected.payload), @r#"{"clientId":"186b5","eventType":"connected","ipAddress":"127.0.0.1","principalIdentifier":"local","sessionIdentifier":"00000000000000000000000000000000","timestamp":1573002230757,"versionNumber":0}"#);
        let gone = clients.disconnect(&id, session, Reason::ClientInitiated, NOW_MS + 5).unwrap();
        assert_eq!(gone.topic, "$aws/events/presence/disconnected/186b5");
        insta::assert_snapshot!(String::from_utf8_lossy(&gone.payload), @r#"{"clientId":"186b5","clientInitiatedDisconnect":true,"disconnectReason":"CLIENT_INITIATED_DISCONNECT","eventType":"disconnected","principalIdentifier":"local","sessionIdentifier":"00000000000000000000000000000000","timestamp":1573002230762,"versionNumber":0}"#);
    }

    /// "The connect and disconnect messages for a client connection have the same version number."
    #[test]
    fn the_version_grows_with_each_connection_and_is_reset_after_an_hour() {
        let (id, session) = ("c".into(), Uuid::nil());
        let mut clients = Clients::default();
        let mut versions = Vec::new();
        for at_ms in [0, 1_000, VERSION_RESET_MS + 999, 2 * VERSION_RESET_MS + 1_000] {
            let connected = clients.connect(&id, session, at_ms).remove(0);
            let gone = clients.disconnect(&id, session, Reason::ConnectionLost, at_ms).unwrap();
            assert_eq!(payload(&connected)["versionNumber"], payload(&gone)["versionNumber"]);
            versions.push(payload(&connected)["versionNumber"].as_u64().unwrap());
        }
        assert_eq!(versions, [0, 1, 2, 0]);
    }

    #[test]
    fn a_connection_with_the_same_id_ends_the_older_one_once() {
        let id = "c".into();
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut clients = Clients::default();
        clients.connect(&id, first, 0);
        let events = clients.connect(&id, second, 1);
        assert_eq!(payload(&events[0])["disconnectReason"], "DUPLICATE_CLIENTID");
        assert_eq!(payload(&events[0])["sessionIdentifier"], first.simple().to_string());
        assert_eq!(payload(&events[1])["sessionIdentifier"], second.simple().to_string());
        assert_eq!(clients.disconnect(&id, first, Reason::ConnectionLost, 2), None);
        assert!(clients.disconnect(&id, second, Reason::ConnectionLost, 3).is_some());
    }

    #[test]
    fn a_client_whose_id_has_a_wildcard_has_no_events() {
        let id = "a+".into();
        assert!(Clients::default().connect(&id, Uuid::nil(), 0).is_empty());
    }
}
