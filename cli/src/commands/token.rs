//! `myaku token`: prints a token for the HTTP API of a running `myaku local`, from its own issuer.

use super::running_stack::RunningStack;
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `myaku token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device that gets the token. A device sends for itself only.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// The facility where the device stands, or for whose devices an app sends. Can be given several times.
    #[arg(long = "facility", value_name = "FACILITY")]
    facilities: Vec<String>,
    /// Another claim; the value is JSON or a text. Can be given several times.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// For how many seconds the token is valid; twelve hours if not given. A negative number makes an expired token.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    seconds: Option<i64>,
    /// The directory in which myaku local keeps its files.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("a claim must be NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// Runs the command. It prints only the token.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let running = RunningStack::read(&args.directory)?;
    let Some(issuer) = &running.issuer else {
        bail!("the running template has no authorizer, so its HTTP API takes no tokens")
    };
    let expires_at_s = args.seconds.map(|seconds| jiff::Timestamp::now().as_second() + seconds);
    println!("{}", sign(issuer, &claims(&args, &running, expires_at_s)).await?);
    Ok(ExitCode::SUCCESS)
}

/// Fetches a token with these claims from an issuer.
pub(super) async fn sign(issuer: &str, claims: &Map<String, Value>) -> Result<String> {
    let request = reqwest::Client::new().post(format!("{issuer}/token")).header("content-type", "application/json");
    let answer = request.body(Value::Object(claims.clone()).to_string()).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    Ok(answer.with_context(|| format!("cannot get a token from {issuer}: is `myaku local` running?"))?.text().await?)
}

/// Returns the claims of a device's token, or of an app's.
pub(super) fn subject(running: &RunningStack, device: Option<&str>, facilities: &[String]) -> Map<String, Value> {
    let mut claims = Map::from_iter([
        ("sub".to_owned(), json!(device.unwrap_or("app"))),
        ("aud".to_owned(), json!(running.claims.audience)),
    ]);
    let (claim, value) = match device {
        Some(device) => (&running.claims.device, json!(device)),
        None => (&running.claims.app, json!(running.claims.app_role)),
    };
    claims.insert(claim.clone(), value);
    match facilities {
        [] => {}
        [one] => _ = claims.insert(running.claims.facilities.clone(), json!(one)),
        several => _ = claims.insert(running.claims.facilities.clone(), json!(several)),
    }
    claims
}

fn claims(args: &Args, running: &RunningStack, expires_at_s: Option<i64>) -> Map<String, Value> {
    let mut claims = subject(running, args.device.as_deref(), &args.facilities);
    claims.extend(expires_at_s.map(|at_s| ("exp".to_owned(), json!(at_s))));
    // Claims that the user names come last, so that they override the others.
    claims.extend(args.claims.iter().cloned());
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_claims_of_its_device_or_app_and_those_that_the_user_names() {
        let running = super::super::running_stack::tests::running_stack();
        let args = |device: Option<&str>, facilities: &[&str], more: &[&str]| Args {
            device: device.map(str::to_owned),
            facilities: facilities.iter().map(|it| (*it).to_owned()).collect(),
            claims: more.iter().map(|it| claim(it).unwrap()).collect(),
            seconds: None,
            directory: PathBuf::new(),
        };
        let shown = |args: Args| Value::Object(claims(&args, &running, Some(7))).to_string();
        assert_eq!(
            shown(args(Some("bed-17"), &["home-3"], &[])),
            r#"{"aud":"myaku","device_id":"bed-17","exp":7,"facilities":"home-3","sub":"bed-17"}"#
        );
        assert_eq!(
            shown(args(None, &["home-3", "home-4"], &["scope=a b", "exp=9"])),
            r#"{"aud":"myaku","exp":9,"facilities":["home-3","home-4"],"scope":"a b","sub":"app"}"#
        );
        assert_eq!(
            shown(args(None, &["home-3"], &[])),
            r#"{"aud":"myaku","exp":7,"facilities":"home-3","scope":"myaku/app","sub":"app"}"#
        );
    }
}
