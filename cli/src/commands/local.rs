//! `myaku local`: brings the template up and keeps it running.

use super::running_stack::RunningStack;
use super::stack_options::StackOptions;
use super::{bar::Bar, interrupt::interrupted, token};
use anyhow::{Result, bail};
use myaku_demo::Progress as _;
use myaku_demo::registry;
use myaku_demo::traffic::{Fleet, Settings};
use myaku_local::stack::Stack;
use std::process::ExitCode;

/// Arguments of `myaku local`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Fill the registry with the profiles of events/profiles and so many devices; 0 leaves it empty.
    #[arg(long, default_value_t = 20, value_name = "DEVICES")]
    seed_registry: usize,
    #[command(flatten)]
    stack: StackOptions,
}

/// Runs the command until Ctrl-C.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let bar = Bar::new();
    let stack = tokio::select! {
        stack = args.stack.up(&bar) => stack?,
        () = interrupted() => bail!("interrupted"),
    };
    let outcome = tokio::select! {
        outcome = serve(&stack, &args, &bar) => outcome,
        () = interrupted() => Ok(()),
    };
    bar.stage("stopping");
    args.stack.forget();
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
    args.stack.note(stack)?;
    bar.finish();
    let running = RunningStack::of(stack)?;
    let device = devices.first();
    println!("{}", guide(&running, device));
    if let (Some(http), Some(issuer)) = (&running.http, &running.issuer) {
        let (device, facility) = device.map_or(("DEVICE", "FACILITY"), |(device, facility)| (device, facility));
        let claims = token::subject(&running, Some(device), &[facility.to_owned()]);
        println!("{}", over_http(http, &running.routes, (device, facility), &token::sign(issuer, &claims).await?));
    }
    std::future::pending().await
}

/// Says where the servers listen, and how to use them.
fn guide(running: &RunningStack, device: Option<&(String, String)>) -> String {
    let width = running.resources.keys().map(String::len).max().unwrap_or_default();
    let names = running.resources.iter().map(|(id, name)| format!("  {id:<width$}  {name}"));
    let names = names.collect::<Vec<_>>().join("\n");
    let (host, port) = &running.mqtt;
    let (device, facility) = device.map_or(("DEVICE", "FACILITY"), |(device, facility)| (device, facility));
    let ingest = running.resources.get("IngestStream").map_or("", String::as_str);
    format!(
        r#"Everything is running. Ctrl-C stops it.

Names:
{names}

For SDKs, the aws command and myaku, in another terminal:
{exports}

MQTT listens on {host}:{port}, Redis at {redis}.
Mails that a topic would send are lines in this log.

Publish as a device:
  mosquitto_pub -h {host} -p {port} -q 1 -t dt/myaku/{facility}/{device}/vital \
    -m '{{"id":"m1","ts":'$(date +%s)',"vital":{{"hr":61,"spo2":"97","temp":98.2}}}}'

Watch its present results:
  myaku results {device} --watch

Ask the lake in SQL (after `make tools`):
  myaku query "SELECT deviceId, count(*) AS n FROM messages GROUP BY deviceId ORDER BY n DESC LIMIT 5"

Put a record on the stream:
  aws kinesis put-record --stream-name {ingest} --partition-key 1 --cli-binary-format raw-in-base64-out --data hello

Invoke a function:
  myaku invoke transform --event events/kinesis-transform.json
"#,
        exports = running.exports(),
        redis = running.redis,
    )
}

/// Says how to call the HTTP API, which demands a token.
fn over_http(http: &str, routes: &[String], (device, facility): (&str, &str), token: &str) -> String {
    format!(
        r#"The HTTP API listens at {http}: {routes}.
Send as {device}, with its token, which is valid for twelve hours:
  export TOKEN={token}
  curl -i {http}/v1/messages -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"kind":"vital","payload":{{"id":"m2","ts":'$(date +%s)',"vital":{{"hr":62,"spo2":"98","temp":98.1}}}}}}'

The page is at {http}/. It asks for a token of a reader:
  myaku token --facility {facility} --claim scope=myaku/operator

Print other tokens, for example of an app:
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
    fn the_guide_names_every_endpoint_and_command() {
        let running = RunningStack {
            environment: BTreeMap::from([("AWS_ENDPOINT_URL_S3".to_owned(), "http://127.0.0.1:1".to_owned())]),
            resources: BTreeMap::from([("ResultsTable".to_owned(), "results-1".to_owned())]),
            ..crate::commands::running_stack::tests::running_stack()
        };
        let guide = guide(&running, Some(&("band-0000".to_owned(), "home-1".to_owned())));
        for text in [
            "ResultsTable  results-1",
            "export AWS_ENDPOINT_URL_S3=http://127.0.0.1:1",
            "MQTT listens on 127.0.0.1:1883, Redis at redis://127.0.0.1:6379",
            "-t dt/myaku/home-1/band-0000/vital",
            r#"'{"id":"m1","ts":'$(date +%s)',"vital":{"hr":61,"spo2":"97","temp":98.2}}'"#,
            "myaku results band-0000 --watch",
        ] {
            assert!(guide.contains(text), "{text} is not in\n{guide}");
        }
        let http = over_http("http://127.0.0.1:2", &running.routes, ("band-0000", "home-1"), "a.b.c");
        for text in [
            "listens at http://127.0.0.1:2: POST /v1/messages.",
            "export TOKEN=a.b.c",
            r#"curl -i http://127.0.0.1:2/v1/messages -H "Authorization: Bearer $TOKEN""#,
            "myaku token --device band-0000 --facility home-1",
            "The page is at http://127.0.0.1:2/.",
            "myaku token --facility home-1 --claim scope=myaku/operator",
        ] {
            assert!(http.contains(text), "{text} is not in\n{http}");
        }
        let event = guide.split_whitespace().last().unwrap();
        let event = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(event);
        assert!(event.is_file(), "there is no {}", event.display());
    }
}
