//! Reading through the whole template: messages in, values and alerts out over the API.

use crate::pipeline::up_with;
use anyhow::{Context as _, ensure};
use myaku::device::registry::{Device, DynamoDb, Key, Kind, MasterDataWriter as _, device_document};
use myaku::ingest::message::Message;
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Item, Limits, Placement, Producer};
use myaku_local::stack::Stack;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);
const PROFILE: &str = r#"{"id": "bed", "clock": {"trust": "device", "allowedDelaySeconds": 86400},
    "metrics": {"pulse": {"unit": "1/min", "window": {"last": 3}, "windows": [{"seconds": 300}],
        "allowedLatenessSeconds": 3600, "alerts": [{"name": "high", "when": {"threshold": {"above": 150}}, "severity": "critical"}]}},
    "versions": [{"name": "1", "format": "json", "time": {"from": "t", "unit": "s"},
        "fields": [{"metric": "pulse", "from": "p"}]}]}"#;

/// The stack, and who reads from it.
struct Reading {
    stack: Stack,
    client: reqwest::Client,
}

impl Reading {
    async fn register(&self) -> anyhow::Result<()> {
        let mut documents = vec![(Key::new(Kind::Profile, "bed"), PROFILE.to_owned())];
        for (device, facility) in [("bed-17", "home-3"), ("bed-18", "home-3"), ("bed-99", "home-9")] {
            let document = device_document(&Device::new(device, "bed", Some(facility)));
            documents.push(document.map_err(|problems| anyhow::anyhow!("{problems:?}"))?);
        }
        let table = self.stack.physical_id("RegistryTable")?;
        Ok(DynamoDb::new(&self.stack.sdk_config(), table).put(&documents).await?)
    }

    /// Puts messages of a device on the stream, with the times and values.
    async fn send(&self, device: &str, facility: &str, values: &[(i64, f64)]) -> anyhow::Result<()> {
        let message = |(at_s, value): &(i64, f64)| Message {
            delivery_id: format!("{device}-{at_s}"),
            device_id: device.to_owned(),
            facility: facility.to_owned(),
            kind: "vital".to_owned(),
            client_id: None,
            received_at: SystemClock.now_ms(),
            payload: json!({"t": at_s, "p": value}).to_string().into_bytes(),
            message_id: None,
            sender: None,
        };
        let items =
            values.iter().map(message).map(|it| Item { key: it.delivery_id.clone(), data: it.to_json().into_bytes() });
        let ingest = KinesisStream::new(&self.stack.sdk_config(), self.stack.physical_id("IngestStream")?);
        let producer = Producer::new(ingest, Placement::Shards, Limits::default());
        Ok(producer.send(&items.collect::<Vec<_>>()).await?)
    }

    /// The answer to a request of a reader with a role in a facility.
    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        reader: (&str, &str),
    ) -> anyhow::Result<reqwest::Response> {
        let (role, facility) = reader;
        let claims = json!({"sub": "alice", "aud": "myaku", "scope": format!("myaku/{role}"), "facilities": facility});
        let claims: Map<String, Value> = serde_json::from_value(claims)?;
        let token = self.stack.issuer().context("the stack has no issuer of tokens")?.token(claims)?;
        let url = format!("{}{path}", self.stack.endpoints().http.context("there is no API")?);
        Ok(self.client.request(method, url).bearer_auth(token).send().await?)
    }

    async fn get(&self, path: &str, reader: (&str, &str)) -> anyhow::Result<Value> {
        let answer = self.ask(reqwest::Method::GET, path, reader).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks until the answer is as it should be.
    async fn until(
        &self,
        path: &str,
        reader: (&str, &str),
        is_right: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let asked = async {
            loop {
                last = self.get(path, reader).await?;
                if is_right(&last) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, asked).await;
        in_time.with_context(|| format!("{path}: the answer stays {last}"))??;
        Ok(last)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_become_values_histories_and_alerts_of_their_facility_alone() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up_with(directory.path(), &[("RegistryTtlSeconds", "1"), ("ResultsSeconds", "30")]).await?;
    let reading = Reading { stack, client: reqwest::Client::new() };
    reading.register().await?;
    let (viewer, other, operator) = (("viewer", "home-3"), ("viewer", "home-9"), ("operator", "home-3"));

    // An hour ago, at five minutes: two windows are closed, and the third is open.
    let begin = (SystemClock.now_ms() / 1_000 - 3_600) / 300 * 300;
    let values = [(10, 60.0), (20, 70.0), (310, 80.0), (610, 160.0)];
    let values: Vec<(i64, f64)> = values.into_iter().map(|(second, value)| (begin + second, value)).collect();
    reading.send("bed-17", "home-3", &values).await?;

    let device =
        reading.until("/v1/devices/bed-17", viewer, |it| it["metrics"][0]["value"] == 160.0 && it["openAlerts"] == 1);
    let device = device.await?;
    let metric = &device["metrics"][0];
    assert_eq!((&metric["at"], &metric["unit"]), (&json!((begin + 610) * 1_000), &json!("1/min")));
    assert_eq!((&metric["average"]["count"], &metric["freshness"]), (&json!(3), &json!("late")));

    let path = format!("/v1/devices/bed-17/history?metric=pulse&from={}&step=300", begin * 1_000);
    let history = reading.until(&path, viewer, |it| it["points"].as_array().is_some_and(|it| it.len() == 3)).await?;
    let means: Vec<f64> =
        history["points"].as_array().into_iter().flatten().filter_map(|it| it["mean"].as_f64()).collect();
    assert_eq!(means, [65.0, 80.0, 160.0], "the last window is not closed");
    let merged = reading.get(&path.replace("step=300", "step=600"), viewer).await?;
    assert_eq!(merged["points"].as_array().map(Vec::len), Some(2), "{merged}");

    // For another tenant, nothing of it exists.
    for path in ["/v1/devices/bed-17", &path, "/v1/devices?facility=home-3", "/v1/alerts?deviceId=bed-17"] {
        assert_eq!(reading.ask(reqwest::Method::GET, path, other).await?.status(), 404, "{path}");
    }
    let devices = reading.get("/v1/devices", other).await?;
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1), "{devices}");
    assert_eq!(reading.get("/v1/alerts", other).await?["alerts"], json!([]));

    let alerts =
        reading.until("/v1/alerts?state=open", viewer, |it| it["alerts"].as_array().is_some_and(|it| it.len() == 1));
    let alert = alerts.await?["alerts"][0].clone();
    assert_eq!((&alert["kind"], &alert["evidence"]["value"]), (&json!("threshold"), &json!(160.0)));
    let path = format!("/v1/alerts/{}/acknowledge", alert["id"].as_str().context("an alert has an id")?);
    for (reader, status) in [(viewer, 403), (("operator", "home-9"), 404), (operator, 200), (operator, 200)] {
        assert_eq!(reading.ask(reqwest::Method::POST, &path, reader).await?.status(), status, "{reader:?}");
    }
    let known =
        reading.until("/v1/alerts?state=acknowledged", viewer, |it| it["alerts"][0]["acknowledgedBy"] == "alice");
    known.await?;
    // The end of the incident leaves it.
    reading.send("bed-17", "home-3", &[(begin + 620, 61.0)]).await?;
    let over = reading.until("/v1/alerts?state=cleared", viewer, |it| it["alerts"][0]["acknowledgedBy"] == "alice");
    over.await?;

    // The rows answer while Redis is down.
    reading.until("/v1/devices/bed-17", viewer, |it| it["metrics"][0]["value"] == 61.0).await?;
    reading.stack.servers().redis.stop().await?;
    let device = reading.get("/v1/devices/bed-17", viewer).await?;
    assert!(device["metrics"][0]["value"].is_number(), "{device}");
    reading.stack.servers().redis.restart().await?;

    let page = reading.client.get(reading.stack.endpoints().http.context("there is no API")?).send().await?;
    assert_eq!((page.status().as_u16(), page.headers()["content-type"].to_str()?), (200, "text/html; charset=utf-8"));
    let page = page.text().await?;
    let script = page.split("<script type=\"module\" src=\"").nth(1).and_then(|rest| rest.split('"').next());
    let script = script.context("the page starts with a script")?;
    let url = format!("{}/{script}", reading.stack.endpoints().http.context("there is no API")?);
    let script = reading.client.get(url).header("accept-encoding", "gzip").send().await?;
    assert_eq!((script.status().as_u16(), script.headers()["content-encoding"].to_str()?), (200, "gzip"));
    let etag = reading.ask(reqwest::Method::GET, "/v1/me", viewer).await?.headers().get("etag").cloned();
    assert!(etag.is_some());
    reading.stack.down().await;
    Ok(())
}
