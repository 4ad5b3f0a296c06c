//! `myaku local`: brings the template up and keeps it running.

use super::running_stack::State;
use super::stack_options::StackOptions;
use super::{bar::Bar, interrupted, token};
use anyhow::{Result, bail};
use myaku_demo::registry;
use myaku_demo::run::Progress as _;
use myaku_demo::traffic::{Fleet, Settings};
use myaku_local::stack::Stack;
use std::process::ExitCode;

/// Arguments of `myaku local`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Put the sample profiles of `events/profiles` and so many devices into the registry; 0 for an empty one.
    #[arg(long, default_value_t = 20, value_name = "DEVICES")]
    seed_registry: usize,
    #[command(flatten)]
    place: StackOptions,
}

/// Runs the command, until Ctrl-C.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let bar = Bar::new();
    let stack = tokio::select! {
        stack = args.place.up(&bar) => stack?,
        () = interrupted() => bail!("interrupted"),
    };
    let outcome = tokio::select! {
        outcome = serve(&stack, &args, &bar) => outcome,
        () = interrupted() => Ok(()),
    };
    bar.stage("stopping");
    args.place.forget();
    stack.down().await;
    bar.finish();
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn serve(stack: &Stack, args: &Args, bar: &Bar) -> Result<()> {
    let mut devices = Vec::new();
    if args.seed_registry > 0 {
        let fleet = Fleet::new(Settings { seed: 1, devices: args.seed_registry });
        registry::fill(&stack.sdk_config(), &stack.physical_id("RegistryTable")?, fleet.registrations()).await?;
        devices.extend(fleet.registrations().map(|it| (it.device.clone(), it.facility.clone())));
    }
    args.place.note(stack)?;
    bar.finish();
    let state = State::of(stack)?;
    let device = devices.first();
    println!("{}", guide(&state, device));
    if let (Some(http), Some(issuer)) = (&state.http, &state.issuer) {
        let (device, facility) = device.map_or(("DEVICE", "FACILITY"), |(device, facility)| (device, facility));
        let claims = token::subject(&state, Some(device), &[facility.to_owned()]);
        println!("{}", over_http(http, &state.routes, (device, facility), &token::sign(issuer, &claims).await?));
    }
    std::future::pending().await
}

/// What listens where, and how to speak to it.
fn guide(state: &State, device: Option<&(String, String)>) -> String {
    let names = state.resources.iter().map(|(id, name)| format!("  {id:<18}{name}"));
    let names = names.collect::<Vec<_>>().join("\n");
    let (host, port) = &state.mqtt;
    let (device, facility) = device.map_or(("DEVICE", "FACILITY"), |(device, facility)| (device, facility));
    let ingest = state.resources.get("IngestStream").map_or("", String::as_str);
    let results = state.resources.get("ResultsTable").map_or("", String::as_str);
    format!(
        r#"Everything is up, until Ctrl-C.

Names:
{names}

For SDKs, the aws command and myaku in another terminal:
{exports}

MQTT listens on {host}:{port}, Redis at {redis}.
Mails of a topic are lines in this log.

Publish as a device:
  mosquitto_pub -h {host} -p {port} -q 1 -t dt/myaku/{facility}/{device}/vital \
    -m '{{"id":"m1","ts":'$(date +%s)',"vital":{{"hr":61,"spo2":"97","temp":98.2}}}}'

Read its results, in Python with the exports above:
  import boto3
  from boto3.dynamodb.conditions import Key
  table = boto3.resource("dynamodb").Table("{results}")
  print(table.query(KeyConditionExpression=Key("deviceId").eq("{device}"))["Items"])

Put a record on the stream:
  aws kinesis put-record --stream-name {ingest} --partition-key 1 --cli-binary-format raw-in-base64-out --data hello

Invoke a function:
  myaku invoke transform --event events/kinesis-transform.json
"#,
        exports = state.exports(),
        redis = state.redis,
    )
}

/// How to call the HTTP API, which is closed to whoever has no token.
fn over_http(http: &str, routes: &[String], (device, facility): (&str, &str), token: &str) -> String {
    format!(
        r#"The HTTP API listens at {http}: {routes}.
Send as {device}, with its token for twelve hours:
  export TOKEN={token}
  curl -i {http}/v1/messages -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"kind":"vital","payload":{{"id":"m2","ts":'$(date +%s)',"vital":{{"hr":62,"spo2":"98","temp":98.1}}}}}}'

Tokens of others, an app's for example:
  myaku token --device {device} --facility {facility}
  myaku token --facility {facility} --facility home-2 --claim scope=send
"#,
        routes = routes.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_guide_names_every_place() {
        let state = State {
            environment: BTreeMap::from([("AWS_ENDPOINT_URL_S3".to_owned(), "http://127.0.0.1:1".to_owned())]),
            resources: BTreeMap::from([("ResultsTable".to_owned(), "results-1".to_owned())]),
            ..crate::commands::running_stack::tests::state()
        };
        let guide = guide(&state, Some(&("band-0000".to_owned(), "home-1".to_owned())));
        for place in [
            "ResultsTable      results-1",
            "export AWS_ENDPOINT_URL_S3=http://127.0.0.1:1",
            "MQTT listens on 127.0.0.1:1883, Redis at redis://127.0.0.1:6379",
            "-t dt/myaku/home-1/band-0000/vital",
            r#"'{"id":"m1","ts":'$(date +%s)',"vital":{"hr":61,"spo2":"97","temp":98.2}}'"#,
            r#"Table("results-1")"#,
        ] {
            assert!(guide.contains(place), "{place} is not in\n{guide}");
        }
        let http = over_http("http://127.0.0.1:2", &state.routes, ("band-0000", "home-1"), "a.b.c");
        for place in [
            "listens at http://127.0.0.1:2: POST /v1/messages.",
            "export TOKEN=a.b.c",
            r#"curl -i http://127.0.0.1:2/v1/messages -H "Authorization: Bearer $TOKEN""#,
            "myaku token --device band-0000 --facility home-1",
        ] {
            assert!(http.contains(place), "{place} is not in\n{http}");
        }
        let event = guide.split_whitespace().last().unwrap();
        let event = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(event);
        assert!(event.is_file(), "there is no {}", event.display());
    }
}
