//! `myaku traffic`: sends the reference mix through a running `myaku local`, or to the endpoints of a deployed stack.

use super::bar::Bar;
use super::running_stack::RunningStack;
use super::token;
use anyhow::{Context as _, Result, bail};
use myaku::lake::archive::S3Lake;
use myaku_demo::Progress as _;
use myaku_demo::registry;
use myaku_demo::traffic::load::machine::Ticks;
use myaku_demo::traffic::load::report::{Limit, Report};
use myaku_demo::traffic::load::{Mix, Options, Shared, Ways, run as load, verify};
use myaku_demo::traffic::send::{Api, Http, Mqtt};
use myaku_demo::traffic::{Fleet, Settings, gateway};
use myaku_local::servers::AwsEndpoints;
use rumqttc::{MqttOptions, Transport};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long all clients together may take to connect.
const CONNECT: Duration = Duration::from_secs(30);
/// After so long without a new object, nothing more comes to the lake. It is longer than the archiver's batching window
/// on one machine.
const LAKE_PATIENCE: Duration = Duration::from_secs(45);
/// How many publishes of a connection may be unacknowledged.
const INFLIGHT: u16 = 1_000;
/// The factor from one step of --find-limit to the next, and the most steps.
const STEP: f64 = 1.25;
const STEPS: usize = 20;

/// The path of the API that accepts messages.
const MESSAGES: &str = "/v1/messages";

/// Arguments of `myaku traffic`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many messages are sent in a second, all families together. The reference load is 16000.
    #[arg(long, default_value_t = 160.0, value_parser = positive)]
    rate: f64,
    /// For how many seconds messages are sent; with --find-limit, in each step.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The parts of apps (HTTPS), sensors (MQTT) and facilities (gateways).
    #[arg(long, default_value = "3000:12000:1000", value_parser = mix, value_name = "A:S:F")]
    mix: Mix,
    /// How many devices send; at least 20, so that every kind is among them.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(20..))]
    devices: u64,
    /// How many messages a gateway sends in one batch; with 1, each message goes alone.
    #[arg(long, default_value_t = 10)]
    batch: usize,
    /// The most items of an HTTP request. Messages that wait are sent together.
    #[arg(long, default_value_t = 10)]
    items: usize,
    /// How many MQTT connections or HTTP clients each family has.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// The seed that decides the messages.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin at --rate and raise the rate by a quarter, until the stack does not sustain it.
    #[arg(long)]
    find_limit: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Print the devices as CSV for `myaku device import`, and send nothing.
    #[arg(long)]
    print_devices: bool,
    #[command(flatten)]
    target: Target,
}

/// Where the traffic is sent.
#[derive(Debug, clap::Args)]
struct Target {
    /// The directory in which myaku local keeps its files. It is used if --mqtt is not given.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
    /// The MQTT broker: AWS IoT with --certificates, or a broker without TLS.
    #[arg(long, value_name = "HOST:PORT", value_parser = broker)]
    mqtt: Option<(String, u16)>,
    /// The directory with the certificates of devices and gateways: CLIENT-ID.crt and CLIENT-ID.key for each, and
    /// root.crt. Each connects under its own id, as AWS IoT demands.
    #[arg(long, value_name = "DIR", requires = "mqtt")]
    certificates: Option<PathBuf>,
    /// The URL of the HTTP API, including the path.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// A bearer token for the HTTP API.
    #[arg(long, env = "MYAKU_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

fn positive(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "must be a number above 0".to_owned())
}

fn mix(text: &str) -> Result<Mix, String> {
    let parts: Option<Vec<f64>> = text.split(':').map(|part| part.parse().ok().filter(|part| *part >= 0.0)).collect();
    match parts.as_deref() {
        Some([apps, sensors, facility]) if apps + sensors + facility > 0.0 => {
            Ok(Mix { apps: *apps, sensors: *sensors, facility: *facility })
        }
        _ => Err("must be three numbers of at least 0, separated by colons, not all 0".to_owned()),
    }
}

fn broker(text: &str) -> Result<(String, u16), String> {
    let broker = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    broker.ok_or_else(|| "must be HOST:PORT".to_owned())
}

/// The endpoints of the target.
struct Endpoints {
    mqtt: (String, u16),
    api: Option<Api>,
    /// The lake, if it can be read from here.
    lake: Option<S3Lake>,
}

/// Runs the command. The exit code says whether anything was lost.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let settings = Settings { seed: args.seed, devices: args.devices as usize };
    if args.print_devices {
        println!("deviceId,profile,facility");
        for device in Fleet::new(settings).registrations() {
            println!("{},{},{}", device.device, device.profile, device.facility);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let bar = Bar::new();
    let mut fleet = Fleet::new(settings);
    let endpoints = find_endpoints(&args, &fleet).await?;
    if endpoints.api.is_none() && args.mix.apps > 0.0 {
        bail!(
            "there is no HTTP API for the apps' part of the mix; \
             pass --http, or --mix 0:12000:1000 to send without apps"
        );
    }
    let code = if args.find_limit {
        let mut limit = Limit::default();
        let mut rate = args.rate;
        for _ in 0..STEPS {
            bar.stage(&format!("{rate:.0} messages a second"));
            let report = run_step(&args, &endpoints, &mut fleet, rate, &bar).await?;
            let is_sustained = report.is_sustained();
            limit.steps.push(report);
            if !is_sustained {
                break;
            }
            limit.sustained = Some(rate);
            rate *= STEP;
        }
        bar.finish();
        print(&limit, &limit.to_text(), args.json)?;
        limit.sustained.is_some()
    } else {
        let report = run_step(&args, &endpoints, &mut fleet, args.rate, &bar).await?;
        bar.finish();
        print(&report, &report.to_text(), args.json)?;
        report.ok
    };
    Ok(if code { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &impl serde::Serialize, text: &str, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{text}");
    }
    Ok(())
}

/// Finds the endpoints of the target, and registers the devices in a local stack.
async fn find_endpoints(args: &Args, fleet: &Fleet) -> Result<Endpoints> {
    let Target { directory, mqtt, http, token, .. } = &args.target;
    let api = |url: String, token: Option<String>| Api { url, token, items: args.items.max(1), lose_every: 0 };
    if let Some(mqtt) = mqtt {
        let api = http.clone().map(|url| api(url, token.clone()));
        return Ok(Endpoints { mqtt: mqtt.clone(), api, lake: None });
    }
    let running = RunningStack::read(directory).context("there is no target; pass --mqtt, or run `myaku local`")?;
    let endpoint = |service: &'static str| {
        let variable = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
        let url = running.environment.get(&variable).cloned();
        url.map(|url| (service, url))
            .with_context(|| format!("the note about the running stack has no {variable}; restart `myaku local`"))
    };
    let config = AwsEndpoints::from([endpoint("s3")?, endpoint("dynamodb")?]).sdk_config();
    let name = |id: &str| {
        running
            .resources
            .get(id)
            .cloned()
            .with_context(|| format!("the running stack has no {id}; is it another template?"))
    };
    registry::fill(&config, &name("RegistryTable")?, fleet.registrations()).await?;
    let lake = S3Lake::new(&config, name("LakeBucket")?);
    let facilities: BTreeSet<&str> = fleet.registrations().map(|it| it.facility.as_str()).collect();
    let facilities: Vec<String> = facilities.into_iter().map(str::to_owned).collect();
    let token = match (token, &running.issuer) {
        (None, Some(issuer)) => Some(token::sign(issuer, &token::subject(&running, None, &facilities)).await?),
        (token, _) => token.clone(),
    };
    let url = http.clone().or_else(|| running.http.as_ref().map(|base| format!("{base}{MESSAGES}")));
    Ok(Endpoints { mqtt: running.mqtt.clone(), api: url.map(|url| api(url, token)), lake: Some(lake) })
}

/// Sends at one rate, and waits until the lake has everything.
async fn run_step(args: &Args, endpoints: &Endpoints, fleet: &mut Fleet, rate: f64, bar: &Bar) -> Result<Report> {
    let options = Options { rate, mix: args.mix, duration: Duration::from_secs(args.seconds), batch: args.batch };
    let ways = connect(args, endpoints, fleet, rate).await?;
    let seen = match &endpoints.lake {
        Some(lake) => Some(verify::before(lake).await?),
        None => None,
    };
    let total = (rate * args.seconds as f64) as usize;
    let before = Ticks::now().filter(|_| endpoints.lake.is_some());
    let run = Box::pin(load(fleet, ways, &options, |due| bar.sent(due.min(total), total, 0))).await?;
    let busy = before.and_then(|before| Some(Ticks::now()?.busy_since(before)));
    let lake = match (&endpoints.lake, seen) {
        (Some(lake), Some(seen)) => {
            bar.stage("waiting until the lake has everything");
            Some(verify::lake(lake, seen, &run.sent, LAKE_PATIENCE).await?)
        }
        _ => None,
    };
    Ok(Report { rate, seconds: run.seconds, ways: run.ways, lake, busy, ok: false }.concluded())
}

async fn connect(args: &Args, endpoints: &Endpoints, fleet: &Fleet, rate: f64) -> Result<Ways> {
    let (apps, sensors, gateways) = (Shared::new()?, Shared::new()?, Shared::new()?);
    let http = match &endpoints.api {
        Some(api) => Some(Http::open(api, args.connections, (rate * 2.0) as usize, &apps.of_http())?),
        None => None,
    };
    let (of_devices, of_gateways) = clients(args, endpoints, fleet)?;
    Ok(Ways {
        apps: http.map(|http| (http, apps)),
        sensors: (Mqtt::connect_as(of_devices, CONNECT, Some(sensors.of_mqtt())).await?, sensors),
        gateways: (Mqtt::connect_as(of_gateways, CONNECT, Some(gateways.of_mqtt())).await?, gateways),
    })
}

/// Returns the MQTT clients of devices and of gateways. Without certificates, a few clients send for all devices.
fn clients(args: &Args, endpoints: &Endpoints, fleet: &Fleet) -> Result<(Vec<MqttOptions>, Vec<MqttOptions>)> {
    let options = |id: String| {
        let mut options = Mqtt::options(id, &endpoints.mqtt);
        options.set_inflight(INFLIGHT);
        options
    };
    let Some(directory) = &args.target.certificates else {
        let some = |kind: &str| (0..args.connections.max(1)).map(|n| options(format!("{kind}-{n}"))).collect();
        return Ok((some("sensors"), some("gateways")));
    };
    let facilities: BTreeSet<&str> = fleet.registrations().map(|it| it.facility.as_str()).collect();
    let own = |id: String| {
        let mut options = options(id.clone());
        options.set_transport(tls(directory, &id)?);
        Ok(options)
    };
    let devices = fleet.registrations().filter(|it| it.profile != "app-log").map(|it| own(it.device.clone()));
    let gateways = facilities.into_iter().map(|facility| own(gateway::gateway(facility)));
    Ok((devices.collect::<Result<_>>()?, gateways.collect::<Result<_>>()?))
}

/// Configures TLS with the certificate of a client.
fn tls(directory: &Path, id: &str) -> Result<Transport> {
    let read = |name: String| {
        let path = directory.join(name);
        std::fs::read(&path).with_context(|| format!("cannot read {}; --certificates must hold it", path.display()))
    };
    // It fails only if a provider is installed already, which serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = (read(format!("{id}.crt"))?, read(format!("{id}.key"))?);
    Ok(Transport::tls(read("root.crt".to_owned())?, Some(client), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_has_three_parts_of_which_some_may_be_zero() {
        assert_eq!(mix("3000:12000:1000"), Ok(Mix::REFERENCE));
        assert!(mix("0:1:0").is_ok());
        for bad in ["", "1:2", "0:0:0", "1:2:-3", "a:b:c", "1:2:3:4"] {
            assert!(mix(bad).is_err(), "{bad}");
        }
        assert_eq!(broker("a.iot.eu-west-1.amazonaws.com:8883").unwrap().1, 8883);
        assert!(broker("host").is_err() && positive("0").is_err() && positive("1.5").is_ok());
    }
}
