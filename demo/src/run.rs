//! Runs the demo: registers devices, sends traffic under disturbances, waits until all of it is processed, and checks
//! the result.

use super::alerts;
use super::disturb::{self, Disturbance};
use super::latency::{self, Seen};
use super::notices;
use super::presence;
use super::report::{Report, Throughput};
use super::steps::{self, Sending};
use super::verify::verify;
use crate::options::Options;
use crate::progress::Progress;
use anyhow::{Context as _, Result};
use myaku_local::stack::Stack;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is done to the pipeline, and when, as a fraction of the sending time.
const PLAN: [(f64, Action); 6] = [
    (0.30, Action::Split("IngestStream")),
    (0.40, Action::Kill("TransformFunction")),
    (0.45, Action::Kill("AnomalyDetectorFunction")),
    (0.50, Action::Split("ReadingsStream")),
    (0.60, Action::Kill("MovingAverageFunction")),
    (0.70, Action::Kill("ArchiverFunction")),
];

/// When the patient's messages are sent, as a fraction of the sending time: while the function that must find something is killed.
const PATIENT: f64 = 0.44;

#[derive(Clone, Copy, Debug)]
enum Action {
    Split(&'static str),
    Kill(&'static str),
}

/// Runs the demo on `stack`, which is up and empty.
pub async fn run(stack: &Stack, options: &Options, progress: &impl Progress) -> Result<Report> {
    progress.stage("registering profiles and devices");
    let (mut fleet, windows) = steps::register(stack, options).await?;
    let contacts = notices::listen(stack, alerts::FACILITY).await?;
    let tidy = fleet.registrations().filter(|it| it.is_tidy && it.profile != "app-log").map(|it| it.device.clone());
    let (stop, stopped) = watch::channel(false);
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_config());
    let results = stack.physical_id("ResultsTable")?;
    let watching = tokio::spawn(Seen::watch(dynamodb, results, tidy.collect::<Vec<_>>(), stopped));

    progress.stage("sending messages");
    let started = Instant::now();
    let patient = async {
        tokio::time::sleep_until(started + options.duration.mul_f64(PATIENT)).await;
        alerts::send(stack).await
    };
    let (sending, disturbances, devices, patient) = tokio::join!(
        steps::send(stack, options, &mut fleet, progress, || true),
        disturbances(stack, options, started, progress),
        presence::run_devices(stack, options.duration),
        patient
    );
    let Sending { mut sent, traffic, started_ms, seconds: sending_seconds } = sending?;
    let (disturbances, devices, patient) = (disturbances?, devices?, patient?);
    sent.extend(patient.sent.iter().cloned());
    progress.stage("waiting until every function has finished");
    let waiting = Instant::now();
    let quiet = steps::quiet(stack).await.inspect_err(|error| progress.event(&error.to_string()));
    // If they do not finish, the evidence shows what is missing.
    let drain_seconds = quiet.unwrap_or_else(|_| waiting.elapsed().as_secs_f64());
    stop.send_replace(true);
    let seen = watching.await.context("the task that watches the results stopped")?;

    progress.stage("checking which devices are connected, and which one is silent");
    let presence = presence::check(stack, &devices).await?;
    let alerts = alerts::check(stack, &patient)?;
    progress.stage("checking who has heard of the alerts");
    let mut expected = alerts::announcements(&patient);
    expected.insert(presence::announcement(), None);
    let notices = notices::check(stack, &contacts, &expected).await?;
    progress.stage("reading everything back");
    let evidence = Box::pin(steps::gather(stack, sent, started_ms)).await?;
    progress.stage("comparing the results with what was sent");
    let latency = latency::measure(&evidence.sent, &evidence.readings, &seen)?;
    let mut verdict = verify(&evidence, &windows);
    verdict.broken.extend(presence.broken());
    verdict.broken.extend(alerts.broken());
    verdict.broken.extend(notices.broken());
    let throughput = Throughput {
        sending_seconds,
        messages_per_second: evidence.sent.len() as f64 / sending_seconds,
        readings_per_second: verdict.readings.right as f64 / sending_seconds,
        drain_seconds,
    };
    Ok(Report {
        ok: verdict.broken.is_empty(),
        seed: options.seed,
        devices: options.devices,
        traffic,
        disturbances,
        verdict,
        presence,
        alerts,
        notices,
        burst: None,
        audit: evidence.audit,
        throughput,
        latency,
        where_next: Vec::new(),
    })
}

/// Carries out the plan of disturbances.
async fn disturbances(
    stack: &Stack,
    options: &Options,
    started: Instant,
    progress: &impl Progress,
) -> Result<Vec<Disturbance>> {
    let kinesis = aws_sdk_kinesis::Client::new(&stack.sdk_config());
    let mut done = Vec::new();
    for (part, action) in PLAN {
        tokio::time::sleep_until(started + options.duration.mul_f64(part)).await;
        let after_ms = started.elapsed().as_millis() as u64;
        let what = match action {
            Action::Split(stream) => disturb::split(&kinesis, &stack.physical_id(stream)?).await?,
            Action::Kill(name) => disturb::kill(name, &stack.function(name)?),
        };
        progress.event(&what);
        done.push(Disturbance { after_ms, what });
    }
    Ok(done)
}
